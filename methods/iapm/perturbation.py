"""The test-time perturbation of the driving mask: forget the driving object's shape, keep its pose."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

LEVELS = 255
SCALE = 0.75
# Sampled positions are rounded to this fraction of a pixel, as the image library of the published code does.
STEPS_PER_PIXEL = 32


def perturb(mask: Tensor, threshold: float) -> Tensor:
    """The mask in 8 bits without its faint parts, shrunk about its centre.

    Args:
        mask: `(B, 1, h, w)` in [0, 1].
        threshold: on the scale 0..255; what does not exceed it becomes 0.

    Returns:
        `(B, 1, h, w)`, multiples of 1/255; carries no gradient.

    Source: IAPM, section 3.3; the fixed-point sampling is that of its published code.
    """
    levels = LEVELS * mask.detach().float()
    levels = torch.where(levels > threshold, levels, 0).trunc()
    shrunk = _shrink(_shrink(levels, dim=-1), dim=-2)
    return (torch.floor(shrunk + 0.5) / LEVELS).to(mask.dtype)


def _shrink(levels: Tensor, dim: int) -> Tensor:
    # Bilinear sampling, an axis at a time; weights are multiples of 1/32, so float32 is exact and the order is free.
    size = levels.shape[dim]
    centre = (size - 1) / 2
    positions = (torch.arange(size, dtype=torch.float64) - centre) / SCALE + centre
    positions = (positions * STEPS_PER_PIXEL).round() / STEPS_PER_PIXEL
    # One empty pixel on each side stands for all outside.
    inside = positions.clamp(-1, size)
    before = inside.floor().clamp(max=size - 1)
    share = (inside - before).to(levels)
    index = (before + 1).long().to(levels.device)
    sides = (1, 1) if dim == -1 else (0, 0, 1, 1)
    surrounded = functional.pad(levels, sides)
    if dim == -2:
        share = share.unsqueeze(-1)
    return surrounded.index_select(dim, index) * (1 - share) + surrounded.index_select(dim, index + 1) * share
