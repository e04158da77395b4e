"""FAN-4: the landmark network of Bulat and Tzimiropoulos, from its published tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .released import fill

LANDMARKS = 68
STACKS = 4
CHANNELS = 256
DEPTH = 4


class FaceAlignmentNetwork(nn.Module):
    """A stem to a quarter of the size, then four hourglasses, each of which refines the heat maps of the last.

    Modules carry the names of the published file.

    Source: Bulat and Tzimiropoulos 2017, section 3 and figure 1; layers as in the published file 2DFAN4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = MultiScaleBlock(64, 128)
        self.conv3 = MultiScaleBlock(128, 128)
        self.conv4 = MultiScaleBlock(128, CHANNELS)
        for stack in range(STACKS):
            self.add_module(f"m{stack}", Hourglass(CHANNELS))
            self.add_module(f"top_m_{stack}", MultiScaleBlock(CHANNELS, CHANNELS))
            self.add_module(f"conv_last{stack}", nn.Conv2d(CHANNELS, CHANNELS, kernel_size=1))
            self.add_module(f"bn_end{stack}", nn.BatchNorm2d(CHANNELS))
            self.add_module(f"l{stack}", nn.Conv2d(CHANNELS, LANDMARKS, kernel_size=1))
            if stack < STACKS - 1:
                self.add_module(f"bl{stack}", nn.Conv2d(CHANNELS, CHANNELS, kernel_size=1))
                self.add_module(f"al{stack}", nn.Conv2d(LANDMARKS, CHANNELS, kernel_size=1))

    def forward(self, crops: Tensor) -> list[Tensor]:
        """Heat maps `[N, 68, 64, 64]` of every stack, the last being the answer, of crops `[N, 3, 256, 256]` in [0, 1]."""
        features = functional.relu(self.bn1(self.conv1(crops)), inplace=True)
        features = functional.avg_pool2d(self.conv2(features), 2)
        features = self.conv4(self.conv3(features))
        heatmaps: list[Tensor] = []
        for stack in range(STACKS):
            part = {
                name: self.get_submodule(f"{name}{stack}")
                for name in ("m", "top_m_", "conv_last", "bn_end", "l")
            }
            refined = part["bn_end"](part["conv_last"](part["top_m_"](part["m"](features))))
            refined = functional.relu(refined, inplace=True)
            heatmaps.append(part["l"](refined))
            if stack < STACKS - 1:
                back, again = self.get_submodule(f"bl{stack}"), self.get_submodule(f"al{stack}")
                features = features + back(refined) + again(heatmaps[-1])
        return heatmaps


class MultiScaleBlock(nn.Module):
    """Three 3x3 convolutions in a row whose outputs are joined (1/2, 1/4, 1/4 of the channels), plus a shortcut.

    Source: Bulat and Tzimiropoulos 2017b (binarised landmark localisators), the hierarchical, multi-scale block.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        half, quarter = out_channels // 2, out_channels // 4
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, half, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, quarter, kernel_size=3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, quarter, kernel_size=3, padding=1, bias=False)
        self.downsample = (
            nn.Sequential(
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(channels, out_channels, kernel_size=1, bias=False),
            )
            if channels != out_channels
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C_out, H, W]`."""
        first = self.conv1(functional.relu(self.bn1(features), inplace=True))
        second = self.conv2(functional.relu(self.bn2(first), inplace=True))
        third = self.conv3(functional.relu(self.bn3(second), inplace=True))
        shortcut = features if self.downsample is None else self.downsample(features)
        return torch.cat((first, second, third), dim=1).add_(shortcut)


class Hourglass(nn.Module):
    """Four levels down and up again, each with a branch that keeps its resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for level in range(DEPTH, 0, -1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", MultiScaleBlock(channels, channels))
        self.b2_plus_1 = MultiScaleBlock(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape; H and W are multiples of 16."""
        return self._level(DEPTH, features)

    def _level(self, level: int, features: Tensor) -> Tensor:
        kept = self.get_submodule(f"b1_{level}")(features)
        lower = self.get_submodule(f"b2_{level}")(functional.avg_pool2d(features, 2))
        lower = self._level(level - 1, lower) if level > 1 else self.b2_plus_1(lower)
        lower = self.get_submodule(f"b3_{level}")(lower)
        return kept.add_(functional.interpolate(lower, scale_factor=2, mode="nearest"))


def load_fan(tensors: Mapping[str, Tensor]) -> FaceAlignmentNetwork:
    """The network with the tensors of `2DFAN4-11f355bf06.pth.tar`, frozen, in eval mode.

    Step counters of the batch norms may be absent.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = FaceAlignmentNetwork()
    return fill(network, tensors, name="the landmark network FAN-4")
