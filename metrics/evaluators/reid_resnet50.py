"""The ResNet-50 re-identification baseline: the network of the field's AED for bodies, script's faults included."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.weights import find_checked, load_tensors

from .person_identity import Input, PersonIdentityEvaluator, quickened
from .released import bare, fill

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
WEIGHTS = "reid-resnet50"
# The script divides by 255 in ToTensor and again by hand, so its network sees nearly constant, dark images.
INPUTS = {
    "train": Input(288, 144, "bicubic", divisions=2),
    "eval": Input(288, 144, "bicubic"),
}
# Fastest of 1, 2, 4 and 8 on one CPU core, in both modes.
BATCH = {"cpu": 4, "cuda": 64}


class SingleImageNorm(nn.Module):
    """What a batch norm in training mode does to a batch of one image, for each image of a batch.

    Args:
        norm: the batch norm whose scale, offset and eps are taken; its running statistics are not used.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight = norm.weight
        self.bias = norm.bias
        self.eps = norm.eps

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.instance_norm(features, weight=self.weight, bias=self.bias, eps=self.eps)


class ReidResNet50(nn.Module):
    """Images `[N, 3, H, W]` to what the global average pooling gives, `[N, 2048]`.

    Source: Person_reID_baseline_pytorch, `ft_net`; `model` is torchvision's ResNet-50, and the field's script
    puts identities in the place of its classifiers.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet50

        self.model = resnet50(weights=None)
        self.model.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def build(*, device: torch.device, mode: str) -> PersonIdentityEvaluator:
    """ResNet-50 re-identification vectors.

    Args:
        device: where the network is to run.
        mode: `train` as the field's script computes them (values divided by 255 twice, batch norms on the
            statistics of each single image); `eval` as the network was meant to be used.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file is damaged or does not fit the network.
        BenchbedError: another mode.
    """
    file = find_checked(WEIGHTS)
    network = load_reid_resnet50(load_tensors(file.path).tensors, mode=mode)
    suffix = "" if mode == "train" else f"-{mode}"
    fingerprint = f"person-identity-resnet50{suffix}:{file.sha256}:{PREPROCESSING}"
    return reid_evaluator(network, mode, fingerprint).to(device)


def reid_evaluator(network: nn.Module, mode: str, fingerprint: str) -> PersonIdentityEvaluator:
    """The evaluator around a network of `load_reid_resnet50`, with the preprocessing of its mode."""
    if mode == "train":  # norms of single images are faster with channels outermost
        return PersonIdentityEvaluator(network, INPUTS[mode], fingerprint, batch=BATCH, channels_last=False)
    return PersonIdentityEvaluator(quickened(network), INPUTS[mode], fingerprint, batch=BATCH)


def load_reid_resnet50(tensors: Mapping[str, Tensor], *, mode: str) -> ReidResNet50:
    """The network with the tensors of a released `ft_net` file; its classifiers may be absent and are not used.

    Args:
        tensors: by published name (`model.conv1.weight`, ...), also wrapped as `load_osnet` accepts them.
        mode: `train` or `eval`, see `build`.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
        BenchbedError: another mode.
    """
    if mode not in INPUTS:
        raise BenchbedError(f"unknown mode '{mode}' of the re-identification ResNet-50; known: train, eval")
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = ReidResNet50()
    fill(network, bare(tensors, without=("classifier.", "model.fc.")), name="the re-identification ResNet-50")
    if mode == "train":
        _normalise_each_image(network)
    return network


def _normalise_each_image(network: nn.Module) -> None:
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    for name in norms:
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, SingleImageNorm(network.get_submodule(name)))  # type: ignore[arg-type]
