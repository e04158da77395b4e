"""Exchange of backgrounds between puppets, so that an identity has to be read off the figure."""

from __future__ import annotations

import torch
from torch import Tensor

from .puppet_samples import PuppetSamples

REACH = 8.0
"""Pixels at 64; nothing of a figure but the tip of a hat is farther than this from all of its joints."""
SAME = 6
"""Largest difference of a channel, in 255ths, at which a pixel still counts as background."""


def backdrops(samples: PuppetSamples) -> Tensor:
    """The background of every identity, uint8 `[I, 3, H, W]`: median of each pixel while the figure is away from it.

    A pixel that the figure never leaves takes the median over all frames.
    """
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in samples.frames.shape[-2:])
    estimates = []
    for identity in range(len(samples.identities)):
        own = samples.subset(samples.identity == identity)
        dx = columns[None, None, None, :] - own.positions[..., 0, None, None]
        dy = rows[None, None, :, None] - own.positions[..., 1, None, None]
        away = ((dx**2 + dy**2).amin(dim=1) > REACH**2)[:, None]
        frames = own.frames.float()
        estimate = frames.masked_fill(~away, float("nan")).nanmedian(dim=0).values
        estimates.append(torch.where(estimate.isnan(), frames.median(dim=0).values, estimate))
    return torch.stack(estimates).to(torch.uint8)


def exchanged(frames: Tensor, behind: Tensor, instead: Tensor) -> Tensor:
    """Frames with the background pixels `behind` replaced by those of `instead`; all uint8 `[N, 3, H, W]`."""
    figure = (frames.short() - behind.short()).abs().amax(dim=1, keepdim=True) > SAME
    return torch.where(figure, frames, instead)
