"""FID features: the Inception network of pytorch-fid, with weights from the store."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.errors import CheckpointError
from benchbed.interfaces.evaluator import PooledFeatures
from benchbed.weights import find_weights, fit_report, load_tensors, sha256_of

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
INPUT_SIZE = (299, 299)
CLASSES = 1008


class InceptionEvaluator(nn.Module):
    """Frames to the 2048 values of the last average pooling.

    Source: pytorch-fid 0.3.0: bilinear to 299x299 without antialias on float values, then [-1, 1].
    """

    def __init__(self, network: nn.Module, fingerprint: str) -> None:
        super().__init__()
        self.network = network
        self.fingerprint = fingerprint
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> PooledFeatures:
        """Features `[N, 2048]` of frames `[N, 3, H, W]`, RGB in [0, 1]."""
        resized = functional.interpolate(frames, size=INPUT_SIZE, mode="bilinear", align_corners=False)
        return PooledFeatures(self.network(2 * resized - 1))


def build(*, device: torch.device) -> InceptionEvaluator:
    """The FID Inception features.

    No golden output is published for this file; the store checks it against the sha256 digits in its name.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network.
    """
    path = find_weights("inception-fid")
    network = load_network(load_tensors(path).tensors)
    return InceptionEvaluator(network, f"inception-fid:{sha256_of(path)}:{PREPROCESSING}").to(device)


def load_network(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The FID Inception without its classifier, `[N, 3, 299, 299]` in [-1, 1] to `[N, 2048]`.

    Step counters of the batch norms may be absent (older files have none); the classifier `fc.*` is not used.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    network = _network()
    expected = network.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    for name in expected:
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, torch.zeros((), dtype=torch.int64))
    complaint = fit_report(
        {name: tuple(tensor.shape) for name, tensor in expected.items()},
        {name: tuple(tensor.shape) for name, tensor in given.items()},
        name="the FID Inception",
    )
    if complaint:
        raise CheckpointError(complaint)
    network.load_state_dict(given, assign=True)
    return network.requires_grad_(False).eval()


def _network() -> nn.Module:
    """torchvision's InceptionV3 with the blocks of pytorch-fid, on the meta device.

    pytorch-fid's own constructor always downloads; this is the same assembly without it.
    """
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = inception_v3(weights=None, aux_logits=False, num_classes=CLASSES, init_weights=False)
        for name, pool_features, channels in (("5b", 32, 192), ("5c", 64, 256), ("5d", 64, 288)):
            setattr(network, f"Mixed_{name}", fid.FIDInceptionA(channels, pool_features=pool_features))
        for name, channels in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            setattr(network, f"Mixed_{name}", fid.FIDInceptionC(768, channels_7x7=channels))
        network.Mixed_7b = fid.FIDInceptionE_1(1280)
        network.Mixed_7c = fid.FIDInceptionE_2(2048)
    network.fc = nn.Identity()
    return network
