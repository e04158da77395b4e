"""X2Face's embedding network: views of a face -> one embedded face in a pose that all faces share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks.grids import displaced_grid, sample
from .config import X2FaceConfig
from .unet import Unet

CONFIDENCE_FLOOR = 0.1


@dataclass(frozen=True)
class EmbeddedViews:
    """Views of faces, each embedded on its own.

    Args:
        faces: `(B, 3, H, W)` in [0, 1].
        confidence: `(B, 1, H, W)`, positive, how much every pixel is to be believed.
        positions: `(B, H, W, 2)`, where in the views the faces were sampled.
    """

    faces: Tensor
    confidence: Tensor
    positions: Tensor


class EmbeddingNetwork(nn.Module):
    """Views `(B, 3, H, W)` in [0, 1] -> embedded views.

    Source: X2Face's released code; the third output channel is the logarithm of the confidence.
    """

    def __init__(self, config: X2FaceConfig) -> None:
        super().__init__()
        self.netG = Unet(
            out_channels=3,
            ngf=config.ngf,
            num_downs=config.num_downs,
            inner=8 * config.ngf,
            skip=True,
            tanh=False,
            align_corners=config.align_corners,
        )
        self.align_corners = config.align_corners

    def forward(self, views: Tensor) -> EmbeddedViews:
        raw = self.netG(views)
        positions = displaced_grid(torch.tanh(raw[:, :2]))
        return EmbeddedViews(
            sample(views, positions, align_corners=self.align_corners), torch.exp(raw[:, 2:]), positions
        )


def mosaic(faces: Tensor, confidence: Tensor, floor: float = CONFIDENCE_FLOOR) -> Tensor:
    """One embedded face of several views: their mean, weighted per pixel.

    Args:
        faces: `(N, B, 3, H, W)`, N views of each of B faces.
        confidence: `(N, B, 1, H, W)`.
        floor: added to every confidence, so that no view vanishes; the published helper that only shows embedded
            faces adds none.

    Returns:
        `(B, 3, H, W)`.
    """
    weights = confidence + floor
    return (weights * faces).sum(0) / weights.sum(0)
