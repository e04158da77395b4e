"""X2Face's driving network: driving image -> bottleneck vector -> where the embedded face is sampled."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.grids import displaced_grid
from .config import X2FaceConfig
from .unet import Unet


class DrivingNetwork(nn.Module):
    """Driving images `(B, 3, H, W)` in [0, 1] -> sampling positions `(B, H, W, 2)`.

    Source: X2Face's released code; no skip connections, so that only the bottleneck knows of the driving image.
    """

    def __init__(self, config: X2FaceConfig) -> None:
        super().__init__()
        self.netG = Unet(
            out_channels=2,
            ngf=config.ngf,
            num_downs=config.num_downs,
            inner=config.inner_nc,
            skip=False,
            tanh=True,
            align_corners=config.align_corners,
        )

    def bottleneck(self, images: Tensor) -> Tensor:
        """The driving vectors before their activation, `(B, inner_nc, h, w)`, 1x1 at the trained size."""
        return self.netG.bottleneck(images)

    def positions(self, bottleneck: Tensor) -> Tensor:
        """Where the embedded face is sampled, `(B, H, W, 2)`, for driving vectors `(B, inner_nc, h, w)`."""
        return positions_of(self.netG.expand(bottleneck))

    def forward(self, images: Tensor) -> Tensor:
        return self.positions(self.bottleneck(images))


def positions_of(raw: Tensor) -> Tensor:
    """Sampling positions of a raw output `(B, 2, H, W)`, which has passed one tanh already: two are published."""
    return displaced_grid(torch.tanh(raw))
