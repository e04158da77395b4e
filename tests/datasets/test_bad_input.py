"""Odd, damaged and hostile clips: each is named in one sentence, or its conversion is; the others go on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchbed.cli.main import main
from benchbed.datasets.images import decode_image
from benchbed.datasets.video_folder import VideoFolder, open_folder
from benchbed.datasets.video_io import read_video, write_video
from benchbed.errors import BenchbedError, ClipError

from .drawn_clips import encode, moving_square, png, save_frames, save_strip, write_mp4, write_tar

VARIABLE = "variable frame rate: every frame counts once, however long it was shown"


def assert_good_clip(dataset: VideoFolder) -> None:
    """The rest goes on."""
    assert np.array_equal(dataset.frames("good").permute(0, 2, 3, 1).numpy(), moving_square())


# -- conversions that are said -----------------------------------------------------------------------------------


def test_a_variable_frame_rate_is_said_and_no_frame_is_doubled_or_dropped(tmp_path: Path) -> None:
    clip = moving_square(24)
    for name, times in (("even", range(0, 96, 4)), ("uneven", np.cumsum([3, 3, 9, 20] * 6).tolist())):
        encode(tmp_path / f"{name}.mp4", clip, times=times)
        video = read_video(tmp_path / f"{name}.mp4")
        assert len(video.frames) == 24 and (VARIABLE in video.notes) == (name == "uneven")
    pictures = [Image.fromarray(frame) for frame in clip[:4]]
    pictures[0].save(
        tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[40, 40, 200, 80]
    )
    assert read_video(tmp_path / "a.gif").notes == (VARIABLE,)


def test_a_rate_that_the_clock_cannot_divide_is_not_called_variable(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", moving_square(40), fps=30000 / 1001)  # in whole milliseconds: 33, 34, 33
    assert read_video(tmp_path / "a.mkv").notes == ()


@pytest.mark.parametrize(("height", "width"), [(31, 45), (17, 64), (50, 9)])
def test_odd_sizes_keep_their_last_row_and_column(tmp_path: Path, height: int, width: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    frames = np.stack([np.stack([rows * 3, columns * 3, rows + columns + t], -1) for t in range(3)]).astype(
        np.uint8
    )
    encode(tmp_path / "a.mkv", frames, "ffv1", "bgr0")
    assert np.array_equal(read_video(tmp_path / "a.mkv").frames, frames)
    encode(tmp_path / "b.mp4", frames, form="yuv444p", options={"qp": "0"})
    # 8-bit luma and chroma and back: two levels
    assert np.abs(read_video(tmp_path / "b.mp4").frames.astype(int) - frames).max() <= 2


def test_gray_and_deep_videos_become_8_bit_rgb_and_say_so(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(32, dtype=np.uint8)[None, :, None] * 7, 32, axis=0).repeat(3, axis=2)
    frames = np.repeat(ramp[None], 4, axis=0)
    for name, codec, form, note in (
        ("gray.mkv", "ffv1", "gray", ("gray to RGB",)),
        ("gray16.mkv", "ffv1", "gray16le", ("16 bit to 8 bit", "gray to RGB")),
        ("ten.mp4", "libx264", "yuv420p10le", ("10 bit to 8 bit",)),
    ):
        encode(tmp_path / name, frames, codec, form, {"qp": "0"} if codec == "libx264" else {})
        video = read_video(tmp_path / name)
        assert video.notes == note
        # luma of limited range has 219 levels
        assert np.abs(video.frames.astype(int) - frames).max() <= 2


def test_cmyk_images_become_rgb_and_say_so(tmp_path: Path) -> None:
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[:, :8], colours[:, 8:] = (200, 40, 30), (250, 250, 250)
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    pixels, notes = decode_image(tmp_path / "a.jpg", "drop")
    assert notes == ("CMYK to RGB",)
    assert np.abs(pixels.astype(int) - colours)[:, [0, 15]].max() <= 6  # JPEG, away from the edge
    folder = tmp_path / "data/clip"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    assert open_folder(tmp_path / "data").frames("clip").shape == (3, 3, 16, 16)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_frames_of_any_channels_are_rounded(tmp_path: Path, channels: int) -> None:
    import cv2

    values = np.arange(12 * 12 * channels, dtype=np.uint16).reshape(12, 12, channels) * 100
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), values)
    dataset = open_folder(tmp_path)
    expected = np.rint(values / 257.0).astype(np.uint8)
    shown = np.repeat(expected, 3, -1) if channels == 1 else expected[..., [2, 1, 0]]
    assert np.array_equal(dataset.frames("clip")[1].permute(1, 2, 0).numpy(), shown)


# -- clips that cannot be used -----------------------------------------------------------------------------------


def test_the_same_name_in_two_layouts_is_one_clip_that_says_so(tmp_path: Path) -> None:
    save_strip(tmp_path / "good.png", moving_square())
    write_video(tmp_path / "a.mp4", moving_square())
    write_video(tmp_path / "a.gif", moving_square())
    save_frames(tmp_path / "b", moving_square())
    save_strip(tmp_path / "b.png", moving_square())
    dataset = open_folder(tmp_path)
    assert [clip.id for clip in dataset.clips("test")] == ["a", "b", "good"]
    for name, places in (("a", r"a\.gif and .*a\.mp4"), ("b", r"/b/0000000\.png, \.\.\. and .*b\.png")):
        with pytest.raises(ClipError, match=rf"clip '{name}' is there 2 times: .*{places}; keep one"):
            dataset.frames(name)
        with pytest.raises(ClipError, match=f"clip '{name}' is there 2 times"):
            dataset.frames_at(name, [0])
    assert_good_clip(dataset)


def test_the_same_name_in_two_folders_or_splits_is_two_clips(tmp_path: Path) -> None:
    for place in ("test/x/a.png", "test/y/a.png", "train/x/a.gif"):
        save_strip(tmp_path / place, moving_square(4, 16)) if place.endswith("png") else write_video(
            tmp_path / place, moving_square(4, 16)
        )
    dataset = open_folder(tmp_path)
    assert [clip.id for clip in dataset.clips("test")] == ["x/a", "y/a"]
    assert [clip.id for clip in dataset.clips("train")] == ["train/x/a"]


def test_links_that_lead_out_of_the_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    save_frames(outside / "clip", moving_square())
    write_video(outside / "video.mp4", moving_square())
    save_strip(root / "good.png", moving_square())
    (root / "folder").symlink_to(outside / "clip")
    (root / "video.mp4").symlink_to(outside / "video.mp4")
    (root / "up").symlink_to("../outside")
    (root / "loop").symlink_to(".")
    (root / "itself").symlink_to("itself")
    dataset = open_folder(root)
    (note,) = (note for note in dataset.notes if "leads out" in note)
    assert "4 links ignored" in note and "folder" in note
    assert [clip.id for clip in dataset.clips("test")] == ["good"]
    assert_good_clip(dataset)


def test_links_that_stay_inside_and_a_linked_root_are_followed(tmp_path: Path) -> None:
    save_strip(tmp_path / "store/test/good.png", moving_square())
    (tmp_path / "store/test/other.png").symlink_to("good.png")
    (tmp_path / "data").symlink_to("store")
    dataset = open_folder(tmp_path / "data")
    assert [clip.id for clip in dataset.clips("test")] == ["good", "other"]
    assert dataset.frames("other").equal(dataset.frames("good"))
    assert_good_clip(dataset)


def test_a_link_to_nothing_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    save_strip(tmp_path / "good.png", moving_square())
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    dataset = open_folder(tmp_path)
    for call in (dataset.frames, dataset.frame_count, lambda clip: dataset.frames_at(clip, [0])):
        with pytest.raises(ClipError, match=r"gone\.mp4 cannot be read: No such file"):
            call("gone")
    assert_good_clip(dataset)


def test_a_file_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_strip(tmp_path / "good.png", moving_square())
    save_strip(tmp_path / "locked.png", moving_square())
    opened = Path.open

    # Permissions keep no administrator out, and tests are run by some.
    def refuse(self: Path, *words, **named):
        if self.name == "locked.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, *words, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ClipError, match=r"locked\.png cannot be read: Permission denied"):
        open_folder(tmp_path).frames("locked")


def test_empty_and_cut_clips_are_named_by_every_way_of_reading(tmp_path: Path) -> None:
    save_strip(tmp_path / "good.png", moving_square())
    write_mp4(tmp_path / "cut.mp4", moving_square(), moov_first=False)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:200])
    for name in ("zero.mp4", "zero.gif", "zero.png"):
        (tmp_path / "zeros" / name.replace(".", "-")).mkdir(parents=True, exist_ok=True)
        (tmp_path / "zeros" / name.replace(".", "-") / name).touch()
    dataset = open_folder(tmp_path, resolution=32)
    names = {"cut": r"cut\.mp4", "zeros/zero-mp4/zero": r"zero\.mp4", "zeros/zero-gif/zero": r"zero\.gif"}
    for clip, name in names.items():
        for call in (dataset.frames, dataset.frame_count, lambda clip: dataset.frames_at(clip, [0])):
            with pytest.raises(ClipError, match=name):
                call(clip)
    assert any("zero-png/zero.png" in note for note in dataset.notes)  # one image in a folder: a still
    assert_good_clip(dataset)


def test_a_video_without_pictures_is_named(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    dataset = open_folder(tmp_path)
    for call in (dataset.frames, dataset.frame_count, lambda clip: dataset.frames_at(clip, [0])):
        with pytest.raises(ClipError, match=r"sound\.mp4 holds no video stream"):
            call("sound")


def test_sixty_thousand_promised_frames_reserve_no_memory(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(4, 64))
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    place = content.index(b"stsz") + 12
    assert content[place - 4 : place + 4] == bytes(4) + (4).to_bytes(4, "big")
    content[place : place + 4] = (2_000_000_000).to_bytes(4, "big")
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ClipError, match=r"a\.mp4"):
        read_video(tmp_path / "a.mp4")


def test_a_run_names_the_bad_clips_and_scores_the_good_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "clips"
    for name in ("good1", "good2"):
        save_strip(root / f"{name}.png", moving_square(6, 64))
    (root / "zero.mp4").touch()
    write_video(root / "twice.mp4", moving_square(6, 64))
    write_video(root / "twice.gif", moving_square(6, 64))
    (root / "away.mp4").symlink_to("/etc/hostname")
    write_tar(
        root / "0.tar", [("../up.mp4", b""), *((f"cut.{i}.png", png(moving_square(1, 64)[0])) for i in "123")]
    )
    (root / "0.tar").write_bytes((root / "0.tar").read_bytes()[:1500])
    words = (
        f"run --protocol reconstruction --method static --metric l1 --no-mlflow --device cpu --dataset {root}"
    )
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    text = " ".join((said.out + said.err + caplog.text).split())
    assert ended.value.code == 1
    for sentence in (
        "zero.mp4 is empty (0 bytes)",
        "clip 'twice' is there 2 times",
        "1 link ignored, it leads out of the data set's folder or back into itself: copy the files in (away.mp4)",
        "member '../up.mp4' leads out of the shard",
        "0.tar is cut off",
    ):
        assert sentence in text, sentence
    (rows,) = (tmp_path / "out").rglob("cases.parquet")
    values = pd.read_parquet(rows).set_index("case")["value"]
    assert values.notna().to_dict() == {
        "cut": False,
        "good1": True,
        "good2": True,
        "twice": False,
        "zero": False,
    }


def test_a_clip_too_short_for_its_references_fails_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "clips"
    save_strip(root / "long.png", moving_square(9, 64))
    save_strip(root / "short.png", moving_square(2, 64))
    words = f"run --protocol reference-sweep --method static --metric l1 --no-mlflow --device cpu --dataset {root}"
    with pytest.raises(SystemExit):
        main([*words.split(), "--out", str(tmp_path / "out")])
    assert "clip 'short' has 2 frames: too few for 6 reference images" in caplog.text
    (rows,) = (tmp_path / "out").rglob("cases.parquet")
    sweep = pd.read_parquet(rows).query("case == 'long' or case == 'short'")
    assert sweep.groupby("case")["value"].apply(lambda values: values.notna().all())["long"]
    capsys.readouterr()


def test_a_data_set_of_nothing_but_links_says_what_to_do(tmp_path: Path) -> None:
    save_strip(tmp_path / "outside/a.png", moving_square())
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a.png").symlink_to("../outside/a.png")
    with pytest.raises(
        BenchbedError, match=r"holds no clip \(1 link ignored, it leads out .*copy the files in"
    ):
        open_folder(tmp_path / "root")
