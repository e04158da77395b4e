"""The perturbations of the driving mask, at test time and in training: forget the object's shape, keep its pose."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

LEVELS = 255
SCALE = 0.75
# Sampled positions are rounded to this fraction of a pixel, as the image library of the published code does.
STEPS_PER_PIXEL = 32

# The random perturbation of training: how many strips, where between they may be cut (as shares of the side, published
# as 15 and 45 of 64 pixels), how much they are stretched, and the noise.
STRIPS = 6
FIRST_CUT, LAST_CUT = 15 / 64, 45 / 64
SMALLEST_STRETCH, LARGEST_STRETCH = 0.75, 1.25
NOISE = 20.0


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


def perturb_at_random(mask: Tensor, threshold: float) -> Tensor:
    """The mask cut in strips that are stretched at random, without its faint parts, and with noise.

    Columns first, then rows: the strips each about their own centre, then the whole mask in the other direction.

    Args:
        mask: `(B, 1, h, w)` in [0, 1].
        threshold: on the scale 0..255; what does not exceed it becomes 0.

    Returns:
        `(B, 1, h, w)` in [0, 1]; carries no gradient.

    Source: IAPM, section 3.3, and its published training; factors are drawn per image, cuts per batch.
    """
    levels = (LEVELS * mask.detach().float()).trunc()
    for dim, other in ((-1, -2), (-2, -1)):
        levels = _stretch(levels, dim, _random_cuts(levels.shape[dim]))
        levels = _stretch(levels, other, [0, levels.shape[other]])
    levels = torch.where(levels > threshold, levels, 0)
    noise = torch.poisson(torch.full_like(levels, NOISE)) * (2 * torch.randint_like(levels, 2) - 1)
    return ((levels + noise).clamp(0, LEVELS) / LEVELS).to(mask.dtype)


def _random_cuts(size: int) -> list[int]:
    first, last = round(FIRST_CUT * size), round(LAST_CUT * size)
    inner = first + torch.randperm(last - first + 1)[: STRIPS - 1].sort().values
    return [0, *inner.tolist(), size]


def _stretch(levels: Tensor, dim: int, cuts: list[int]) -> Tensor:
    """Strips `cuts[i]` to `cuts[i + 1]` of maps `(B, 1, h, w)`, each stretched at random; nothing is outside a strip."""
    if dim == -2:
        return _stretch(levels.transpose(-1, -2), -1, cuts).transpose(-1, -2)
    batch, size = len(levels), levels.shape[-1]
    edges = torch.tensor(cuts, device=levels.device)
    widths = edges.diff()
    factors = torch.empty(batch, len(widths), device=levels.device).uniform_(
        SMALLEST_STRETCH, LARGEST_STRETCH
    )
    start = edges[:-1].repeat_interleave(
        widths, output_size=size
    )  # (w,) of the strip that a column belongs to, as the rest
    end = edges[1:].repeat_interleave(widths, output_size=size) - 1
    centre = (start + end) / 2
    columns = torch.arange(size, device=levels.device)
    positions = (columns - centre) / factors.repeat_interleave(
        widths, dim=1, output_size=size
    ) + centre  # (B, w)
    before = positions.floor()
    share = positions - before
    result = torch.zeros_like(levels)
    for index, weight in ((before.long(), 1 - share), (before.long() + 1, share)):
        weight = torch.where((index >= start) & (index <= end), weight, 0)
        taken = index.clamp(0, size - 1)[:, None, None].expand_as(levels)
        result = result + levels.gather(-1, taken) * weight[:, None, None]
    return result
