"""The same clip in every layout: the same id, the same frames, the same cases."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchbed.datasets.layouts import clip_name
from benchbed.datasets.video_folder import open_folder
from benchbed.datasets.video_io import read_video, write_video

from .drawn_clips import encode, png, save_frames, save_strip, write_tar

KEYS = ("id2#v.1#000010#000020", "id10#v#000000#000009", "id1-b#v#0#9", "id1#v#0#9")


def few_colours(seed: int, frames: int = 9, side: int = 24) -> np.ndarray:
    """Frames that a gif keeps exactly."""
    clip = np.full((frames, side, side, 3), (10 * seed, 60, 90), dtype=np.uint8)
    for index in range(frames):
        clip[index, 4:12, index : index + 6] = (220, 10 * seed, 40)
    return clip


CLIPS = {key: few_colours(number) for number, key in enumerate(KEYS)}


def folders(root: Path, suffix: str) -> None:
    for key, frames in CLIPS.items():
        save_frames(root / f"{key}{suffix}", frames)


def videos(root: Path, suffix: str, codec: str, form: str) -> None:
    root.mkdir(parents=True)
    for key, frames in CLIPS.items():
        encode(
            root / f"{key}{suffix}",
            frames,
            codec,
            form,
            {"g": "4", **({"qp": "0"} if "264" in codec else {})},
        )


def gifs(root: Path) -> None:
    root.mkdir(parents=True)
    for key, frames in CLIPS.items():
        write_video(root / f"{key}.gif", frames)


def transparent_gifs(root: Path) -> None:
    """As gifs, the square's surroundings transparent; their colour is kept below."""
    root.mkdir(parents=True)
    for key, frames in CLIPS.items():
        pictures = []
        for frame in frames:
            square = (frame[..., 0] == 220).astype(np.uint8)
            picture = Image.fromarray(square, "P")
            colours = [*frame[-1, -1].tolist(), *frame[4, 4].tolist()]
            picture.putpalette(colours + [0] * (768 - len(colours)))
            pictures.append(picture)
        pictures[0].save(
            root / f"{key}.gif", save_all=True, append_images=pictures[1:], transparency=0, disposal=2
        )


def shards(root: Path, name: Callable[[str, int], str]) -> None:
    """Two shards of PNG members."""
    for number, keys in enumerate((KEYS[:1], KEYS[1:])):
        members = [(name(key, i), png(frame)) for key in keys for i, frame in enumerate(CLIPS[key])]
        write_tar(root / f"{number:06d}.tar", members)


def shards_of_files(root: Path, suffix: str, write: Callable[[Path], None]) -> None:
    plain = root.parent / f"{root.name}-files"
    write(plain)
    write_tar(root / "000000.tar", [(path.name, path.read_bytes()) for path in sorted(plain.iterdir())])
    shutil.rmtree(plain)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "folders": lambda root: folders(root, ""),
    "folders called like videos": lambda root: folders(root, ".mp4"),
    "wide images": lambda root: [save_strip(root / f"{key}.png", clip) for key, clip in CLIPS.items()],
    "wide images of a wrong suffix": lambda root: [
        save_strip(root / f"{key}.jpg", clip, "PNG") for key, clip in CLIPS.items()
    ],
    "mp4": lambda root: videos(root, ".mp4", "libx264rgb", "rgb24"),
    "mov": lambda root: videos(root, ".mov", "png", "rgb24"),
    "mkv": lambda root: videos(root, ".mkv", "ffv1", "bgr0"),
    "gif": gifs,
    "gif with alpha": transparent_gifs,
    "shards of numbered frames": lambda root: shards(root, lambda key, i: f"{key}.{i}.png"),
    "shards of numbered frames of videos": lambda root: shards(root, lambda key, i: f"{key}.mp4.{i:07d}.png"),
    "shards of folders": lambda root: shards(root, lambda key, i: f"./{key}/{i:07d}.png"),
    "shards of mp4": lambda root: shards_of_files(
        root, ".mp4", lambda plain: videos(plain, ".mp4", "libx264rgb", "rgb24")
    ),
    "shards of gif": lambda root: shards_of_files(root, ".gif", gifs),
    "shards of wide images": lambda root: shards_of_files(
        root, ".png", lambda plain: LAYOUTS["wide images"](plain)
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_ids_and_frames(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "test")
    dataset = open_folder(tmp_path)
    assert dataset.resolution == (24, 24)
    # sorted by id and not by file: seeds draw the same cases from every layout
    clips = dataset.clips("test")
    assert [clip.id for clip in clips] == sorted(KEYS)
    assert [clip.identity for clip in clips] == ["id1", "id1-b", "id10", "id2"]
    for clip in clips:
        expected = CLIPS[clip.id].transpose(0, 3, 1, 2)
        assert dataset.frame_count(clip.id) == len(expected)
        assert np.array_equal(dataset.frames_at(clip.id, [7, 0, 4]).numpy(), expected[[7, 0, 4]])
        assert np.array_equal(dataset.frames(clip.id).numpy(), expected)


def test_names_keep_the_dots_that_are_no_suffix() -> None:
    names = ("a.mp4", "NAME/1.6/VIDEO", "id#v.1#0#9.mp4", "x.gif", "a.b", "clips.mp4/x.PNG", "a")
    kept = ("a", "NAME/1.6/VIDEO", "id#v.1#0#9", "x", "a.b", "clips.mp4/x", "a")
    assert tuple(map(clip_name, names)) == kept


def test_a_real_video_reads_alike_on_disk_and_in_a_shard(shared: Path, tmp_path: Path) -> None:
    names = (
        "vox/lia_driving2.mp4",
        "ted/lia_driving3.mp4",
        "mgif/dam_horse.gif",
        "mgif/monkeynet_driving_128.png",
    )
    paths = [shared / "data/clips" / name for name in names]
    write_tar(tmp_path / "0.tar", [(path.name, path.read_bytes()) for path in paths])
    dataset = open_folder(tmp_path / "0.tar", resolution=128)
    assert len(dataset.clips("test")) == len(paths)
    for path in paths:
        (file,) = dataset._files[path.stem].files
        assert np.array_equal(read_video(file).frames, read_video(path).frames)
        numbers = [0, dataset.frame_count(path.stem) - 1, 9]
        assert dataset.frames_at(path.stem, numbers).equal(dataset.frames(path.stem)[numbers])
