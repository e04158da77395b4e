"""Which frames and which box of an original make a clip, against the rule written out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.prepare.chunks import Chunk, chunk_of, crop_box, distorts, frame_range, printed_rate
from benchbed.datasets.prepare.originals import open_original
from benchbed.datasets.standard.metadata import read_metadata
from benchbed.errors import ClipError

from .originals import drawn, row, write_lossless, write_metadata


def chunk(start: int, end: int, fps: float, box=(0, 0, 64, 48), size=(48, 64)) -> Chunk:
    return Chunk("test", "a", start, end, fps, box, size)


def plain_range(start: int, end: int, fps: float, rate: float) -> list[int]:
    """Every frame number looked at."""
    return [i for i in range(4000) if start * rate <= i * fps < end * rate]


@pytest.mark.parametrize("rate", [10.0, 23.98, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94])
@pytest.mark.parametrize("fps", [10.0, 23.97, 25.0, 29.97, 50.0, 59.94])
def test_frame_ranges_are_those_of_the_rule_for_every_rate(fps: float, rate: float) -> None:
    random = np.random.default_rng(0)
    for start in [0, 1, 500, *random.integers(0, 500, 8)]:
        for length in (1, 2, 64, 127):
            first, stop = frame_range(chunk(int(start), int(start) + length, fps), rate)
            assert list(range(first, stop or 0)) == plain_range(int(start), int(start) + length, fps, rate)


def test_a_29_97_clip_of_a_29_97_stream_has_end_minus_start_frames_from_start() -> None:
    assert printed_rate(Fraction(30000, 1001)) == 29.97
    first, stop = frame_range(chunk(10_440, 10_764, 29.97), printed_rate(Fraction(30000, 1001)))
    assert (first, stop) == (10_440, 10_764)
    # with the exact rate the clip would begin a frame later
    assert frame_range(chunk(10_440, 10_764, 29.97), 30000 / 1001)[0] == 10_441


def test_a_59_94_clip_of_a_29_97_stream_has_half_the_frames() -> None:
    first, stop = frame_range(chunk(1000, 1300, 59.94), 29.97)
    assert (first, stop) == (500, 650)


def test_rates_are_printed_as_ffmpeg_prints_them() -> None:
    for rate, printed in (
        (Fraction(60000, 1001), 59.94),
        (Fraction(24000, 1001), 23.98),
        (Fraction(25), 25.0),
        (Fraction(1, 300), 0.0033),
    ):
        assert printed_rate(rate) == printed


@pytest.mark.parametrize(("height", "width"), [(48, 64), (36, 64), (101, 77), (480, 640), (24, 32)])
def test_boxes_are_scaled_truncated_and_sliced_as_the_script_does(height: int, width: int) -> None:
    frame = np.arange(height * width).reshape(height, width)
    random = np.random.default_rng(1)
    for _ in range(50):
        left, top = (int(value) for value in random.integers(0, 40, 2))
        right, bottom = left + int(random.integers(1, 60)), top + int(random.integers(1, 40))
        one = chunk(0, 1, 25, (left, top, right, bottom))
        x0, y0, x1, y1 = crop_box(one, height, width)
        down, across = 48 / height, 64 / width
        plain = frame[int(top / down) : int(bottom / down), int(left / across) : int(right / across)]
        assert np.array_equal(frame[y0:y1, x0:x1], plain)
        assert plain.shape == (max(0, y1 - y0), max(0, x1 - x0))


def test_a_box_that_reaches_outside_is_shorter_and_one_that_lies_outside_is_empty() -> None:
    assert crop_box(chunk(0, 1, 25, (50, 40, 100, 90)), 48, 64) == (50, 40, 64, 48)
    left, _, right, _ = crop_box(chunk(0, 1, 25, (70, 0, 90, 10)), 48, 64)
    assert right - left == 0


def test_another_aspect_ratio_is_noticed_and_another_scale_is_not() -> None:
    assert not distorts(chunk(0, 1, 25), 480, 640)
    assert distorts(chunk(0, 1, 25), 480, 854)


def test_ranges_in_names_count_the_originals_own_frames(tmp_path: Path) -> None:
    table = write_metadata(tmp_path / "ted.csv", [row("id#000100#000180", 0, 0, "0-0-9-9", fps=10.0)])
    (one,) = read_metadata(table).rows
    assert frame_range(chunk_of(one), 25.0) == (100, 180)
    assert one.name == "id#000100#000180"


# -- streams -----------------------------------------------------------------------------------------------------


def read(path: Path, ranges) -> dict[int, np.ndarray]:
    with open_original(ClipFile(path.name, (path,), is_folder=False), threads=1) as original:
        return dict(original.frames(ranges))


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60000, 1001)])
def test_frames_after_a_seek_are_those_of_plain_decoding(tmp_path: Path, rate: Fraction) -> None:
    frames = drawn(2000, 16, 16)
    write_lossless(tmp_path / "a.mp4", frames, rate, key_every=50)
    ranges = [(3, 5), (1201, 1203), (1203, 1210), (1990, 2500)]
    found = read(tmp_path / "a.mp4", ranges)
    assert sorted(found) == [3, 4, *range(1201, 1210), *range(1990, 2000)]
    assert all(np.array_equal(found[number], frames[number]) for number in found)


def test_only_what_is_needed_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lossless(tmp_path / "a.mp4", drawn(2000, 16, 16), key_every=50)
    from benchbed.datasets.prepare import originals

    seen = []
    plain = originals._Video._number

    def counted(self, frame) -> int:
        seen.append(1)
        return plain(self, frame)

    monkeypatch.setattr(originals._Video, "_number", counted)
    assert len(read(tmp_path / "a.mp4", [(1500, 1510)])) == 10
    assert len(seen) < 150  # a second of margin, a group of frames, the ten


def test_a_video_with_one_key_frame_is_read_all_the_same(tmp_path: Path) -> None:
    frames = drawn(600, 16, 16)
    write_lossless(tmp_path / "a.mp4", frames, key_every=10_000)
    found = read(tmp_path / "a.mp4", [(2, 3), (590, 592)])
    assert all(np.array_equal(found[number], frames[number]) for number in (2, 590, 591))


def test_frames_of_a_variable_rate_are_taken_by_their_time(tmp_path: Path) -> None:
    # 25 frames per second, then a second of stillness, then 25 again
    times = [40 * i for i in range(50)] + [3000 + 40 * i for i in range(50)]
    frames = drawn(100, 16, 16)
    write_lossless(tmp_path / "a.mkv", frames, 25, times=times)
    with open_original(ClipFile("a", (tmp_path / "a.mkv",), is_folder=False)) as original:
        assert original.rate is not None
        second = int(3 * original.rate)
        found = [number for number, _ in original.frames([(second, None)])]
    assert len(found) == 50


def test_a_video_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_lossless(path, np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = {}
    with open_original(ClipFile("a.mkv", (path,), is_folder=False)) as original:
        try:
            for number, pixels in original.frames([(0, None)]):
                found[number] = pixels
        except ClipError as error:
            assert "a.mkv" in str(error)
        else:
            assert original.cut_off
    assert 20 < len(found) < 80


def test_text_and_empty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 50)
    (tmp_path / "empty.mp4").touch()
    for name in ("text.mp4", "empty.mp4"):
        with pytest.raises(ClipError, match=name):
            read(tmp_path / name, [(0, None)])
