"""The three ways of bringing frames to the Inception network's 299x299; each makes another FID of the same frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

INPUT_SIZE = (299, 299)
# Keys' cubic as PIL has it.
CUBIC = -0.5
CUBIC_REACH = 2.0


def resize_pytorch_fid(frames: Tensor) -> Tensor:
    """Network input `[N, 3, 299, 299]` of frames `[N, 3, H, W]` in [0, 1]: bilinear, never antialiased, to [-1, 1].

    Source: pytorch-fid 0.3.0.
    """
    resized = functional.interpolate(frames, size=INPUT_SIZE, mode="bilinear", align_corners=False)
    return 2 * resized - 1


def resize_clean(frames: Tensor) -> Tensor:
    """Network input of frames in [0, 1]: PIL's bicubic on float values, antialiased, clipped to 0..255.

    Centred and divided as clean-fid's own network does it: (x - 128) / 128.

    Source: Parmar, Zhang and Zhu 2022; clean-fid, mode `clean`.
    """
    # Two matrix products: torch's own antialiased bicubic has taps in float32 and differs by 3e-3 levels.
    rows = torch.from_numpy(_cubic_taps(frames.shape[2], INPUT_SIZE[0])).to(frames)
    columns = torch.from_numpy(_cubic_taps(frames.shape[3], INPUT_SIZE[1])).to(frames)
    resized = rows @ (255 * frames @ columns.T)
    return (resized.clamp(0, 255) - 128) / 128


def resize_tensorflow(frames: Tensor) -> Tensor:
    """Network input of frames in [0, 1]: TensorFlow 1's bilinear, which samples from the corner, (x - 128) / 128.

    Source: TensorFlow 1 `resize_bilinear` with align_corners=False; torch-fidelity uses the same rule.
    """
    levels = 255 * frames
    left, right, across = _corner_taps(levels.shape[3], INPUT_SIZE[1], levels)
    top, bottom, down = _corner_taps(levels.shape[2], INPUT_SIZE[0], levels)
    first, second = levels.index_select(3, left), levels.index_select(3, right)
    rows = first + (second - first) * across
    upper, lower = rows.index_select(2, top), rows.index_select(2, bottom)
    return (upper + (lower - upper) * down[:, None] - 128) / 128


RESIZES: dict[str, Callable[[Tensor], Tensor]] = {
    "pytorch-fid": resize_pytorch_fid,
    "clean": resize_clean,
    "tensorflow": resize_tensorflow,
}


def _corner_taps(size: int, new_size: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Index of the pixel before and after each new position `[new_size]`, and how far it lies between them."""
    scale = torch.tensor(size / new_size, dtype=torch.float32, device=like.device)
    positions = torch.arange(new_size, dtype=like.dtype, device=like.device) * scale
    before = positions.long()
    return before, (before + 1).clamp_max(size - 1), positions - before


@lru_cache(maxsize=16)
def _cubic_taps(size: int, new_size: int) -> np.ndarray:
    """Share of each old position in each new one, float64 `[new_size, size]`; rows sum to 1."""
    scale = size / new_size
    stretch = max(scale, 1.0)
    centres = (np.arange(new_size)[:, None] + 0.5) * scale
    reach = CUBIC_REACH * stretch
    positions = np.arange(size)[None]
    # PIL rounds the ends of the window by cutting off after adding a half.
    first, last = np.floor(np.maximum(centres - reach + 0.5, 0)), np.floor(centres + reach + 0.5)
    taps = _cubic(np.abs(positions + 0.5 - centres) / stretch)
    taps = np.where((positions >= first) & (positions < last), taps, 0.0)
    return taps / taps.sum(axis=1, keepdims=True)


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance < 1, near, np.where(distance < CUBIC_REACH, far, 0.0))
