"""X2Face's U-Net: nested halvings of an image, with or without skip connections on the way back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SLOPE = 0.2


class Level(nn.Module):
    """One level: the way down, all deeper levels, the way up; the nesting and its numbers are published names."""

    def __init__(self, down: Sequence[nn.Module], up: Sequence[nn.Module], submodule: Level | None) -> None:
        super().__init__()
        # Declared in the order of the published state dict.
        self.up = nn.Sequential(*up)
        self.down = nn.Sequential(*down)
        if submodule is not None:
            self.submodule = submodule
        self.deeper: tuple[Level, ...] = () if submodule is None else (submodule, *submodule.deeper)


class Unet(nn.Module):
    """Image `(B, 3, H, W)` -> `(B, out, H, W)`; height and width must be divisible by `2 ** num_downs`.

    Args:
        ngf: width of the outermost level; it doubles per level up to eight times that.
        inner: width of the bottleneck.
        skip: a level also hands its input on to the level above.
        tanh: bound the output to (-1, 1).
        align_corners: of all up-sampling.

    Source: pix2pix (Isola et al., CVPR 2017), with bilinear up-sampling and no biases, as X2Face has it.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        ngf: int,
        num_downs: int,
        inner: int,
        skip: bool,
        tanh: bool,
        align_corners: bool,
    ) -> None:
        super().__init__()
        widths = [3, *(ngf * min(2**level, 8) for level in range(num_downs - 1)), inner]
        level: Level | None = None
        for depth in range(num_downs, 0, -1):
            above, own = widths[depth - 1], widths[depth]
            outermost, innermost = depth == 1, depth == num_downs
            convolution = nn.Conv2d(above, own, 4, stride=2, padding=1, bias=False)
            down: list[nn.Module] = [convolution] if outermost else [nn.LeakyReLU(SLOPE), convolution]
            if not (outermost or innermost):
                down.append(nn.BatchNorm2d(own))
            up: list[nn.Module] = [
                nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners),
                nn.Conv2d(
                    2 * own if skip and not innermost else own,
                    out_channels if outermost else above,
                    3,
                    padding=1,
                    bias=False,
                ),
            ]
            if not outermost:
                up.append(nn.BatchNorm2d(above))
            elif tanh:
                up.append(nn.Tanh())
            level = Level(down, up, level)
        assert level is not None  # num_downs is positive
        self.model = level
        self.skip = skip

    def bottleneck(self, image: Tensor) -> Tensor:
        """What is left of images `(B, 3, H, W)` at the innermost level, `(B, inner, h, w)`, no activation yet."""
        for level in self._levels():
            image = level.down(image)
        return image

    def expand(self, bottleneck: Tensor) -> Tensor:
        """The output `(B, out, H, W)` of a bottleneck `(B, inner, h, w)`; for networks without skip connections."""
        for level in reversed(self._levels()):
            bottleneck = level.up(bottleneck)
        return bottleneck

    def forward(self, image: Tensor) -> Tensor:
        if not self.skip:
            return self.expand(self.bottleneck(image))
        features, inputs = image, []
        for level in self._levels():
            inputs.append(features)
            features = level.down(features)
        for level, given in zip(reversed(self._levels()[1:]), reversed(inputs[1:]), strict=True):
            features = torch.cat((level.up(features), given), dim=1)
        return self.model.up(features)

    def _levels(self) -> tuple[Level, ...]:
        return (self.model, *self.model.deeper)
