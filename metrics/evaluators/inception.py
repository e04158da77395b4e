"""FID features: the Inception network of pytorch-fid, with weights from the store."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import PooledFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from .folding import fold_batch_norms
from .released import bare, fill
from .resizing import RESIZES
from .winograd import quicken

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 2
# Frames at a time, by type of device; measured.
BATCH = {"cpu": 4, "cuda": 64}
CLASSES = 1008


class InceptionEvaluator(nn.Module):
    """Frames to the 2048 values of the last average pooling.

    Args:
        network: `[N, 3, 299, 299]` to `[N, 2048]`.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.
        resize: one of `benchbed.metrics.evaluators.resizing.RESIZES`.

    Source: pytorch-fid 0.3.0, whose network and resize rule are the default.
    """

    def __init__(self, network: nn.Module, fingerprint: str, *, resize: str = "pytorch-fid") -> None:
        super().__init__()
        self.network = network
        self.fingerprint = fingerprint
        self.resize = RESIZES[resize]
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> PooledFeatures:
        """Features `[N, 2048]` of frames `[N, 3, H, W]`, RGB in [0, 1]."""
        batches = frames.split(BATCH.get(frames.device.type, 4))
        vectors = [
            self.network(self.resize(batch).contiguous(memory_format=torch.channels_last))
            for batch in batches
        ]
        return PooledFeatures(torch.cat(vectors))

    def probe(self, frames: Tensor) -> Tensor:
        """The features of the frames, `[N * 2048]`."""
        return self(frames).vectors.flatten()


def build(*, device: torch.device, resize: str = "pytorch-fid") -> InceptionEvaluator:
    """The FID Inception features.

    Args:
        device: where the network is to run.
        resize: `pytorch-fid`, `clean` or `tensorflow`.

    Raises:
        BenchbedError: there is no such resize rule.
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network.
    """
    if resize not in RESIZES:
        raise BenchbedError(f"unknown resize rule '{resize}' for Inception; known: {', '.join(RESIZES)}")
    path = find_weights("inception-fid")
    network = prepare(load_network(load_tensors(path).tensors), device)
    name = "inception-fid" if resize == "pytorch-fid" else f"inception-fid-{resize}"
    fingerprint = f"{name}:{sha256_of(path)}:{PREPROCESSING}"
    return InceptionEvaluator(network, fingerprint, resize=resize).to(device)


def prepare(network: nn.Module, device: torch.device) -> nn.Module:
    """The loaded network as it is quickest on a device; outputs stay the same to rounding."""
    network = fold_batch_norms(network).to(memory_format=torch.channels_last)
    return quicken(network) if device.type == "cpu" else network


def load_network(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The FID Inception without its classifier, `[N, 3, 299, 299]` in [-1, 1] to `[N, 2048]`.

    Step counters of the batch norms may be absent (older files have none); the classifier `fc.*` is not used.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    return fill(_network(), bare(tensors, without=("fc.",)), name="the FID Inception")


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
