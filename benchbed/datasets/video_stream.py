"""Frames of a video container: all of them in order, or some by number after a seek to the key frame before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchbed.datasets.containers import declared_bytes
from benchbed.datasets.images import reason_of
from benchbed.datasets.shards import StoredFile, stored_bytes
from benchbed.datasets.video_pixels import Behind, Pixels, Rows, choose_threads
from benchbed.errors import ClipError

# Containers count frames that decoders drop or hide (edit lists, a broken last group): so many are no damage.
FRAME_SLACK = 2
# Containers without a frame count state a duration only, whose last frame's share is guessed by writers.
DURATION_SLACK = 0.1
# Frame times are multiples of the container's clock; further apart than so many ticks, the rate is no constant.
CLOCK_TICKS = 2
RATE_SLACK = 0.1
# What PyAV raises beside its own errors on headers with absurd numbers and texts.
HEADER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)
# One packet of these shows one frame, and frames leave the decoder in the order of their times.
PACKET_IS_FRAME = frozenset(
    [
        "h264",
        "hevc",
        "av1",
        "vp9",
        "mpeg4",
        "mjpeg",
        "png",
        "ffv1",
        "rawvideo",
        "huffyuv",
        "ffvhuff",
        "utvideo",
        "qtrle",
    ]
)
# Frames so near the start are decoded from it: no packet has to be looked at.
NEAR_START = 12


@dataclass(frozen=True)
class DecodedVideo:
    """All frames of one clip.

    Args:
        frames: uint8 `[T, H, W, 3]` RGB, T at least 1.
        fps: frames per second as the container says, None where it does not.
        notes: what was converted (`alpha dropped`, `turned by 90 degrees`, ...).
    """

    frames: np.ndarray
    fps: float | None
    notes: tuple[str, ...] = ()


@contextmanager
def opened_video(file: StoredFile, decoded: Sized = ()) -> Iterator:
    """A container and its first video stream; what PyAV raises inside the block becomes a sentence.

    Args:
        file: on disk or in a shard.
        decoded: what the caller has decoded when an error comes: its length is told.

    Raises:
        ClipError: no readable video.
    """
    import av

    try:
        source = str(file) if isinstance(file, Path) else file.open("rb")
        with av.open(source, metadata_errors="replace") as container:
            if not container.streams.video:
                raise ClipError(f"{file} holds no video stream; replace the file")
            yield container, container.streams.video[0]
    except (av.FFmpegError, *HEADER_ERRORS) as error:
        if not len(decoded):
            raise ClipError(
                f"{file} is no readable video: {reason_of(error)}; it is corrupt, cut off or of an unknown kind"
            ) from error
        raise ClipError(
            f"{file} cannot be decoded after {len(decoded)} frames: {reason_of(error)}; replace the file"
        ) from error


def read_container(file: StoredFile, alpha: str) -> DecodedVideo:
    """All frames, in the order they are shown.

    Raises:
        ClipError: truncated, corrupt or no video; the message names the file.
    """
    _check_length(file)
    times: list[int | None] = []
    with opened_video(file, times) as (container, stream):
        choose_threads(stream)
        fps = float(stream.average_rate) if stream.average_rate else None
        clock = stream.time_base
        rows = Rows(stream.frames)
        to_pixels = Pixels(file, alpha)
        with Behind(lambda frame: rows.add(to_pixels(frame, rows.used))) as convert:
            for frame in container.decode(stream):
                convert(frame)
                times.append(frame.pts)
        _check_complete(file, container, stream, len(times))
    notes = list(to_pixels.notes)
    if _varies(times, clock):
        notes.append("variable frame rate: every frame counts once, however long it was shown")
    return DecodedVideo(rows.taken(), fps, tuple(notes))


def read_container_at(file: StoredFile, numbers: Sequence[int], alpha: str) -> np.ndarray:
    """Some frames of a container, equal to those of `read_container`, without decoding all the others.

    Args:
        file: on disk or in a shard.
        numbers: frame numbers, not negative; in any order, also repeated.
        alpha: as `read_video` takes it.

    Returns:
        uint8 `[N, H, W, 3]`.

    Raises:
        ClipError: what was read of it is damaged, or it has no such frame.
    """
    wanted = sorted(set(numbers))
    _check_length(file)
    found: dict[int, np.ndarray] | None = None
    if wanted[-1] >= NEAR_START:
        table = timetable(file)
        if table is not None and wanted[-1] >= len(table.shown):
            raise no_such_frame(file, wanted[-1], len(table.shown))
        found = None if table is None else _after_seeks(file, wanted, alpha, table)
    if (
        found is None
    ):  # its packets do not tell, or seeking met something odd: decoding from the start is the truth
        found = _from_start(file, wanted, alpha)
    return np.stack([found[number] for number in numbers])


def container_length(file: StoredFile) -> int | None:
    """How many frames `read_container` gives; None where only decoding can tell.

    Raises:
        ClipError: the container cannot be read, or is truncated.
    """
    _check_length(file)
    table = timetable(file)
    return None if table is None else len(table.shown)


@dataclass(frozen=True)
class Timetable:
    """When the frames of a container are shown, and where decoding can start; times in ticks of its clock.

    Args:
        shown: of every frame, sorted: the place is the frame's number.
        keys: of key frames, sorted.
        key_positions: their decoding times, by which containers seek.
        droppable: whether frames that no other one refers to may be left out of decoding.
    """

    shown: np.ndarray
    keys: np.ndarray
    key_positions: np.ndarray
    droppable: bool


def timetable(file: StoredFile) -> Timetable | None:
    """A container's timetable, from its packets alone; None where they do not tell frames for sure.

    Raises:
        ClipError: the container cannot be read, or is truncated.
    """
    stat = (file if isinstance(file, Path) else file.shard).stat()
    return _timetable(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2048)
def _timetable(file: StoredFile, size: int, modified: int) -> Timetable | None:
    shown: list[int] = []
    keys: list[tuple[int, int]] = []
    with opened_video(file) as (container, stream):
        codec = stream.codec_context.codec.canonical_name
        if codec not in PACKET_IS_FRAME:
            return None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.dts is None or packet.is_corrupt:
                return None
            if packet.is_keyframe:
                keys.append((packet.pts, packet.dts))
            if not packet.is_discard:  # an edit list hides the others
                shown.append(packet.pts)
        _check_complete(file, container, stream, len(shown))
    shown.sort()
    # Frames before the first key frame depend on what was cut away: which of them decoders show is theirs to say.
    if not shown or not keys or shown[0] < keys[0][0] or len(set(shown)) < len(shown):
        return None
    keys.sort()
    return Timetable(
        np.array(shown),
        np.array([key[0] for key in keys]),
        np.array([key[1] for key in keys]),
        codec == "h264",
    )


def no_such_frame(file: StoredFile | str, number: int, length: int) -> ClipError:
    """The error of asking for a frame behind the last one."""
    return ClipError(f"{file} has {length} frames, numbered from 0; frame {number} was asked for")


def _after_seeks(
    file: StoredFile, wanted: Sequence[int], alpha: str, table: Timetable
) -> dict[int, np.ndarray] | None:
    """The wanted frames by number, each group from the key frame before it; None where one did not turn up."""
    groups: dict[int, dict[int, int]] = {}
    for number in wanted:
        time = int(table.shown[number])
        groups.setdefault(int(np.searchsorted(table.keys, time, "right")) - 1, {})[time] = number
    to_pixels = Pixels(file, alpha)
    found: dict[int, np.ndarray] = {}
    try:
        with opened_video(file, found) as (container, stream):
            choose_threads(stream)
            for key, numbers in groups.items():
                container.seek(int(table.key_positions[key]), stream=stream)
                if not _decode_group(
                    container, stream, int(table.keys[key]), numbers, table, to_pixels, found
                ):
                    return None
    except ClipError:
        return None
    return found


def _decode_group(
    container, stream, key: int, numbers: dict[int, int], table: Timetable, to_pixels: Pixels, found: dict
) -> bool:
    missing, started = set(numbers), False
    for packet in container.demux(stream):
        if not started:
            if packet.pts is None or packet.pts > key:
                return False  # the seek went too far
            started = packet.pts == key
            if not started:
                continue
        if table.droppable:
            # a frame nobody waits for and no other one refers to need not be decoded
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in missing else "NONREF"
        for frame in packet.decode():
            if frame.pts in missing:
                missing.remove(frame.pts)
                number = numbers[frame.pts]
                found[number] = to_pixels(frame, number)
        if not missing:
            return True
    return False


def _from_start(file: StoredFile, wanted: Sequence[int], alpha: str) -> dict[int, np.ndarray]:
    """The wanted frames by number, decoded from the first one to the last of them."""
    to_pixels = Pixels(file, alpha)
    found: dict[int, np.ndarray] = {}
    asked = set(wanted)
    passed: list[int] = []
    with opened_video(file, passed) as (container, stream):
        choose_threads(stream)
        for number, frame in enumerate(container.decode(stream)):
            if number in asked:
                found[number] = to_pixels(frame, number)
                if len(found) == len(asked):
                    return found
            elif frame.is_corrupt:
                raise ClipError(f"{file} is damaged at frame {number}; replace the file")
            passed.append(number)
        _check_complete(file, container, stream, len(passed))
    raise no_such_frame(file, wanted[-1], len(passed))


def _check_length(file: StoredFile) -> None:
    declared, actual = declared_bytes(file), stored_bytes(file)
    if declared is not None and actual < declared:
        raise ClipError(f"{file} is truncated: it has {actual} bytes of the {declared} its header declares")


def _check_complete(file: StoredFile, container, stream, count: int) -> None:
    """Compare the frames that came out of a container with what it promises."""
    if not count:
        raise ClipError(f"{file} holds no decodable frame; replace the file")
    expected = _expected_frames(container, stream)
    if count < expected and "mov" in container.format.name:
        # mp4 counts the frames that its edit list hides, too; its index knows them apart
        expected = min(expected, sum(not entry.is_discard for entry in stream.index_entries) - FRAME_SLACK)
    if count < expected:
        raise ClipError(
            f"{file} is truncated: it has {count} frames, its container promises {expected} or more"
        )


def _expected_frames(container, stream) -> int:
    """The least number of frames that a whole file gives, by its headers."""
    if stream.frames:
        return stream.frames - FRAME_SLACK
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    else:
        return 1
    fps = float(stream.average_rate) if stream.average_rate else None
    return int(seconds * fps * (1 - DURATION_SLACK)) - FRAME_SLACK if fps else 1


def _varies(times: Sequence[int | None], clock) -> bool:
    """Whether frames are shown for different times, beyond what rounding to the clock explains."""
    known = [time for time in times if time is not None]
    if len(known) < 3 or len(known) < len(times) or not clock:
        return False
    steps = np.diff(np.array(known[:-1]))  # the last frame's place is the writer's guess
    return bool(len(steps)) and int(steps.max() - steps.min()) > max(
        CLOCK_TICKS, RATE_SLACK * float(np.median(steps))
    )
