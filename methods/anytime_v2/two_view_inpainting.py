"""The image branch of Anytime-V2: warped features of two views, fused at every resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks.inpainting import InpaintingNetwork, sized, warp_aligned
from ..blocks.multi_occlusion_motion import MultiOcclusionMotion
from ..blocks.warping_generator import Appearance

LEAST_VISIBLE = 1e-6


class TwoViewInpaintingNetwork(InpaintingNetwork):
    """Two images and their motions, or one -> image.

    Source: Anytime, "we fuse the deformation features of the source image and the optimally interpolated image";
    how is not stated. Here a 1x1 convolution per resolution takes both, and starts as their mean.
    """

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        # coarsest first, as the stages come
        blocks = [self.first, *self.down_blocks]
        widths = [block.conv.out_channels for block in reversed(blocks)]
        self.fusion = nn.ModuleList(mean_of_two(width) for width in widths)

    def paint(self, appearance: Appearance, deformation: Tensor, occlusion_maps: Sequence[Tensor]) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] of one view, which the fusion sees twice; see `InpaintingNetwork`."""
        stages = self.warped_stages(appearance, deformation, occlusion_maps)
        return self.decode(
            (fuse(torch.cat((maps, maps), dim=1)) for fuse, maps in zip(self.fusion, stages, strict=True)),
            warp_aligned(appearance.image, deformation),
            sized(occlusion_maps[-1], appearance.image.shape[2:]),
        )

    def paint_two(
        self, appearances: Sequence[Appearance], motions: Sequence[MultiOcclusionMotion]
    ) -> tuple[Tensor, Tensor]:
        """The image `(B, C, H, W)` in [0, 1] of two views, and the views themselves, warped and averaged.

        What is visible in one view at least is not to be inpainted; the average weighs each view by what of it is
        visible.
        """
        size = appearances[0].image.shape[2:]
        one, other = (sized(motion.occlusion_maps[-1], size) for motion in motions)
        first, second = (
            warp_aligned(appearance.image, motion.deformation)
            for appearance, motion in zip(appearances, motions, strict=True)
        )
        warped = (one * first + other * second) / (one + other + LEAST_VISIBLE)
        return self.decode(self._fused(appearances, motions), warped, one + other - one * other), warped

    def _fused(
        self, appearances: Sequence[Appearance], motions: Sequence[MultiOcclusionMotion]
    ) -> Iterator[Tensor]:
        one, other = (
            self.warped_stages(appearance, motion.deformation, motion.occlusion_maps)
            for appearance, motion in zip(appearances, motions, strict=True)
        )
        for fuse, first, second in zip(self.fusion, one, other, strict=True):
            yield fuse(torch.cat((first, second), dim=1))


def mean_of_two(width: int) -> nn.Conv2d:
    """A 1x1 convolution of two stacks of that many maps, `(B, 2 width, h, w)`, that starts as their mean."""
    convolution = nn.Conv2d(2 * width, width, 1)
    half = 0.5 * torch.eye(width)
    with torch.no_grad():
        convolution.weight.copy_(torch.cat((half, half), dim=1)[:, :, None, None])
        convolution.bias.zero_()  # type: ignore[union-attr]
    return convolution
