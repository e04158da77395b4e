"""ResNet-18 networks that regress key points, or the motion of the background, straight from whole images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from .motion import Keypoints


class ResNetKeypointDetector(nn.Module):
    """Image `(B, 3, H, W)` in [0, 1], at full resolution and not normalised -> key points `(B, num_keypoints, 2)`.

    Source: TPSMM, section 3.1; CPABMM uses it unchanged.
    """

    def __init__(self, num_keypoints: int) -> None:
        super().__init__()
        self.fg_encoder = resnet18(num_classes=2 * num_keypoints)

    def forward(self, image: Tensor) -> Keypoints:
        # float32 from here on, so that reduced precision ends with the network.
        logits = self.fg_encoder(image).float()
        return Keypoints((2 * torch.sigmoid(logits) - 1).unflatten(1, (-1, 2)))


class ResNetBackgroundPredictor(nn.Module):
    """Source and driving image -> 3x3 matrix that takes driving coordinates to source coordinates.

    Source: TPSMM, section 3.2; an affine map (the last row is 0 0 1) that starts at the identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bg_encoder = resnet18(num_classes=6)
        self.bg_encoder.conv1 = nn.Conv2d(6, 64, 7, stride=2, padding=3, bias=False)
        nn.init.zeros_(self.bg_encoder.fc.weight)
        self.bg_encoder.fc.bias = nn.Parameter(torch.eye(2, 3).flatten())

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Matrices `(B, 3, 3)` for images `(B, 3, H, W)` in [0, 1], at full resolution."""
        rows = self.bg_encoder(torch.cat((source, driving), dim=1)).float().unflatten(1, (2, 3))
        last = rows.new_tensor([0.0, 0.0, 1.0]).expand(len(rows), 1, 3)
        return torch.cat((rows, last), dim=1)
