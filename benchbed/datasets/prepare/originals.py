"""Originals read as a stream: only the frames that are asked for, each decoded once, nothing kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from benchbed.datasets.containers import declared_bytes, is_gif, is_image
from benchbed.datasets.images import check_readable, decode_image, reason_of, to_rgb
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.prepare.chunks import printed_rate
from benchbed.datasets.shards import StoredFile, stored_bytes
from benchbed.datasets.video_io import read_video
from benchbed.datasets.video_stream import DURATION_SLACK, FRAME_SLACK, HEADER_ERRORS
from benchbed.errors import ClipError

SEEK_SECONDS = 10  # over shorter gaps, decoding on costs less than going back to a key frame
# Seeking goes by decoding time, and frames just before a key frame may lack what they were coded from.
SEEK_MARGINS = (1.0, 20.0)
SAME_RATE = 0.01

Range = tuple[int, int | None]


class Original(Protocol):
    """An original that is being read.

    Attributes:
        rate: frames per second, None where nobody says.
        variable: whether the distance between its frames varies; a frame's number is then its time times `rate`.
        last: number of the last frame read, -1 before the first.
        cut_off: whether it ended before it should have; to be asked at its end.
    """

    rate: float | None
    variable: bool
    last: int

    @property
    def cut_off(self) -> bool: ...

    def frames(self, ranges: Iterable[Range]) -> Iterator[tuple[int, np.ndarray]]:
        """The frames whose numbers are in any of the ranges, in order.

        Args:
            ranges: (first number, number after the last; None for all that follow); they may overlap.

        Returns:
            (number, uint8 `[H, W, 3]` RGB).

        Raises:
            ClipError: the original is damaged; frames before the damage have been given.
        """
        ...


@contextmanager
def open_original(file: ClipFile, alpha: str = "drop", threads: int = 0) -> Iterator[Original]:
    """A video, a gif, a wide image or a folder of frames to read from, told by content.

    Args:
        alpha: what happens to the transparency of images and gifs: `drop` or `white`.
        threads: that decode a video; 0 for as many as the machine has cores.

    Raises:
        ClipError: the file is missing, empty or no readable video; the message names it.
    """
    if file.broken:
        raise ClipError(file.broken)
    path = file.files[0]
    if file.is_folder:
        yield _Pictures(lambda: (decode_image(frame, alpha)[0] for frame in file.files), None)
        return
    head = check_readable(path)
    if is_gif(head) or is_image(head):
        # Small by nature: nobody keeps hours in a gif.
        pictures = read_video(path, alpha)
        yield _Pictures(lambda: iter(pictures.frames), pictures.fps)
        return
    import av

    try:
        source = str(path) if isinstance(path, Path) else path.open("rb")
        container = av.open(source, metadata_errors="replace")
    except (av.FFmpegError, *HEADER_ERRORS) as error:
        raise ClipError(f"{path.name} is no readable video: {reason_of(error)}") from error
    with container:
        if not container.streams.video:
            raise ClipError(f"{path.name} holds no video stream")
        yield _Video(path, container, alpha, threads)


class _Pictures:
    """Frames that are there one by one."""

    variable = False
    cut_off = False

    def __init__(self, read: Callable[[], Iterator[np.ndarray]], rate: float | None) -> None:
        self._read = read
        self.rate = rate
        self.last = -1

    def frames(self, ranges: Iterable[Range]) -> Iterator[tuple[int, np.ndarray]]:
        wanted = _merged(ranges)
        for number, pixels in enumerate(self._read()):
            self.last = number
            if any(first <= number and (stop is None or number < stop) for first, stop in wanted):
                yield number, pixels


class _Video:
    """A video file; its rate is the one that ffmpeg prints."""

    def __init__(self, path: StoredFile, container: Any, alpha: str, threads: int) -> None:
        self.path = path
        self._alpha = alpha
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._stream.thread_count = threads
        average, base = self._stream.average_rate, self._stream.base_rate
        if not average and not base:
            raise ClipError(f"{path.name} states no frame rate; put it into another container")
        exact: Fraction = average or base
        # Of a constant rate the average is a little off where a frame is missing: over an hour it drifts.
        if base and abs(float(base / exact) - 1) < SAME_RATE:
            exact = base
        self._exact = exact
        self.rate: float | None = printed_rate(exact)
        fields = float(base / exact) if base else 1.0  # field-coded video counts two to a frame
        self.variable = abs(fields - round(fields)) > SAME_RATE
        self.last = -1
        self._origin: Fraction | None = None

    @property
    def promised(self) -> int:
        """The least number of frames that a whole file gives."""
        stream = self._stream
        if stream.frames:
            return stream.frames - FRAME_SLACK
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        elif self._container.duration:
            seconds = self._container.duration / 1e6
        else:
            return 0
        return int(seconds * self._exact * (1 - DURATION_SLACK)) - FRAME_SLACK

    @property
    def cut_off(self) -> bool:
        declared = declared_bytes(self.path)
        short = declared is not None and stored_bytes(self.path) < declared
        return short or (not self.variable and self.last + 1 < self.promised)

    def frames(self, ranges: Iterable[Range]) -> Iterator[tuple[int, np.ndarray]]:
        wanted = deque(_merged(ranges))
        gap = SEEK_SECONDS * self._exact
        sought: Range | None = None
        decoded = self._decoded()
        while wanted:
            for number, frame in decoded:
                while wanted and wanted[0][1] is not None and number >= wanted[0][1]:
                    wanted.popleft()
                if not wanted:
                    return
                if number >= wanted[0][0]:
                    yield number, self._pixels(frame)
                elif wanted[0][0] - number > gap and sought != wanted[0] and self._origin is not None:
                    sought = wanted[0]
                    decoded = self._sought(sought[0])
                    break
            else:
                return

    def _sought(self, number: int) -> Iterator[tuple[int, Any]]:
        """Frames from a key frame at or before the given number on; from the first one where seeking fails."""
        import av

        assert self._origin is not None
        base = self._stream.time_base
        for margin in SEEK_MARGINS:
            seconds = self._origin + number / self._exact - Fraction(margin)
            try:
                self._container.seek(int(seconds / base), stream=self._stream, backward=True)
            except (av.FFmpegError, ValueError):
                continue
            decoded = self._decoded()
            first = next(decoded, None)
            if first is not None and first[0] <= number:
                yield first
                yield from decoded
                return
        self._container.seek(0, stream=self._stream, backward=True)
        yield from self._decoded()

    def _decoded(self) -> Iterator[tuple[int, Any]]:
        import av

        try:
            for frame in self._container.decode(self._stream):
                self.last = self._number(frame)
                yield self.last, frame
        except (av.FFmpegError, *HEADER_ERRORS) as error:
            raise ClipError(
                f"{self.path.name} cannot be decoded after frame {self.last}: {reason_of(error)}"
            ) from error

    def _number(self, frame: Any) -> int:
        if frame.pts is None or self._stream.time_base is None:
            return self.last + 1
        time = frame.pts * self._stream.time_base
        if self._origin is None:
            self._origin = time
        return round((time - self._origin) * self._exact)

    def _pixels(self, frame: Any) -> np.ndarray:
        if frame.is_corrupt:
            raise ClipError(f"{self.path.name} is damaged at frame {self.last}")
        if self._alpha == "white" and any(component.is_alpha for component in frame.format.components):
            pixels = to_rgb(Image.fromarray(frame.to_ndarray(format="rgba")), self._alpha)
        else:
            pixels = frame.to_ndarray(format="rgb24")
        # As ffmpeg turns them; the display matrix counts counter-clockwise, and so does rot90.
        turned = round(getattr(frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turned)) if turned else pixels


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, stop in sorted(ranges, key=lambda one: one[0]):
        if stop is not None and stop <= first:
            continue
        before = merged[-1] if merged else None
        if before is None or (before[1] is not None and before[1] < first):
            merged.append((first, stop))
        elif before[1] is not None and (stop is None or stop > before[1]):
            merged[-1] = (before[0], stop)
    return merged
