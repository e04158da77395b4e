"""LIA's decoder: motion dictionary, flow pyramid and image pyramid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..blocks.grids import displaced_grid, sample
from ..blocks.style_convolution import ModulatedConv, StyledConv, Upsample, conv_layer, normal_parameter
from .config import LiaConfig

EPSILON = 1e-8


@dataclass(frozen=True)
class Level:
    """One resolution r of the pyramids.

    Args:
        flow: `(B, 3, r, r)`, x, y and mask summed over the levels so far, before tanh and sigmoid.
        warped: `(B, C, r, r)`, the source's features, warped and masked.
        blended: `(B, C, r, r)`, the same with the decoder's own features where the mask hides them.
        image: `(B, 3, r, r)`, summed over the levels so far.
    """

    flow: Tensor
    warped: Tensor
    blended: Tensor
    image: Tensor


class MotionDictionary(nn.Module):
    """M orthonormal directions of the latent space.

    Source: LIA, equation 3. Released code: QR decomposition by Householder reflections, signs as they come (the
    learned magnitudes depend on them), of the weights plus 1e-8.
    """

    def __init__(self, style_dim: int, motion_dim: int) -> None:
        super().__init__()
        self.weight = normal_parameter(style_dim, motion_dim)

    def directions(self) -> Tensor:
        """The directions as columns, `(style_dim, M)`."""
        return torch.linalg.qr(self.weight + EPSILON, mode="reduced").Q


class ToFlow(nn.Module):
    """Features -> 3 channels (x, y, mask), added to those of the level before."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.upsample = Upsample()
        self.conv = ModulatedConv(channels, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, features: Tensor, style: Tensor, before: Tensor | None) -> Tensor:
        flow = self.conv(features, style) + self.bias
        return flow if before is None else flow + self.upsample(before)


class ToImage(nn.Module):
    """Warped features -> image, added to that of the level before.

    Source: LIA, equation 6; the released head has a leaky ReLU on the colours and a second bias.
    """

    def __init__(self, channels: int, *, upsample: bool = True) -> None:
        super().__init__()
        if upsample:
            self.upsample = Upsample()
        self.conv = conv_layer(channels, 3, 1)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, features: Tensor, before: Tensor | None) -> Tensor:
        image = self.conv(features) + self.bias
        return image if before is None else image + self.upsample(before)


class ConstantInput(nn.Module):
    """The learned 4x4 map that every image starts from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = normal_parameter(1, channels, 4, 4)


class Decoder(nn.Module):
    """Latent and the source's features -> image.

    Source: LIA, equations 5 and 6. Released code: flow and mask accumulate over the levels before tanh and
    sigmoid, and the blended features go on to the next level.
    """

    def __init__(self, config: LiaConfig) -> None:
        super().__init__()
        widths = [config.channels[resolution] for resolution in (4, *config.resolutions)]
        self.direction = (
            MotionDictionary(config.style_dim, config.motion_dim) if config.motion_dictionary else None
        )
        self.input = ConstantInput(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], config.style_dim)
        self.to_rgb1 = ToImage(widths[0], upsample=False)  # never used; published checkpoints contain it
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.to_flows = nn.ModuleList()
        for before, after in pairwise(widths):
            self.convs.append(StyledConv(before, after, config.style_dim, up=True))
            self.convs.append(StyledConv(after, after, config.style_dim))
            self.to_flows.append(ToFlow(after, config.style_dim))
            self.to_rgbs.append(ToImage(after))
        self.align_corners = config.align_corners

    def pyramid(self, latent: Tensor, features: Sequence[Tensor]) -> Iterator[Level]:
        """Every level, coarse to fine.

        Args:
            latent: `(B, style_dim)`.
            features: of the sources, `(B, C, r, r)` for r = 8, 16, ..., size.
        """
        hidden = self.conv1(self.input.input.expand(len(latent), -1, -1, -1), latent)
        flow = image = None
        for level, appearance in enumerate(features):
            hidden = self.convs[2 * level](hidden, latent)
            hidden = self.convs[2 * level + 1](hidden, latent)
            flow = self.to_flows[level](hidden, latent, flow)
            mask = torch.sigmoid(flow[:, 2:])
            warped = self.moved(appearance, flow) * mask
            hidden = warped + hidden * (1 - mask)
            image = self.to_rgbs[level](warped, image)
            yield Level(flow, warped, hidden, image)

    def forward(self, latent: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Images `(B, 3, size, size)` around [-1, 1], not bounded to it; see `pyramid`."""
        for level in self.pyramid(latent, features):
            image = level.image
        return image

    def moved(self, features: Tensor, flow: Tensor) -> Tensor:
        """Features or images `(B, C, r, r)` read where the flow `(B, 3, r, r)` of their level says.

        Published: the grid ends at the centres of the corner pixels, the sampling takes -1 and 1 for their outer
        edges. A zero offset is therefore a slight zoom, not the identity, unless corners are aligned.
        """
        return sample(features, displaced_grid(torch.tanh(flow[:, :2])), align_corners=self.align_corners)
