"""MTIA's own training losses: what the masks of the dense motion should look like where the background moves."""

from __future__ import annotations

from torch import Tensor

from ..blocks.gaussians import expected_position
from ..blocks.grids import coordinate_grid

# Keeps an empty mask from being divided by zero.
EPSILON = 1e-8
FOREGROUND_WEIGHT = 10


def background_mask_loss(mask: Tensor) -> Tensor:
    """Mean |m - 1| of the background's mask plus 10 / K times the mean |m| of the K foreground masks.

    Args:
        mask: `(B, K+1, h, w)`, background first.

    Source: MTIA's published code (`bg_fg_mask`).
    """
    background, foreground = mask[:, :1], mask[:, 1:]
    weight = FOREGROUND_WEIGHT / foreground.shape[1]
    return (background - 1).abs().mean() + weight * foreground.abs().mean()


def mask_concentration_loss(mask: Tensor) -> Tensor:
    """How far the foreground masks spread about their centres: variance, summed over them, mean over the batch.

    Args:
        mask: `(B, K+1, h, w)`, background first.

    Source: MTIA's published code (`fg_mask_concentration`).
    """
    foreground = mask[:, 1:]
    shares = foreground / (foreground.sum(dim=(2, 3), keepdim=True) + EPSILON)
    centres = expected_position(shares)  # (B, K, 2)
    grid = coordinate_grid(mask.shape[2], mask.shape[3], like=mask)
    squared = (grid - centres[:, :, None, None]).square().sum(-1)  # (B, K, h, w)
    return (shares * squared).sum(dim=(2, 3)).mean(dim=0).sum()
