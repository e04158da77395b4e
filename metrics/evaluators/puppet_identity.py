"""Puppet identity: a unit-length embedding of who is in the frame."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.interfaces.evaluator import IdentityFeatures

from .puppet_layers import ConvolutionBlock, centred, fold, to_network_size
from .puppet_weights import FOLDER, fingerprint, load_weights

NAME = "puppet-identity"
PREPROCESSING = "1"
WEIGHTS = FOLDER / "puppet-identity.safetensors"
DIMENSIONS = 64


class IdentityNetwork(nn.Module):
    """Four halvings, global average, linear map to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            ConvolutionBlock(3, 24, stride=2),
            ConvolutionBlock(24, 48, stride=2),
            ConvolutionBlock(48, 48),
            ConvolutionBlock(48, 96, stride=2),
            ConvolutionBlock(96, 96),
            ConvolutionBlock(96, 128, stride=2),
        )
        self.embedding = nn.Linear(128, DIMENSIONS)

    def forward(self, frames: Tensor) -> Tensor:
        """Unit-length embeddings `[N, 64]` of frames `[N, 3, H, W]` in [0, 1]."""
        pooled = self.trunk(centred(frames)).mean(dim=(2, 3))
        return functional.normalize(self.embedding(pooled), dim=1)

    def probe(self, frames: Tensor) -> Tensor:
        """Golden numbers: the embeddings."""
        return self(frames).flatten()


class PuppetIdentity:
    """The evaluator; every frame has an embedding.

    Args:
        network: folded network on the device to use.
        fingerprint: name, weights sha256 and preprocessing version.
    """

    def __init__(self, network: IdentityNetwork, fingerprint: str) -> None:
        self.network = network
        self.fingerprint = fingerprint

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> IdentityFeatures:
        """Embeddings of frames `[N, 3, H, W]` in [0, 1] of any size (resized to 64x64)."""
        vectors = self.network(to_network_size(frames))
        return IdentityFeatures(vectors, torch.ones(len(vectors), dtype=torch.bool, device=vectors.device))

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """See `benchbed.interfaces.evaluator.Evaluator`."""
        return self.network.probe(frames)


def build(*, device: torch.device, weights: Path = WEIGHTS) -> PuppetIdentity:
    """The evaluator on a device.

    Raises:
        WeightsMissingError, CheckpointError: see `load_weights`.
    """
    network = IdentityNetwork()
    fold(network)
    network, _ = load_weights(network, weights, preprocessing=PREPROCESSING)
    return PuppetIdentity(network.to(device), fingerprint(NAME, weights, PREPROCESSING))
