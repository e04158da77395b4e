"""Which frames and which box of an original make a clip: the field's rule, to the last rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from benchbed.datasets.standard.metadata import MetadataRow


@dataclass(frozen=True)
class Chunk:
    """A clip to be made from an original.

    Args:
        split: `train` or `test`.
        name: of the clip, without suffix.
        start, end: frame numbers at `fps`, end exclusive; None for the whole video.
        fps: the rate that start and end count at; None where they count the original's own frames.
        box: (left, top, right, bottom) in pixels of a frame of `frame_size`; None for the whole frame.
        frame_size: (height, width) of the frames that the box was made on.
    """

    split: str
    name: str
    start: int | None = None
    end: int | None = None
    fps: float | None = None
    box: tuple[int, int, int, int] | None = None
    frame_size: tuple[int, int] | None = None


def chunk_of(row: MetadataRow) -> Chunk:
    """The clip that a row of a metadata table describes."""
    return Chunk(
        split=row.partition,
        name=row.name,
        start=row.start,
        end=row.end,
        fps=None if row.own_frames else row.fps,
        box=row.box,
        frame_size=(row.height, row.width),
    )


def printed_rate(rate: Fraction | float) -> float:
    """A frame rate as the field's scripts know it: as ffmpeg prints it, 30000/1001 as 29.97.

    imageio reads it off ffmpeg's output. With the exact rate, every clip of a 29.97 fps table would begin one frame
    later and end one frame later: 29.97003 * start is just above 29.97 * start.

    That imageio of the time read it so is assumed, not checked against one.
    """
    hundredths = round(float(rate) * 100)
    return hundredths / 100 if hundredths else round(float(rate), 4)


def frame_range(chunk: Chunk, rate: float) -> tuple[int, int | None]:
    """First frame number and the one after the last, of an original that runs at `rate` frames per second.

    Frame i belongs to the clip when `start * rate <= i * fps < end * rate`. Nothing is resampled: an original of
    another rate gives another number of frames.

    Args:
        rate: of the original, as `printed_rate` gives it.

    Returns:
        The range; its end is None for a clip that lasts as long as the original.

    Source: the FOMM scheme (video-preprocessing); float multiplications as the rule has them.
    """
    if chunk.start is None or chunk.end is None:
        return 0, None
    fps = chunk.fps if chunk.fps is not None else rate
    return _first_not_before(chunk.start, rate, fps), _first_not_before(chunk.end, rate, fps)


def _first_not_before(bound: int, rate: float, fps: float) -> int:
    """The smallest i with `i * fps >= bound * rate`."""
    number = max(0, math.floor(bound * rate / fps) - 1)  # one lower: division and product round differently
    while number * fps < bound * rate:
        number += 1
    return number


def crop_box(chunk: Chunk, height: int, width: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) in a frame of `height` x `width` pixels, cut off at its border.

    Coordinates are divided by the ratio of the sizes and truncated, then sliced: what reaches outside is shorter, as
    in the field's crops, and may be nothing at all.

    Source: the FOMM scheme (video-preprocessing); float divisions as the rule has them.
    """
    if chunk.box is None or chunk.frame_size is None:
        return 0, 0, width, height
    reference_height, reference_width = chunk.frame_size
    left, top, right, bottom = chunk.box
    return (
        min(int(left / (reference_width / width)), width),
        min(int(top / (reference_height / height)), height),
        min(int(right / (reference_width / width)), width),
        min(int(bottom / (reference_height / height)), height),
    )


def distorts(chunk: Chunk, height: int, width: int) -> bool:
    """Whether a frame has another aspect ratio than the one that the box was made on (by more than 2 %)."""
    if chunk.frame_size is None:
        return False
    ratio = (width * chunk.frame_size[0]) / (height * chunk.frame_size[1])
    return abs(ratio - 1) > 0.02
