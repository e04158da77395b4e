"""Feature maps for perceptual training losses: VGG-19, or the puppet feature network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, WeightsMissingError
from benchbed.registry import card
from benchbed.weights import find_weights, fit_report, load_tensors

NETWORKS = ("auto", "vgg19", "puppet-features")
# torchvision's `vgg19().features`: widths of the convolutions, 0 for a max pool. Taps after relu1_1 ... relu5_1.
VGG19_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)
VGG19_TAPS = (1, 6, 11, 20, 29)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Vgg19Features(nn.Module):
    """VGG-19 activations after relu1_1, 2_1, 3_1, 4_1 and 5_1, frozen.

    Args:
        state: `features.N.weight` and `features.N.bias` as torchvision names them; further tensors
            (the classifier, deeper layers) are not needed and not looked at.

    Raises:
        CheckpointError: a tensor is missing or of another shape.

    Source: FOMM, section 3.3, perceptual loss; torchvision layer numbers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG19_WIDTHS:
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        expected = {
            name: tuple(tensor.shape) for name, tensor in self.features.state_dict(prefix="features.").items()
        }
        given = {name: tuple(state[name].shape) for name in expected if name in state}
        if complaint := fit_report(expected, given, name="VGG-19"):
            raise CheckpointError(complaint)
        self.load_state_dict({name: state[name] for name in expected})
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Activations of frames `[B, 3, H, W]` RGB in [0, 1], one tensor per tap."""
        if frames.device != self.mean.device:
            self.to(frames.device)
        maps = []
        x = (frames - self.mean) / self.std
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in VGG19_TAPS:
                maps.append(x)
        return maps


class _OnFramesDevice(nn.Module):
    """A network that follows its input to its device, so that it can be built before the device is known."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._device: torch.device | None = None

    def forward(self, frames: Tensor) -> list[Tensor]:
        if frames.device != self._device:
            self.network.to(frames.device)
            self._device = frames.device
        return list(self.network(frames))


def perceptual_network(name: str, dataset_name: str) -> tuple[nn.Module, str]:
    """The network of the perceptual loss and the label its results carry.

    Args:
        name: `vgg19`, `puppet-features`, or `auto`: the puppet feature network for the puppet data sets, VGG-19
            for all others, and the puppet feature network in its place where the VGG-19 weights are missing,
            which the label then says.
        dataset_name: the training dataset.

    Returns:
        The frozen network, frames `[B, 3, H, W]` in [0, 1] -> list of feature maps, and its label.

    Raises:
        WeightsMissingError: `vgg19` was asked for and its weights are not here.
        BenchbedError: another name.
    """
    if name not in NETWORKS:
        raise BenchbedError(f"unknown perceptual network '{name}'; known: {', '.join(NETWORKS)}")
    if name == "vgg19":
        return vgg19(find_weights("vgg19")), "vgg19"
    if name == "puppet-features" or dataset_name.split("-")[0] == "puppets":
        return _puppet_features(), "puppet-features"
    try:
        return vgg19(find_weights("vgg19")), "vgg19"
    except WeightsMissingError:
        return _puppet_features(), "puppet-features (in place of vgg19, whose weights are missing)"


def vgg19(path: Path) -> Vgg19Features:
    """VGG-19 features from torchvision's weights file."""
    return Vgg19Features(load_tensors(path).tensors)


def _puppet_features() -> nn.Module:
    network = card("evaluator", "puppet-features").load("feature_maps")(device=torch.device("cpu"))
    return _OnFramesDevice(network.requires_grad_(False).eval())
