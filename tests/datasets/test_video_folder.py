"""Videos, gifs, strips and frame folders: decoding, writing, layouts, fingerprints, damage."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from benchbed.datasets.images import read_image
from benchbed.datasets.video_folder import identity_of, open_folder
from benchbed.datasets.video_io import decoder_name, read_video, write_video
from benchbed.errors import BenchbedError, ClipError

from .drawn_clips import cut_in_half, moving_square, noise, save_frames, save_strip, write_mp4

# -- reading and writing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_written_videos_read_back_within_coding_loss(tmp_path: Path, suffix: str) -> None:
    clip = moving_square()
    write_video(tmp_path / f"a{suffix}", clip, fps=10)
    video = read_video(tmp_path / f"a{suffix}")
    assert video.frames.shape == clip.shape and video.fps == 10
    # chroma is halved and quantised by H.264: a few levels in the mean
    assert np.abs(video.frames.astype(int) - clip).mean() < 8
    assert os.listdir(tmp_path) == [f"a{suffix}"]  # no temporary file is left


def test_odd_sizes_are_extended_by_one_pixel(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square()[:, :31, :29], fps=25)
    assert read_video(tmp_path / "a.mp4").frames.shape[1:3] == (32, 30)


def test_strips_and_gifs_of_few_colours_read_back_exactly(tmp_path: Path) -> None:
    clip = np.zeros((4, 16, 16, 3), dtype=np.uint8)
    clip[np.arange(4), 3, np.arange(4)] = (255, 0, 0)
    for name in ("a.png", "a.gif"):
        write_video(tmp_path / name, clip, fps=20)
        assert np.array_equal(read_video(tmp_path / name).frames, clip)
    assert read_video(tmp_path / "a.gif").fps == 20


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    clip = moving_square()
    save_strip(tmp_path / "strip.jpg", clip, "PNG")
    assert np.array_equal(read_video(tmp_path / "strip.jpg").frames, clip)
    write_video(tmp_path / "a.mp4", clip)
    shutil.move(tmp_path / "a.mp4", tmp_path / "a.png")
    assert len(read_video(tmp_path / "a.png").frames) == len(clip)


def test_alpha_is_dropped_or_composited_on_white(tmp_path: Path) -> None:
    strip = np.zeros((8, 16, 4), dtype=np.uint8)
    strip[..., 0] = 200  # red below transparent pixels
    strip[:, 8:, 3] = 255
    Image.fromarray(strip).save(tmp_path / "a.png")
    dropped = read_video(tmp_path / "a.png", alpha="drop")
    assert (dropped.frames == (200, 0, 0)).all() and dropped.notes == ("alpha dropped",)
    white = read_video(tmp_path / "a.png", alpha="white").frames
    assert (white[0] == 255).all() and (white[1] == (200, 0, 0)).all()
    with pytest.raises(BenchbedError, match="drop, white"):
        read_video(tmp_path / "a.png", alpha="black")


def transparent_gif(path: Path) -> None:
    """Two palette frames, a green pixel moving over a transparent entry whose palette colour is blue."""
    pictures = []
    for index in range(2):
        picture = Image.new("P", (8, 8), 0)
        picture.putpalette([0, 0, 255, 0, 255, 0] + [0] * 762)
        picture.putpixel((index, 0), 1)
        pictures.append(picture)
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], transparency=0, disposal=2, duration=100
    )


def test_dropped_gif_transparency_shows_the_palette_colour(tmp_path: Path) -> None:
    transparent_gif(tmp_path / "a.gif")
    dropped = read_video(tmp_path / "a.gif", alpha="drop")
    assert dropped.frames.shape == (2, 8, 8, 3) and dropped.notes == ("alpha dropped",)
    assert (dropped.frames[:, 4:] == (0, 0, 255)).all()
    white = read_video(tmp_path / "a.gif", alpha="white").frames
    assert (white[:, 4:] == 255).all()
    assert (white[1, 0, 0] == 255).all() and tuple(white[1, 0, 1]) == (0, 255, 0)  # disposed, then painted


def test_gif_frames_are_painted_over_the_ones_before(tmp_path: Path) -> None:
    clip = np.full((3, 16, 16, 3), 50, dtype=np.uint8)
    for index in range(3):
        clip[index, : index + 1, 0] = 250
    write_video(tmp_path / "a.gif", clip)  # the writer stores only the part that changed
    assert np.array_equal(read_video(tmp_path / "a.gif").frames, clip)


def test_gray_and_sixteen_bit_strips_become_8_bit_rgb(tmp_path: Path) -> None:
    values = np.arange(8 * 16, dtype=np.uint16).reshape(8, 16) * 257
    values[0, 0] = 200  # below half a level: rounds up to 1, while the high byte is 0
    Image.fromarray(values).save(tmp_path / "a.png")
    video = read_video(tmp_path / "a.png")
    assert video.frames.shape == (2, 8, 8, 3) and "16 bit to 8 bit" in video.notes
    expected = np.rint(values / 257.0).astype(np.uint8)
    assert np.array_equal(video.frames[1, ..., 2], expected[:, 8:]) and video.frames[0, 0, 0, 0] == 1


def test_a_rotated_container_is_turned(tmp_path: Path) -> None:
    clip = moving_square(4)
    write_video(tmp_path / "a.mp4", clip)
    plain = read_video(tmp_path / "a.mp4").frames
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version 0: version/flags .. volume take 40 bytes
    assert content[matrix : matrix + 4] == (0x10000).to_bytes(4, "big")  # the identity it had
    # a, b, u, c, d, v of (x, y) -> (-y, x): shown turned clockwise by 90 degrees, as phones write it
    turned = (0, 0x10000, 0, -0x10000, 0, 0)
    content[matrix : matrix + 24] = b"".join(value.to_bytes(4, "big", signed=True) for value in turned)
    (tmp_path / "b.mp4").write_bytes(content)
    video = read_video(tmp_path / "b.mp4")
    assert np.array_equal(video.frames, np.rot90(plain, -1, axes=(1, 2)))
    assert "turned" in video.notes[0]


def test_decoder_name_holds_versions() -> None:
    assert decoder_name().startswith(f"PyAV {av.__version__} / libavcodec ")


def test_unwritable_targets_and_wrong_frames_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchbedError, match="unknown suffix"):
        write_video(tmp_path / "a.xyz", moving_square())
    with pytest.raises(BenchbedError, match="expected uint8 frames"):
        write_video(tmp_path / "a.mp4", np.zeros((0, 8, 8, 3), dtype=np.uint8))
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchbedError, match="cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", moving_square())


# -- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moov_first", [True, False])
def test_a_video_cut_in_half_is_named(tmp_path: Path, moov_first: bool) -> None:
    path = tmp_path / "cut.mp4"
    write_mp4(path, noise(), moov_first=moov_first)
    assert len(read_video(path).frames) == 40
    cut_in_half(path)
    with pytest.raises(ClipError, match=r"cut\.mp4 .*(truncated|damaged|cut off|decoded)"):
        read_video(path)


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".webm"])
def test_a_video_cut_in_half_whose_container_counts_no_frames_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    write_video(tmp_path / "whole.mkv", noise())
    if suffix == ".avi":
        write_mp4(path, noise(), moov_first=False)
    else:
        shutil.copyfile(tmp_path / "whole.mkv", path)
    assert len(read_video(path).frames) == 40
    cut_in_half(path)
    with pytest.raises(ClipError, match=rf"cut\{suffix} is truncated"):
        read_video(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_strip_is_named(tmp_path: Path, kind: str) -> None:
    save_strip(tmp_path / "cut.jpg", noise(4), kind)
    cut_in_half(tmp_path / "cut.jpg")
    with pytest.raises(ClipError, match=r"cut\.jpg cannot be decoded"):
        read_video(tmp_path / "cut.jpg")


def test_a_truncated_gif_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "cut.gif", noise(10))
    content = (tmp_path / "cut.gif").read_bytes()
    for end in (len(content) // 2, len(content) - 1):
        (tmp_path / "cut.gif").write_bytes(content[:end])
        with pytest.raises(ClipError, match=r"cut\.gif"):
            read_video(tmp_path / "cut.gif")


def test_empty_text_missing_and_still_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all, but a long enough text to look at" * 20)
    Image.new("RGB", (8, 8)).save(tmp_path / "still.png")
    for name, reason in (
        ("empty.mp4", "is empty"),
        ("text.mp4", "is no readable video"),
        ("missing.mp4", "cannot be read"),
        ("still.png", "single still image"),
    ):
        with pytest.raises(ClipError, match=f"{name}.*{reason}"):
            read_video(tmp_path / name)


# -- source images -----------------------------------------------------------------------------------------------


def test_source_images_of_every_kind_become_8_bit_rgb_and_say_so(tmp_path: Path) -> None:
    red = np.zeros((6, 6, 4), dtype=np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).save(tmp_path / "alpha.png")
    pixels, notes = read_image(tmp_path / "alpha.png")
    assert (pixels == 255).all() and notes == ("alpha.png: alpha composited on white",)
    pixels, notes = read_image(tmp_path / "alpha.png", alpha="drop")
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]

    import cv2

    deep = np.full((6, 6, 3), (10 * 257, 20 * 257, 30 * 257 + 200), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    pixels, notes = read_image(tmp_path / "deep.png")
    assert pixels[:, 0, 0].tolist() == [31, 20, 10] and notes == ("deep.png: 16 bit to 8 bit",)

    Image.new("L", (6, 6), 77).save(tmp_path / "gray.jpg")
    assert read_image(tmp_path / "gray.jpg")[1] == ("gray.jpg: gray to RGB",)
    Image.new("RGB", (6, 6), (1, 2, 3)).convert("P").save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png")[1] == ("palette.png: palette to RGB",)


def test_source_images_are_resized_and_turned_and_say_so(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 4:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    tensor, notes = read_image(tmp_path / "a.png")
    assert tensor.shape == (3, 8, 4) and tensor[:, 0].eq(0).all() and tensor[:, -1].eq(255).all()
    assert "EXIF" in notes[0]
    tensor, notes = read_image(tmp_path / "a.png", size=(16, 16))
    assert tensor.shape == (3, 16, 16) and "resized from 4x8 to 16x16" in notes[-1]


# -- folders -----------------------------------------------------------------------------------------------------


def test_every_form_of_clip_is_found_and_ids_are_relative_paths_without_suffix(tmp_path: Path) -> None:
    clip = moving_square()
    write_video(tmp_path / "a.mp4", clip)
    write_video(tmp_path / "b.gif", clip)
    save_strip(tmp_path / "c.jpg", clip)
    save_frames(tmp_path / "d.mp4", clip)
    save_frames(tmp_path / "NAME/1.6/VIDEO", clip)
    (tmp_path / "d.mp4" / "notes.txt").write_text("stray")
    (tmp_path / ".hidden.mp4").write_text("hidden")
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    dataset = open_folder(tmp_path)
    clips = dataset.clips("test")
    assert [c.id for c in clips] == ["NAME/1.6/VIDEO", "a", "b", "c", "d"]
    assert clips[0].identity == "NAME"
    assert dataset.resolution == (32, 32) and dataset.name == tmp_path.name
    assert any("still.png" in note for note in dataset.notes)
    assert any("d.mp4/notes.txt" in note for note in dataset.notes)
    assert not any("hidden" in note for note in dataset.notes)
    for c in clips:
        frames = dataset.frames(c.id)
        assert frames.shape == (12, 3, 32, 32) and frames.dtype.is_floating_point is False
    assert np.array_equal(dataset.frames("d").permute(0, 2, 3, 1).numpy(), clip)
    with pytest.raises(BenchbedError, match=r"no split 'train'.*test"):
        dataset.clips("train")
    with pytest.raises(BenchbedError, match="no clip 'zzz'"):
        dataset.frames("zzz")


def test_train_and_test_folders_are_splits_and_test_ids_stay_plain(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_strip(tmp_path / split / "id1#v#0#9.png", moving_square())
    save_strip(tmp_path / "train" / "id2#v#0#9.png", moving_square())
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["id1#v#0#9"]
    assert [c.id for c in dataset.clips("train")] == ["train/id1#v#0#9", "id2#v#0#9"]
    assert [c.identity for c in dataset.clips("train")] == ["id1", "id2"]
    assert dataset.clip("id2#v#0#9").identity == "id2"


def test_identities_follow_the_fields_names() -> None:
    assert identity_of("id10270#abc#000010#000200.mp4") == "id10270"
    assert identity_of("NAME/1.6/VIDEO") == "NAME"
    assert identity_of("clip.mp4") == "clip.mp4"


def test_mixed_sizes_go_to_256_and_explicit_resolution_wins(tmp_path: Path) -> None:
    save_strip(tmp_path / "a.png", moving_square(3, 32))
    save_strip(tmp_path / "b.png", moving_square(3, 64))
    dataset = open_folder(tmp_path)
    assert dataset.resolution == (256, 256)
    assert any("resized from 32x32, 64x64 to 256x256" in note for note in dataset.notes)
    assert open_folder(tmp_path, resolution=64).frames("a").shape == (3, 3, 64, 64)
    with pytest.raises(BenchbedError, match="too small"):
        open_folder(tmp_path, resolution=2)


def test_frames_of_different_sizes_in_one_folder_are_each_resized(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, size in enumerate(((20, 30), (40, 40), (31, 17))):
        Image.new("RGB", size, (90, 90, 90)).save(folder / f"{index}.png")
    dataset = open_folder(tmp_path, resolution=32)
    frames = dataset.frames("clip")
    assert frames.shape == (3, 3, 32, 32) and frames.eq(90).all()
    assert any("stretched" in note for note in dataset.notes)


def test_a_broken_clip_fails_alone_and_names_itself(tmp_path: Path) -> None:
    save_strip(tmp_path / "good.png", moving_square())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    dataset = open_folder(tmp_path)
    assert dataset.resolution == (32, 32)
    assert [c.id for c in dataset.clips("test")] == ["broken", "empty", "good"]
    assert len(dataset.fingerprint) == 64
    for name in ("broken.png", "empty.mp4"):
        with pytest.raises(ClipError, match=name):
            dataset.frames(Path(name).stem)
    assert len(dataset.frames("good")) == 12


def test_missing_empty_and_stills_only_folders_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchbedError, match="does not exist"):
        open_folder(tmp_path / "missing")
    with pytest.raises(BenchbedError, match="holds no clip"):
        open_folder(tmp_path)
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    with pytest.raises(BenchbedError, match="1 still image ignored"):
        open_folder(tmp_path)
    (tmp_path / "test").mkdir()
    save_strip(tmp_path / "train/a.png", moving_square())
    with pytest.raises(BenchbedError, match=r"'test' .* is empty"):
        open_folder(tmp_path).clips("test")


def test_a_single_video_file_is_a_dataset_of_one_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", moving_square())
    dataset = open_folder(tmp_path / "one.mp4")
    assert dataset.name == "one" and [c.id for c in dataset.clips("test")] == ["one"]
    assert dataset.frames("one").shape == (12, 3, 32, 32)


def test_fingerprint_follows_content_and_rules_and_nothing_else(tmp_path: Path) -> None:
    names = ["b.png", "a.png", "c.png"]
    for folder, order in (("one", names), ("two", names[::-1])):
        for name in order:  # files are created in another order
            save_strip(tmp_path / folder / name, moving_square(3, 16, seed=ord(name[0]) - 97))
    one, two = open_folder(tmp_path / "one"), open_folder(tmp_path / "two")
    assert one.fingerprint == two.fingerprint == open_folder(tmp_path / "one").fingerprint
    others = [
        open_folder(tmp_path / "one", resolution=32).fingerprint,
        open_folder(tmp_path / "one", alpha="white").fingerprint,
    ]
    shutil.copyfile(tmp_path / "two/a.png", tmp_path / "two/b.png")
    others.append(open_folder(tmp_path / "two").fingerprint)
    shutil.move(tmp_path / "one/c.png", tmp_path / "one/d.png")
    others.append(open_folder(tmp_path / "one").fingerprint)
    assert len({two.fingerprint, *others}) == 5


def test_clips_come_in_the_same_order_whatever_the_folder_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.png", "a.png", "c.png"):
        save_strip(tmp_path / name, moving_square(2, 8))
    plain = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(plain(self), reverse=True)))
    assert [c.id for c in open_folder(tmp_path).clips("test")] == ["a", "b", "c"]


# -- real clips --------------------------------------------------------------------------------------------------

REAL_VIDEOS = {
    "vox/lia_driving1.mp4": (652, 256, 256),
    "vox/lia_driving2.mp4": (221, 256, 256),
    "vox/lia_driving3.mov": (446, 256, 256),
    "vox/tpsmm_driving.mp4": (169, 412, 410),
    "taichi/lia_driving1.mp4": (458, 256, 256),
    "taichi/lia_driving2.mp4": (280, 256, 256),
    "ted/lia_driving1.mp4": (160, 256, 256),
    "ted/lia_driving2.mp4": (130, 256, 256),
    "ted/lia_driving3.mp4": (133, 256, 256),
    "mgif/monkeynet_driving_128.png": (26, 128, 128),
    "mgif/monkeynet_source_128.png": (11, 128, 128),
    "mgif/dam_horse.gif": (11, 432, 864),
    "methods/ted_example3/driving.mp4": (96, 384, 384),
    "methods/ted_example3/pair2/fomm.mp4": (96, 384, 384),
    "methods/ted_example3/pair2/mraa.mp4": (96, 384, 384),
    "methods/taichi_example2/driving.mp4": (96, 256, 256),
    "methods/taichi_example2/pair1/fomm.mp4": (96, 256, 256),
    "methods/taichi_example2/pair1/mraa.mp4": (96, 256, 256),
}


@pytest.mark.parametrize("name", REAL_VIDEOS)
def test_real_videos_decode_with_their_known_frame_counts(shared: Path, name: str) -> None:
    assert read_video(shared / "data/clips" / name).frames.shape[:3] == REAL_VIDEOS[name]


def test_real_strips_under_a_wrong_suffix_decode_with_their_known_counts(shared: Path) -> None:
    dataset = open_folder(shared / "data/clips/actions")
    assert dataset.resolution == (64, 64)
    for split, clips, frames in (("train", 57, 4109), ("test", 15, 1181)):
        found = dataset.clips(split)
        assert (len(found), sum(len(dataset.frames(clip.id)) for clip in found)) == (clips, frames)


def test_real_frame_folders_of_mixed_sizes_decode(shared: Path) -> None:
    dataset = open_folder(shared / "data/clips/vox-frames", resolution=64)
    counts = {clip.id.rsplit("/", 1)[1]: len(dataset.frames(clip.id)) for clip in dataset.clips("test")}
    assert counts == {"nuBaabkzzzI": 195, "vBgiDYBCuxY": 49, "YqaVWHmGgtI": 25}
    assert {clip.identity for clip in dataset.clips("test")} == {"Taylor_Swift"}


@pytest.mark.parametrize("name", ["vox/lia_driving2.mp4", "vox/lia_driving3.mov", "taichi/lia_driving2.mp4"])
def test_a_real_video_cut_in_half_is_named(shared: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / Path(name).name
    shutil.copyfile(shared / "data/clips" / name, path)
    cut_in_half(path)
    with pytest.raises(ClipError, match=path.stem):
        read_video(path)


def test_real_images_of_sources_are_read(shared: Path) -> None:
    for path in sorted((shared / "data/clips/sources").iterdir()):
        tensor, _ = read_image(path, size=(64, 64))
        assert tensor.shape == (3, 64, 64)


def test_a_damaged_video_does_not_tell_the_size_of_the_others(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", np.zeros((4, 32, 32, 3), np.uint8))
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(30_000))
    dataset = open_folder(tmp_path)
    assert dataset.resolution == (32, 32)
    assert not any("0x0" in note for note in dataset.notes)
