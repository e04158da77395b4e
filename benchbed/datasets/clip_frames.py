"""Frames of a clip in any layout, at one size: all of them, some by number, or only how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchbed.datasets.images import decode_image
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.shards import StoredFile
from benchbed.datasets.video_io import read_frames, read_video, video_length
from benchbed.datasets.video_stream import no_such_frame
from benchbed.errors import BenchbedError, ClipError
from benchbed.frames import resize_frames

if TYPE_CHECKING:
    from torch import Tensor


def decode_clip(clip: ClipFile, alpha: str, size: tuple[int, int]) -> np.ndarray:
    """All frames, uint8 `[T, height, width, 3]` RGB.

    Args:
        clip: where they are.
        alpha: `drop` or `white`, see `benchbed.datasets.images.to_rgb`.
        size: (height, width) to resize to, stretched.

    Raises:
        ClipError: corrupt, empty or truncated; the message names the file.
    """
    _check_whole(clip)
    if clip.is_folder:
        return _decode_images(clip.files, alpha, size)
    return resize_frames(read_video(clip.files[0], alpha).frames, size)


def decode_frames(clip: ClipFile, numbers: Sequence[int], alpha: str, size: tuple[int, int]) -> np.ndarray:
    """The frames of those numbers, as `decode_clip` has them, decoding as few others as the layout allows.

    Args:
        clip, alpha, size: as for `decode_clip`.
        numbers: from 0, in any order, also repeated; not empty.

    Raises:
        ClipError: what was read is damaged, or there is no such frame.
    """
    _check_whole(clip)
    if not len(numbers) or min(numbers) < 0:
        raise BenchbedError(f"clip '{clip.id}': frame numbers start at 0, got {list(numbers)}")
    if not clip.is_folder:
        return resize_frames(read_frames(clip.files[0], numbers, alpha), size)
    if max(numbers) >= len(clip.files):
        raise no_such_frame(clip.id, max(numbers), len(clip.files))
    return _decode_images([clip.files[number] for number in numbers], alpha, size)


def clip_length(clip: ClipFile) -> int:
    """How many frames `decode_clip` gives, without decoding where headers are to be trusted.

    Raises:
        ClipError: corrupt, empty or truncated, as far as it was read.
    """
    _check_whole(clip)
    return len(clip.files) if clip.is_folder else video_length(clip.files[0])


def planes(frames: np.ndarray) -> Tensor:
    """Frames `[T, H, W, 3]` as a contiguous tensor `[T, 3, H, W]`."""
    import cv2
    import torch

    count, height, width, _ = frames.shape
    separate = np.empty((count, 3, height, width), np.uint8)
    for frame, channels in zip(frames, separate, strict=True):
        cv2.split(frame, list(channels))  # twice as fast as a transposing copy
    return torch.from_numpy(separate)


def _check_whole(clip: ClipFile) -> None:
    if clip.broken:
        raise ClipError(clip.broken)


def _decode_images(files: Sequence[StoredFile], alpha: str, size: tuple[int, int]) -> np.ndarray:
    frames = np.empty((len(files), *size, 3), np.uint8)
    for place, file in zip(frames, files, strict=True):
        place[:] = resize_frames(decode_image(file, alpha)[0][None], size)[0]
    return frames
