"""Frames in [0, 1], as the bench has them, and in [-1, 1], as LIA's networks do."""

from __future__ import annotations

from torch import Tensor


def signed(frames: Tensor) -> Tensor:
    """Frames of [0, 1] in [-1, 1]."""
    # The published order of operations, whose rounding the fixtures have.
    return (frames - 0.5) * 2


def unsigned(frames: Tensor) -> Tensor:
    """Frames around [-1, 1], clamped to it, in [0, 1]."""
    return frames.clamp(-1, 1) / 2 + 0.5
