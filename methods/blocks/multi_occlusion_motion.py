"""Dense motion from given candidate motions, with an occlusion map for every resolution of the image branch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .antialias import AntiAliasDownsample
from .convolution import SingleMapConvolution, UpBlock, instance_norm
from .gaussians import gaussian_maps
from .grids import sample_each
from .hourglass import Hourglass, hourglass_width
from .motion import Keypoints

OCCLUSION_LEVELS = 4


@dataclass(frozen=True)
class MultiOcclusionMotion:
    """Where in the source every output position is sampled, and what of it is visible, by resolution.

    Args:
        deformation: `(B, h, w, 2)`, (x, y) in [-1, 1].
        contribution_maps: `(B, M, h, w)`, how much each candidate motion counts, background first; sums to 1.
        occlusion_maps: `(B, 1, h', w')` in (0, 1) each, coarsest first, each twice the size of the one before; 1 keeps
            the warped source, 0 is to be inpainted.
        deformed_sources: `(B, M, C, h, w)`, the source warped by each candidate motion.
    """

    deformation: Tensor
    contribution_maps: Tensor
    occlusion_maps: tuple[Tensor, ...]
    deformed_sources: Tensor


def dropout_softmax(logits: Tensor, keep: Tensor) -> Tensor:
    """Softmax over candidate motions of which some are dropped, for training.

    Args:
        logits: `(B, M, h, w)`.
        keep: `(B, M)`, 1 keeps, 0 drops.

    Returns:
        `(B, M, h, w)`; sums to a hair below 1 because of the published 1e-6.

    Source: TPSMM, section 3.4. The paper's division by the keeping probability has no effect in the published code
    and is left out.
    """
    exponential = torch.exp(logits - logits.amax(dim=1, keepdim=True)) * keep[:, :, None, None]
    return exponential / (exponential.sum(dim=1, keepdim=True) + 1e-6)


class MultiOcclusionMotionNetwork(nn.Module):
    """Source, two sets of key points and candidate motions -> dense motion and occlusion maps.

    Args:
        num_motions: candidate motions M, the background's included.
        num_keypoints: key points of an image.
        multi_mask: an occlusion map for each of four resolutions, up to the image's own; otherwise one map at the
            motion's resolution.

    Source: TPSMM, sections 3.3 and 3.5; CPABMM uses it with other motions.
    """

    def __init__(
        self,
        *,
        num_motions: int,
        num_keypoints: int,
        num_channels: int,
        block_expansion: int,
        max_features: int,
        num_blocks: int,
        scale_factor: float,
        multi_mask: bool,
        kp_variance: float = 0.01,
    ) -> None:
        super().__init__()
        self.scaled = scale_factor != 1
        if self.scaled:
            self.down = AntiAliasDownsample(num_channels, scale_factor)
        self.hourglass = Hourglass(
            block_expansion,
            num_channels * num_motions + num_keypoints + 1,
            max_features,
            num_blocks,
            norm=instance_norm,
        )
        width = self.hourglass.out_channels
        self.maps = nn.Conv2d(width, num_motions, 7, padding=3)
        doublings = round(math.log2(1 / scale_factor)) if multi_mask else 0
        # Levels of the hourglass that an occlusion map is read from; the finer maps need doublings.
        self.levels = OCCLUSION_LEVELS - doublings if multi_mask else 1
        widths = [
            width if level == 0 else 2 * hourglass_width(block_expansion, max_features, level)
            for level in reversed(range(self.levels))
        ]
        if multi_mask:
            finer = [width // 2**step for step in range(doublings + 1)]
            self.up = nn.ModuleList(UpBlock(before, before // 2, norm=instance_norm) for before in finer[:-1])
            widths += finer[1:]
        self.occlusion = nn.ModuleList(SingleMapConvolution(channels, 7) for channels in widths)
        self.multi_mask = multi_mask
        self.variance = kp_variance

    def downsample(self, source: Tensor) -> Tensor:
        """The source at the size the motion is estimated at, `(B, C, h, w)`."""
        return self.down(source) if self.scaled else source

    def forward(
        self,
        downsampled: Tensor,
        source: Keypoints,
        driving: Keypoints,
        motions: Tensor,
        keep: Tensor | None = None,
    ) -> MultiOcclusionMotion:
        """Motion from driving to source.

        Args:
            downsampled: what `downsample` gave, `(B, C, h, w)`.
            source, driving: key points of B images each.
            motions: `(B, M, h, w, 2)`, where each candidate takes every pixel, background first.
            keep: `(B, M)`, 1 for candidates that count, 0 for those dropped in training; None keeps all.
        """
        deformed = sample_each(downsampled, motions, align_corners=True)
        heatmaps = self.heatmaps(source, driving, downsampled.shape[2:])
        levels = self._levels(torch.cat((heatmaps, deformed.flatten(1, 2)), dim=1))
        logits = self.maps(levels[-1])
        maps = torch.softmax(logits, dim=1) if keep is None else dropout_softmax(logits, keep)
        deformation = (maps.unsqueeze(-1) * motions).sum(dim=1)
        return MultiOcclusionMotion(deformation, maps, self._occlusion_maps(levels), deformed)

    def heatmaps(self, source: Keypoints, driving: Keypoints, size: tuple[int, int] | torch.Size) -> Tensor:
        """Gaussians of the driving points minus those of the source, `(B, 1 + num_keypoints, *size)`.

        The first map, the background's, is zero.
        """
        moved = gaussian_maps(driving.value, size, self.variance) - gaussian_maps(
            source.value, size, self.variance
        )
        return torch.cat((torch.zeros_like(moved[:, :1]), moved), dim=1)

    def _levels(self, features: Tensor) -> list[Tensor]:
        """The hourglass's outputs that are read from, coarsest first; the last is the full hourglass."""
        needed = max(1, self.levels)
        levels = list(self.hourglass.decoder.levels(self.hourglass.encoder(features)))
        return levels[len(levels) - needed :]

    def _occlusion_maps(self, levels: list[Tensor]) -> tuple[Tensor, ...]:
        finest = levels[-1]
        features = levels[len(levels) - self.levels :]
        if self.multi_mask:
            for block in self.up:
                finest = block(finest)
                features.append(finest)
        return tuple(
            torch.sigmoid(convolution(maps))
            for convolution, maps in zip(self.occlusion, features, strict=True)
        )
