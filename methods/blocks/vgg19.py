"""The five VGG-19 activations that perceptual losses of the FOMM family compare."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Channels of the convolutions of configuration E of Simonyan and Zisserman; None is a 2x2 maximum.
LAYOUT = (
    64,
    64,
    None,
    128,
    128,
    None,
    256,
    256,
    256,
    256,
    None,
    512,
    512,
    512,
    512,
    None,
    512,
    512,
    512,
    512,
    None,
)
TAPS = (1, 6, 11, 20, 29)  # after relu1_1, relu2_1, relu3_1, relu4_1, relu5_1


class Vgg19Features(nn.Module):
    """VGG-19 without its classifier, under torchvision's names (`features.N.*`).

    Weights come from the caller; nothing is downloaded and a fresh instance is untrained.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in LAYOUT:
            if width is None:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """The five tapped activations of frames `(B, 3, H, W)`, RGB in [0, 1]."""
        features = (frames - self.mean) / self.std
        taps = []
        for index, layer in enumerate(self.features[: TAPS[-1] + 1]):
            features = layer(features)
            if index in TAPS:
                taps.append(features)
        return taps
