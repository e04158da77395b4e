"""ResNet-18 networks that regress key points, or the motion of the background, straight from whole images."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from .motion import Keypoints

WIDTH = 64


class ResNet18(nn.Sequential):
    """ResNet-18, `(B, in_channels, H, W)` -> `(B, outputs)`, under torchvision's names.

    Args:
        width: channels of the first stage, doubled by each of the three that follow.
    """

    fc: nn.Linear

    def __init__(self, outputs: int, *, in_channels: int = 3, width: int = WIDTH) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
            layer1=nn.Sequential(BasicBlock(width, width), BasicBlock(width, width)),
        )
        for stage in range(1, 4):
            before, after = width * 2 ** (stage - 1), width * 2**stage
            shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
            layers[f"layer{stage + 1}"] = nn.Sequential(
                BasicBlock(before, after, stride=2, downsample=shortcut), BasicBlock(after, after)
            )
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(8 * width, outputs)
        super().__init__(layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNetKeypointDetector(nn.Module):
    """Image `(B, 3, H, W)` in [0, 1], at full resolution and not normalised -> key points `(B, num_keypoints, 2)`.

    Args:
        width: see `ResNet18`.

    Source: TPSMM, section 3.1; CPABMM uses it unchanged.
    """

    def __init__(self, num_keypoints: int, width: int = WIDTH) -> None:
        super().__init__()
        self.fg_encoder = ResNet18(2 * num_keypoints, width=width)

    def forward(self, image: Tensor) -> Keypoints:
        # float32 from here on, so that reduced precision ends with the network.
        logits = self.fg_encoder(image).float()
        return Keypoints((2 * torch.sigmoid(logits) - 1).unflatten(1, (-1, 2)))


class ResNetBackgroundPredictor(nn.Module):
    """Source and driving image -> 3x3 matrix that takes driving coordinates to source coordinates.

    Args:
        width: see `ResNet18`.

    Source: TPSMM, section 3.2; an affine map (the last row is 0 0 1) that starts at the identity.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.bg_encoder = ResNet18(6, in_channels=6, width=width)
        nn.init.zeros_(self.bg_encoder.fc.weight)
        self.bg_encoder.fc.bias = nn.Parameter(torch.eye(2, 3).flatten())

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Matrices `(B, 3, 3)` for images `(B, 3, H, W)` in [0, 1], at full resolution."""
        rows = self.bg_encoder(torch.cat((source, driving), dim=1)).float().unflatten(1, (2, 3))
        last = rows.new_tensor([0.0, 0.0, 1.0]).expand(len(rows), 1, 3)
        return torch.cat((rows, last), dim=1)
