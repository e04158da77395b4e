"""The high-resolution backbone: parallel branches at 1/4, 1/8 and 1/16 that exchange features after every module."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as functional
from torch import Tensor, nn

from .config import PUBLISHED_STEM_CHANNELS, StageConfig

BOTTLENECKS = 4
BOTTLENECK_EXPANSION = 4


def convolution(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, for the normalisation that follows has one."""
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )


def normalised(
    in_channels: int, out_channels: int, kernel_size: int = 3, *, stride: int = 1, activate: bool = True
) -> nn.Sequential:
    """Convolution, normalisation and, unless told otherwise, ReLU; the indices 0 and 1 are published names."""
    layers = [
        convolution(in_channels, out_channels, kernel_size, stride=stride),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if activate else nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around the input; keeps `(B, C, H, W)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = convolution(channels, channels, 3)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(features + self.bn2(self.conv2(inner)))


class Bottleneck(nn.Module):
    """Three convolutions, the outer ones 1x1, around the input; `(B, in, H, W)` -> `(B, 4 planes, H, W)`."""

    def __init__(self, in_channels: int, planes: int) -> None:
        super().__init__()
        out_channels = BOTTLENECK_EXPANSION * planes
        self.conv1 = convolution(in_channels, planes, 1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = convolution(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = convolution(planes, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if in_channels != out_channels:
            self.downsample = normalised(in_channels, out_channels, 1, activate=False)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(features)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        shortcut = features if self.downsample is None else self.downsample(features)
        return functional.relu(shortcut + self.bn3(self.conv3(inner)))


class Fusion(nn.ModuleList):
    """All branches summed at the size and width of branch `into`, which itself enters unchanged.

    Args:
        widths: channels of the branches, finest first.
    """

    def __init__(self, widths: Sequence[int], into: int) -> None:
        super().__init__()
        for branch, width in enumerate(widths):
            if branch > into:
                upsample = nn.Upsample(scale_factor=2 ** (branch - into), mode="nearest")
                self.append(nn.Sequential(*normalised(width, widths[into], 1, activate=False), upsample))
            elif branch < into:
                halvings = [normalised(width, width, stride=2) for _ in range(into - branch - 1)]
                halvings.append(normalised(width, widths[into], stride=2, activate=False))
                self.append(nn.Sequential(*halvings))
            else:
                self.append(nn.Identity())

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        # Summed finest first, as published.
        first, *others = (step(stage) for step, stage in zip(self, features, strict=True))
        for other in others:
            first = first + other
        return functional.relu(first)


class HighResolutionModule(nn.Module):
    """Every branch through its blocks, then each output a fusion of all branches.

    Args:
        widths: channels of the branches, finest first.
        num_blocks: per branch.
        outputs: how many branches are returned, from the finest.

    Source: HRNet (Wang et al., TPAMI 2020), section 3.
    """

    def __init__(self, widths: Sequence[int], num_blocks: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(count)))
            for width, count in zip(widths, num_blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(Fusion(widths, into) for into in range(outputs))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        features = [branch(stage) for branch, stage in zip(self.branches, features, strict=True)]
        return [fuse(features) for fuse in self.fuse_layers]


class Transition(nn.ModuleList):
    """From the branches of one stage to those of the next, one more: the new one starts from the coarsest."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__(
            nn.Identity() if old == new else normalised(old, new)
            for old, new in zip(before, after[:-1], strict=True)
        )
        self.append(nn.Sequential(normalised(before[-1], after[-1], stride=2)))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [step(start) for step, start in zip(self, [*features, features[-1]], strict=True)]


def stage(config: StageConfig, *, single_output: bool) -> nn.Sequential:
    """The modules of one stage; with `single_output` the last one gives the finest branch alone."""
    outputs = [len(config.widths)] * config.num_modules
    if single_output:
        outputs[-1] = 1
    return nn.Sequential(
        *(HighResolutionModule(config.widths, config.num_blocks, count) for count in outputs)
    )


class HighResolutionNetwork(nn.Module):
    """Image `(B, 3, H, W)` in [0, 1], not normalised -> features `(B, C, H/4, W/4)` of the finest branch.

    Height and width must be divisible by 16.

    Source: HRNet (Wang et al., TPAMI 2020), its stem to its third stage; MTIA, section 3.2.
    """

    def __init__(
        self,
        num_channels: int,
        second: StageConfig,
        third: StageConfig,
        *,
        stem_channels: int = PUBLISHED_STEM_CHANNELS,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(num_channels, stem_channels, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.conv2 = convolution(stem_channels, stem_channels, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(stem_channels)
        wide = BOTTLENECK_EXPANSION * stem_channels
        widths = [stem_channels] + [wide] * BOTTLENECKS
        self.layer1 = nn.Sequential(*(Bottleneck(before, stem_channels) for before, _ in pairwise(widths)))
        self.transition1 = Transition([wide], second.widths)
        self.stage2 = stage(second, single_output=False)
        self.transition2 = Transition(second.widths, third.widths)
        self.stage3 = stage(third, single_output=True)
        self.out_channels = third.widths[0]

    def forward(self, image: Tensor) -> Tensor:
        features = functional.relu(self.bn1(self.conv1(image)))
        features = functional.relu(self.bn2(self.conv2(features)))
        features = self.layer1(features)
        branches = self.stage2(self.transition1([features]))
        return self.stage3(self.transition2(branches))[0]
