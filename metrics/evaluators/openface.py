"""Face identity by OpenFace, the network of the field's AED: whole frames, not aligned, as vectors of unit length."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from benchbed.interfaces.evaluator import IdentityFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from .folding import fold_batch_norms
from .openface_network import INPUT_SIZE, load_network

# Raised whenever the same weights and frames would give other vectors.
PREPROCESSING = 1
# Frames per pass, measured on the CPU: 1 takes 45 % longer a frame, 2 take 10 %.
BATCH = {"cpu": 16, "cuda": 256}


class OpenfaceEvaluator(nn.Module):
    """Frames to embeddings of the whole frame; there is always something to embed.

    Args:
        network: BGR `[N, 3, 96, 96]` in [0, 1] to `[N, 128]`, before they are brought to unit length.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.
        anti_aliasing: whether frames are smoothed before they are made smaller.
    """

    def __init__(self, network: nn.Module, fingerprint: str, *, anti_aliasing: bool = False) -> None:
        super().__init__()
        self.network = network
        self.fingerprint = fingerprint
        self._anti_aliasing = anti_aliasing
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> IdentityFeatures:
        """Vectors `[N, 128]` of frames `[N, 3, H, W]`, RGB in [0, 1]."""
        size = BATCH.get(frames.device.type, BATCH["cuda"])
        vectors = torch.cat([self._embed(chunk) for chunk in frames.split(size)])
        found = torch.ones(len(frames), dtype=torch.bool, device=frames.device)
        return IdentityFeatures(vectors, found)

    def _embed(self, frames: Tensor) -> Tensor:
        vectors = self.network(resized(frames, anti_aliasing=self._anti_aliasing).flip(1))
        # The port keeps its divisor off zero; the vectors are shorter than 1 by less than 1e-6 / |x|^2.
        return vectors / (vectors.square().sum(dim=1, keepdim=True) + 1e-6).sqrt()

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """The outputs `[2 * 128]` for the whole golden frames, before they are brought to unit length."""
        return self.network(resized(frames).flip(1)).flatten()


def build(*, device: torch.device, anti_aliasing: bool) -> OpenfaceEvaluator:
    """OpenFace nn4.small2 embeddings.

    Args:
        device: where the network is to run.
        anti_aliasing: False as scikit-image 0.14 resized, which the field's script pins; True is the default of
            scikit-image since 0.15.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network.
    """
    path = find_weights("openface")
    network = frozen(load_tensors(path).tensors).to(device)
    name = "face-identity-openface-smoothed" if anti_aliasing else "face-identity-openface"
    fingerprint = f"{name}:{sha256_of(path)}:{PREPROCESSING}"
    return OpenfaceEvaluator(network, fingerprint, anti_aliasing=anti_aliasing)


def frozen(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The network with batch norms folded, in the memory layout that is a quarter quicker on the CPU.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    network = fold_batch_norms(load_network(tensors))
    return network.to(memory_format=torch.channels_last)


def resized(frames: Tensor, *, anti_aliasing: bool = False) -> Tensor:
    """Frames `[N, 3, 96, 96]` as scikit-image's `resize` makes them (bilinear, mode `reflect`)."""
    height, width = frames.shape[2:]
    rows = _weights(height, anti_aliasing).to(frames)
    columns = _weights(width, anti_aliasing).to(frames)
    return rows @ frames @ columns.T


@functools.lru_cache(maxsize=16)
def _weights(length: int, anti_aliasing: bool) -> Tensor:
    """How much each of `length` pixels in a line counts in each of the 96 new ones, `[96, length]`.

    scikit-image resizes by these two SciPy calls, which are linear and take one axis after the other: their
    answer to unit impulses says everything.
    """
    from scipy import ndimage

    lines = np.eye(length)
    if anti_aliasing and length > INPUT_SIZE:
        lines = ndimage.gaussian_filter1d(lines, (length / INPUT_SIZE - 1) / 2, axis=0, mode="mirror")
    zoom = (INPUT_SIZE / length, 1)
    return torch.from_numpy(ndimage.zoom(lines, zoom, order=1, mode="mirror", grid_mode=True)).float()
