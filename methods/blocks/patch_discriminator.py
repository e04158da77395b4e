"""Patch discriminators over an image pyramid; spectral norm and key-point conditioning are options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .convolution import Convolution
from .gaussians import gaussian_maps


@dataclass(frozen=True)
class PatchScores:
    """What one discriminator says of a batch.

    Args:
        features: output of every block, finest first.
        scores: `(B, 1, h, w)`, near 1 where a patch looks real.
    """

    features: tuple[Tensor, ...]
    scores: Tensor


def _normalised(convolution: nn.Module, spectral: bool) -> nn.Module:
    # The hook-based variant: its names (weight_orig, weight_u, weight_v) are those of published checkpoints.
    return nn.utils.spectral_norm(convolution) if spectral else convolution


class PatchBlock(nn.Module):
    """Convolution 4x4 without padding, instance normalisation, leaky ReLU, 2x2 mean.

    A discriminator's first block has no normalisation, its last one usually no mean.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: bool,
        pool: bool,
        spectral: bool,
        convolution: Convolution = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.conv = _normalised(convolution(in_channels, out_channels, 4), spectral)
        self.norm = nn.InstanceNorm2d(out_channels, affine=True) if norm else None
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv(features)
        if self.norm is not None:
            features = self.norm(features)
        features = functional.leaky_relu(features, 0.2)
        return functional.avg_pool2d(features, 2) if self.pool else features


class PatchDiscriminator(nn.Module):
    """Scores patches of one scale.

    Args:
        num_channels: of the images.
        num_keypoints: Gaussian maps appended to the image; 0 for an unconditioned discriminator.
        variance: of those maps.
    """

    def __init__(
        self,
        *,
        num_channels: int,
        block_expansion: int,
        num_blocks: int,
        max_features: int,
        spectral: bool,
        num_keypoints: int,
        variance: float,
    ) -> None:
        super().__init__()
        self.conditioned = num_keypoints > 0
        self.variance = variance
        widths = [num_channels + num_keypoints]
        widths += [min(max_features, block_expansion * 2 ** (level + 1)) for level in range(num_blocks)]
        self.down_blocks = nn.ModuleList(
            PatchBlock(
                widths[level],
                widths[level + 1],
                norm=level > 0,
                pool=level < num_blocks - 1,
                spectral=spectral,
            )
            for level in range(num_blocks)
        )
        self.conv = _normalised(nn.Conv2d(widths[-1], 1, 1), spectral)

    def forward(self, image: Tensor, keypoints: Tensor | None) -> PatchScores:
        """Scores of images `(B, C, H, W)`, seen with key points `(B, K, 2)` where conditioned."""
        features = image
        if self.conditioned:
            if keypoints is None:
                raise ValueError("a discriminator conditioned on key points was called without any")
            features = torch.cat((image, gaussian_maps(keypoints, image.shape[2:], self.variance)), dim=1)
        stages = []
        for block in self.down_blocks:
            features = block(features)
            stages.append(features)
        return PatchScores(tuple(stages), self.conv(features))


class MultiScaleDiscriminator(nn.Module):
    """One patch discriminator per scale, called `discs.<scale>` with `-` for the decimal point."""

    def __init__(
        self,
        *,
        scales: tuple[float, ...],
        num_channels: int,
        block_expansion: int,
        num_blocks: int,
        max_features: int,
        spectral: bool,
        num_keypoints: int,
        variance: float = 0.01,
    ) -> None:
        super().__init__()
        self.scales = scales
        self.discs = nn.ModuleDict(
            {
                f"{scale:g}".replace(".", "-"): PatchDiscriminator(
                    num_channels=num_channels,
                    block_expansion=block_expansion,
                    num_blocks=num_blocks,
                    max_features=max_features,
                    spectral=spectral,
                    num_keypoints=num_keypoints,
                    variance=variance,
                )
                for scale in scales
            }
        )

    def forward(self, images: Sequence[Tensor], keypoints: Tensor | None = None) -> list[PatchScores]:
        """Scores per scale.

        Args:
            images: the image `(B, C, H, W)` at every one of `scales`, in that order.
            keypoints: `(B, K, 2)`, (x, y) in [-1, 1], for conditioned discriminators.
        """
        return [disc(image, keypoints) for disc, image in zip(self.discs.values(), images, strict=True)]
