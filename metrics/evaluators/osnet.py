"""OSNet x1.0, the omni-scale person re-identification network, under the names of the released files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .released import bare, fill

CHANNELS = (64, 256, 384, 512)
EMBEDDING = 512
GATE_REDUCTION = 16
STREAMS = {"a": 1, "b": 2, "c": 3, "d": 4}
"""3x3 layers in each stream: receptive fields of 3, 5, 7 and 9 pixels."""


class ConvNorm(nn.Module):
    """Convolution, batch norm and, unless `linear`, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 1, stride: int = 1, *, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.linear = linear

    def forward(self, features: Tensor) -> Tensor:
        normalised = self.bn(self.conv(features))
        return normalised if self.linear else functional.relu_(normalised)


class LightConv(nn.Module):
    """A 3x3 convolution split in two: pointwise, then depthwise (paper, section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu_(self.bn(self.conv2(self.conv1(features))))


class Gate(nn.Module):
    """The unified aggregation gate: a weight in (0, 1) per channel from its average (paper, section 3.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // GATE_REDUCTION, 1)
        self.fc2 = nn.Conv2d(channels // GATE_REDUCTION, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        pooled = features.mean(dim=(2, 3), keepdim=True)
        return features * torch.sigmoid(self.fc2(functional.relu(self.fc1(pooled))))


class OmniScaleBlock(nn.Module):
    """A residual bottleneck whose middle is four streams of growing scale, added through one shared gate."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.conv1 = ConvNorm(inputs, middle)
        for stream, depth in STREAMS.items():
            layers = [LightConv(middle) for _ in range(depth)]
            # The released files name the one-layer stream without an index.
            setattr(self, f"conv2{stream}", layers[0] if depth == 1 else nn.Sequential(*layers))
        self.gate = Gate(middle)
        self.conv3 = ConvNorm(middle, outputs, linear=True)
        self.downsample = ConvNorm(inputs, outputs, linear=True) if inputs != outputs else None

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        narrow = self.conv1(features)
        streams = [self.gate(getattr(self, f"conv2{stream}")(narrow)) for stream in STREAMS]
        joined = streams[0] + streams[1] + streams[2] + streams[3]
        return functional.relu_(self.conv3(joined) + shortcut)


class OSNet(nn.Module):
    """Person crops to embeddings.

    Source: Zhou et al. 2019, "Omni-Scale Feature Learning for Person Re-Identification", table 1 (width 1.0);
    the names of the tensors are those of the released files.
    """

    def __init__(self) -> None:
        super().__init__()
        stem, *widths = CHANNELS
        self.conv1 = ConvNorm(3, stem, size=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = stem
        for stage, width in enumerate(widths, start=2):
            blocks: list[nn.Module] = [OmniScaleBlock(inputs, width), OmniScaleBlock(width, width)]
            if width != widths[-1]:
                blocks.append(nn.Sequential(ConvNorm(width, width), nn.AvgPool2d(2, stride=2)))
            setattr(self, f"conv{stage}", nn.Sequential(*blocks))
            inputs = width
        self.conv5 = ConvNorm(inputs, inputs)
        self.fc = nn.Sequential(nn.Linear(inputs, EMBEDDING), nn.BatchNorm1d(EMBEDDING), nn.ReLU())

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Activations `[N, C, H, W]` after each stage (`conv1` before its max pooling), by name."""
        found = {"conv1": self.conv1(images)}
        features = self.maxpool(found["conv1"])
        for name in ("conv2", "conv3", "conv4", "conv5"):
            features = found[name] = getattr(self, name)(features)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `[N, 512]`, not negative and not normalised, of images `[N, 3, 256, 128]` less mean, by deviation."""
        return self.fc(self.stages(images)["conv5"].mean(dim=(2, 3)))


def load_osnet(tensors: Mapping[str, Tensor]) -> OSNet:
    """OSNet x1.0 with the tensors of a released file.

    Released files may keep them under `state_dict`, with `module.` in front of each name, and with a classifier
    of as many identities as they were trained on, which is not used. Step counters may be absent.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = OSNet()
    return fill(network, bare(tensors, without=("classifier.",)), name="OSNet x1.0")
