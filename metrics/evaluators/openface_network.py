"""OpenFace's network nn4.small2, with the names of the published PyTorch port of its weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .released import fill

INPUT_SIZE = 96


class OpenfaceNetwork(nn.Module):
    """BGR images `[N, 3, 96, 96]` in [0, 1] to `[N, 128]`, before they are brought to unit length.

    Stages keep the port's numbers: 5 and 12 are normalisations across channels, 13 a max pool, 14 to 21 the
    inception blocks.

    Source: Amos et al. 2016, model nn4.small2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.layer2 = nn.BatchNorm2d(64)
        self.layer3 = nn.ReLU()
        self.layer4 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer5 = CrossChannelNorm()
        self.layer6 = nn.Conv2d(64, 64, 1)
        self.layer7 = nn.BatchNorm2d(64)
        self.layer8 = nn.ReLU()
        self.layer9 = nn.Conv2d(64, 192, 3, padding=1)
        self.layer10 = nn.BatchNorm2d(192)
        self.layer11 = nn.ReLU()
        self.layer12 = CrossChannelNorm()
        self.layer13 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer14 = _inception(192, {3: (96, 128), 5: (16, 32)}, pool=_largest(), pooled=32, direct=64)
        self.layer15 = _inception(256, {3: (96, 128), 5: (32, 64)}, pool=_rooted(), pooled=64, direct=64)
        self.layer16 = _inception(320, {3: (128, 256), 5: (32, 64)}, pool=_largest(), stride=2)
        self.layer17 = _inception(640, {3: (96, 192), 5: (32, 64)}, pool=_rooted(), pooled=128, direct=256)
        self.layer18 = _inception(640, {3: (160, 256), 5: (64, 128)}, pool=_largest(), stride=2)
        self.layer19 = _inception(1024, {3: (96, 384)}, pool=_rooted(), pooled=96, direct=256)
        self.layer21 = _inception(736, {3: (96, 384)}, pool=_largest(), pooled=96, direct=256)
        self.layer22 = nn.AvgPool2d(3)
        self.layer25 = nn.Linear(736, 128)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return self.layer25(self.pooled(images))

    def pooled(self, images: Tensor) -> Tensor:
        """The 736 values `[N, 736]` in front of the last layer."""
        x = self.layer5(self.layer4(self.layer3(self.layer2(self.layer1(images)))))
        x = self.layer8(self.layer7(self.layer6(x)))
        x = self.layer12(self.layer11(self.layer10(self.layer9(x))))
        x = self.layer15(self.layer14(self.layer13(x)))
        x = self.layer18(self.layer17(self.layer16(x)))
        return self.layer22(self.layer21(self.layer19(x))).flatten(1)


def load_network(tensors: Mapping[str, Tensor]) -> OpenfaceNetwork:
    """The network with these values, in eval mode.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = OpenfaceNetwork()
    return fill(network, tensors, name="OpenFace nn4.small2")


class CrossChannelNorm(nn.Module):
    """x / (1 + alpha / size * sum of squares over 5 neighbouring channels) ^ beta."""

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        return functional.local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=1.0)


class InceptionBlock(nn.Module):
    """Branches side by side; smaller outputs are set into zeros the size of the first one, the largest."""

    def __init__(self, branches: Sequence[nn.Sequential]) -> None:
        super().__init__()
        self.seq_list = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C', H', W']`."""
        outputs = [branch(x) for branch in self.seq_list]
        height, width = outputs[0].shape[2:]
        return torch.cat([outputs[0], *(_centred(output, height, width) for output in outputs[1:])], dim=1)


def _centred(x: Tensor, height: int, width: int) -> Tensor:
    """Zeros around x; where they cannot be even, one more below and to the right."""
    rows, columns = height - x.shape[2], width - x.shape[3]
    return functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def _inception(
    width: int,
    reduced: Mapping[int, tuple[int, int]],
    *,
    pool: nn.Module,
    pooled: int | None = None,
    direct: int | None = None,
    stride: int = 1,
) -> InceptionBlock:
    """A block.

    Args:
        width: channels of the input.
        reduced: by kernel size, the channels of the 1x1 convolution in front and of the convolution itself.
        pool: the pooling branch's pool.
        pooled: channels of the 1x1 convolution after the pool; None for none.
        direct: channels of a single 1x1 convolution beside all this; None for none.
        stride: of the convolutions in `reduced`.
    """
    branches = [
        _steps(nn.Conv2d(width, inner, 1), nn.Conv2d(inner, outer, size, stride, padding=size // 2))
        for size, (inner, outer) in reduced.items()
    ]
    branches.append(_steps(pool) if pooled is None else _steps(pool, nn.Conv2d(width, pooled, 1)))
    if direct is not None:
        branches.append(_steps(nn.Conv2d(width, direct, 1)))
    return InceptionBlock(branches)


def _steps(*layers: nn.Module) -> nn.Sequential:
    """The layers with batch norm and ReLU after each convolution, counted from 1 as the port counts them."""
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            steps[f"{len(steps) + 1}_conv"] = layer
            steps[f"{len(steps) + 1}_bn"] = nn.BatchNorm2d(layer.out_channels)
            steps[f"{len(steps) + 1}_relu"] = nn.ReLU()
        else:
            steps[f"{len(steps) + 1}_pool"] = layer
    return nn.Sequential(steps)


def _largest() -> nn.Module:
    return nn.MaxPool2d(3, stride=2)


def _rooted() -> nn.Module:
    """The root of the sum of squares of each 3x3."""
    return nn.LPPool2d(2, 3, stride=3)
