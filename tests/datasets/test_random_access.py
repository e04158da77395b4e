"""Frame i by itself equals frame i of the whole clip, and the rest is not decoded."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from benchbed.datasets import video_stream
from benchbed.datasets.video_folder import open_folder
from benchbed.datasets.video_io import read_frames, read_video, video_length, write_video
from benchbed.errors import BenchbedError, ClipError
from benchbed.executors.lane import ClipReader
from benchbed.interfaces.dataset import frame_count, frames_at
from benchbed.training.pairs import FrameStore

from .drawn_clips import encode, moving_square, noise, save_frames, save_strip

REAL = [
    "vox/lia_driving1.mp4",
    "vox/lia_driving3.mov",
    "vox/tpsmm_driving.mp4",
    "taichi/lia_driving1.mp4",
    "ted/lia_driving2.mp4",
    "mgif/dam_horse.gif",
    "mgif/monkeynet_driving_128.png",
]


def assert_every_access_is_exact(path: Path, numbers: list[list[int]], alpha: str = "drop") -> None:
    whole = read_video(path, alpha).frames
    assert video_length(path) == len(whole)
    for some in numbers:
        assert np.array_equal(read_frames(path, some, alpha), whole[some]), some


@pytest.mark.parametrize("name", REAL)
def test_frames_of_real_clips_by_number_equal_those_of_the_whole(shared: Path, name: str) -> None:
    path = shared / "data/clips" / name
    length = video_length(path)
    drawn = np.random.default_rng(0).integers(0, length, (3, 2)).tolist()
    assert_every_access_is_exact(path, [[0], [length - 1], [length // 2, 1, length // 2], *drawn])


CODINGS = {
    "b-pyramid.mp4": ("libx264", "yuv420p", {"x264-params": "keyint=12:bframes=3:b-pyramid=normal"}),
    "open-gop.mp4": ("libx264", "yuv420p", {"x264-params": "keyint=8:open-gop=1:bframes=3"}),
    "no-key-frames.mp4": ("libx264", "yuv420p", {"x264-params": "keyint=10:intra-refresh=1:bframes=0"}),
    "one-group.mkv": ("libx264", "yuv444p", {"x264-params": "keyint=250:bframes=3"}),
    "ten-bit.mp4": ("libx264", "yuv420p10le", {}),
    "packed.avi": ("mpeg4", "yuv420p", {"bf": "2"}),
    "hidden-frames.webm": ("libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    "hidden-frames9.webm": ("libvpx-vp9", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    "fields.mpg": ("mpeg2video", "yuv420p", {"bf": "2"}),
    "alpha.mov": ("png", "rgba", {}),
}


@pytest.mark.parametrize("name", CODINGS)
def test_every_frame_of_every_coding_is_reached_exactly(tmp_path: Path, name: str) -> None:
    codec, form, options = CODINGS[name]
    encode(tmp_path / name, moving_square(40, 48), codec, form, options)
    length = len(read_video(tmp_path / name).frames)
    numbers = [[number] for number in range(0, length, 3)] + [[length - 1, 0, length // 2]]
    for alpha in ("drop", "white"):
        assert_every_access_is_exact(tmp_path / name, numbers, alpha)


def test_frames_shown_at_uneven_times_are_counted_one_by_one(tmp_path: Path) -> None:
    times = np.cumsum([1, 4, 9, 2, 30] * 8).tolist()
    encode(tmp_path / "a.mp4", moving_square(40, 48), times=times, options={"g": "10"})
    assert len(read_video(tmp_path / "a.mp4").frames) == 40
    assert_every_access_is_exact(tmp_path / "a.mp4", [[n] for n in range(0, 40, 3)])


@pytest.mark.parametrize("hidden", [5, 12, 23])
def test_frames_that_an_edit_list_hides_have_no_number(tmp_path: Path, hidden: int) -> None:
    path = tmp_path / "a.mp4"
    encode(path, moving_square(40, 48), options={"x264-params": "keyint=10:bframes=2"})
    plain = read_video(path).frames
    content = bytearray(path.read_bytes())
    entry = content.index(b"elst") + 12  # behind version, flags and the number of entries
    duration, start = struct.unpack_from(">II", content, entry)
    ticks = int.from_bytes(content[content.index(b"mdhd") + 16 : content.index(b"mdhd") + 20], "big") // 25
    struct.pack_into(">II", content, entry, duration * (40 - hidden) // 40, start + hidden * ticks)
    path.write_bytes(content)
    shown = read_video(path).frames
    assert np.array_equal(shown, plain[hidden:])
    assert_every_access_is_exact(path, [[n] for n in range(0, len(shown), 3)])


def test_what_is_not_asked_for_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    encode(path, noise(40), options={"g": "4", "bf": "0"})
    whole = read_video(path).frames
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"a\.mp4"):
        read_video(path)
    assert np.array_equal(read_frames(path, [0, 38, 5]), whole[[0, 38, 5]])
    monkeypatch.setattr(video_stream, "timetable", None)  # the first frames need no look at the packets
    assert np.array_equal(read_frames(path, [3, 0]), whole[[3, 0]])


def test_a_number_behind_the_last_frame_is_named_with_the_clip(tmp_path: Path) -> None:
    clip = moving_square()
    write_video(tmp_path / "a.mp4", clip)
    write_video(tmp_path / "b.gif", clip)
    save_strip(tmp_path / "c.png", clip)
    save_frames(tmp_path / "d", clip)
    dataset = open_folder(tmp_path)
    for one in dataset.clips("test"):
        for number in (12, 400):
            with pytest.raises(ClipError, match=rf"{one.id}\b.* has 12 frames.*frame {number} was asked for"):
                dataset.frames_at(one.id, [0, number])
        with pytest.raises(BenchbedError, match="start at 0"):
            dataset.frames_at(one.id, [-1])
        with pytest.raises(BenchbedError, match="start at 0"):
            dataset.frames_at(one.id, [])


def test_a_truncated_clip_is_named_before_its_frames_are_counted_or_sought(tmp_path: Path) -> None:
    for name, options in (("a.mkv", {}), ("b.mp4", {"movflags": "faststart"})):
        write_video(tmp_path / name, noise(40))
        if options:
            import av

            with (
                av.open(str(tmp_path / name)) as old,
                av.open(str(tmp_path / "c.mp4"), "w", options=options) as new,
            ):
                stream = new.add_stream_from_template(old.streams.video[0])
                for packet in old.demux(old.streams.video[0]):
                    if packet.dts is not None:
                        packet.stream = stream
                        new.mux(packet)
            (tmp_path / "c.mp4").replace(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        for call in (lambda path: video_length(path), lambda path: read_frames(path, [20])):
            with pytest.raises(ClipError, match=rf"{name} (is truncated|cannot be decoded after \d+ frames)"):
                call(tmp_path / name)


def test_datasets_give_single_frames_resized_as_whole_clips_are(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(30, 48))
    save_frames(tmp_path / "b", moving_square(5, 20))
    for resolution in (48, 32):
        plain, random = (open_folder(tmp_path, resolution=resolution) for _ in range(2))
        for clip, numbers in (("a", [29, 0, 14]), ("b", [4, 4, 1])):
            assert random.frames_at(clip, numbers).equal(plain.frames(clip)[numbers])
            assert plain.frames_at(clip, numbers).equal(plain.frames(clip)[numbers])  # decoded already
            assert random.frame_count(clip) == len(plain.frames(clip))


class Whole:
    """A data set of somebody else, without random access."""

    def __init__(self, dataset) -> None:
        self.frames = dataset.frames


class Counted:
    """A data set that tells which clips were decoded whole."""

    def __init__(self, dataset) -> None:
        self._dataset = dataset
        self.resolution = dataset.resolution
        self.frames_at, self.frame_count = dataset.frames_at, dataset.frame_count
        self.whole: list[str] = []

    def frames(self, clip_id: str):
        self.whole.append(clip_id)
        return self._dataset.frames(clip_id)


def test_data_sets_without_random_access_give_the_same_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", moving_square(30))
    dataset = open_folder(tmp_path)
    for one in (dataset, Whole(dataset)):
        assert frame_count(one, "a") == 30
        assert frames_at(one, "a", [7, 2]).equal(dataset.frames("a")[[7, 2]])


def test_a_source_clip_is_decoded_whole_only_where_several_of_its_frames_are_looked_at(
    tmp_path: Path,
) -> None:
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", moving_square(30, seed=ord(name) - 97))
    plain, counted = open_folder(tmp_path), Counted(open_folder(tmp_path))
    reader = ClipReader(counted)
    try:
        source = reader.source("a")
        assert source.shape == (30, 3, 32, 32)
        assert source[0:1].equal(plain.frames("a")[:1]) and source[29:30].equal(plain.frames("a")[29:])
        assert reader.frames_at("a", [3, 1]).equal(plain.frames("a")[[3, 1]])
        assert counted.whole == []
        assert source[16:32].equal(plain.frames("a")[16:]) and source[0:16].equal(plain.frames("a")[:16])
        assert counted.whole == ["a"]
        reader.frames("b")
        assert reader.source("b")[0:16].equal(plain.frames("b")[:16])
        assert counted.whole == ["a", "b"]
    finally:
        reader.close()


def test_training_beyond_the_memory_budget_decodes_the_drawn_frames_alone(tmp_path: Path) -> None:
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", moving_square(30, seed=ord(name) - 97))
    plain = open_folder(tmp_path)
    for dataset in (Counted(open_folder(tmp_path)), Whole(open_folder(tmp_path))):
        store = FrameStore(dataset, ["a", "b"], memory_budget=0)
        for clip in "abab":
            assert store.length(clip) == 30 and not store.all_in_memory
            assert store.take(clip, [4, 22]).equal(plain.frames(clip)[[4, 22]])
        assert getattr(dataset, "whole", []) == []
