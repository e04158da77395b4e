"""Person identity of whole frames: exact PIL resizing, batched, around a re-identification network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from benchbed.frames import to_uint8
from benchbed.interfaces.evaluator import IdentityFeatures
from benchbed.weights import find_checked, load_tensors

from .folding import fold_batch_norms
from .osnet import load_osnet

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# PIL's fixed point for 8-bit images: coefficients are multiples of 2 ** -22.
COEFFICIENT_ONE = 1 << 22
BICUBIC_A = -0.5
# Fastest of 1, 2, 4, 8 and 16 on one and two CPU cores: larger batches leave the caches.
BATCH = {"cpu": 4, "cuda": 64}


@dataclass(frozen=True)
class Input:
    """What a network wants to be fed.

    Args:
        height: in pixels.
        width: in pixels.
        kernel: `bilinear` or `bicubic`, as PIL resizes: antialiased, on 8 bits.
        divisions: how often the 8-bit values are divided by 255 before the ImageNet normalisation.
    """

    height: int
    width: int
    kernel: str
    divisions: int = 1


OSNET_INPUT = Input(256, 128, "bilinear")


class PersonIdentityEvaluator(nn.Module):
    """Frames to embeddings; the whole frame is the person's crop, as in the field's scripts.

    Args:
        network: images `[N, 3, H, W]` to vectors `[N, D]`.
        input: what the network wants to be fed.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.
        batch: frames per call of the network, by type of device; default `BATCH`.
        channels_last: feed the network images with channels innermost, as `quickened` networks are fastest.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        input: Input,
        fingerprint: str,
        *,
        batch: dict[str, int] | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.network = network
        self.input = input
        self.fingerprint = fingerprint
        self.batch = batch or BATCH
        self.channels_last = channels_last
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> IdentityFeatures:
        """Embeddings of frames `[N, 3, H, W]`, RGB in [0, 1]; every frame counts as found."""
        vectors = self.embed(frames)
        return IdentityFeatures(vectors, torch.ones(len(vectors), dtype=torch.bool, device=vectors.device))

    def probe(self, frames: Tensor) -> Tensor:
        """The embeddings, flat: every tensor of the network takes part."""
        return self(frames).vectors.flatten()

    def embed(self, frames: Tensor) -> Tensor:
        """Vectors `[N, D]` of frames `[N, 3, H, W]`, RGB in [0, 1]."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        parts = frames.split(self.batch.get(frames.device.type, len(frames) or 1))
        return torch.cat(
            [self.network(self.prepare(part).contiguous(memory_format=layout)) for part in parts]
        )

    def prepare(self, frames: Tensor) -> Tensor:
        """The network's input, of frames `[N, 3, H, W]` in [0, 1]; float32 as torchvision's transforms give it."""
        images = pil_resize(to_uint8(frames), (self.input.height, self.input.width), self.input.kernel)
        values = images.float()
        for _ in range(self.input.divisions):
            values = values / 255
        return (values - self.mean) / self.deviation


def build(*, device: torch.device, weights: str) -> PersonIdentityEvaluator:
    """OSNet x1.0 embeddings.

    Args:
        device: where the network is to run.
        weights: name in the weights store; also the evaluator's name.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file is damaged or does not fit the network.
    """
    file = find_checked(weights)
    network = quickened(load_osnet(load_tensors(file.path).tensors))
    fingerprint = f"{weights}:{file.sha256}:{PREPROCESSING}"
    return PersonIdentityEvaluator(network, OSNET_INPUT, fingerprint).to(device)


def quickened(network: nn.Module) -> nn.Module:
    """The network with folded batch norms and channels innermost: equal numbers up to rounding, in less time.

    On one and two CPU cores OSNet takes 0.6 to 0.7 of the time it takes as loaded.
    """
    return fold_batch_norms(network).to(memory_format=torch.channels_last)


def pil_resize(images: Tensor, size: tuple[int, int], kernel: str) -> Tensor:
    """Images resized as PIL resizes 8-bit images, equal to the last bit, on any device.

    torchvision's own tensor resize rounds its coefficients to 16 bits and differs from PIL by a grey level here
    and there. Here all products are integers below 2 ** 53, so that sums in float64 are exact in any order.

    Args:
        images: uint8 `[N, C, H, W]`.
        size: (height, width) wanted.
        kernel: `bilinear` or `bicubic`.

    Returns:
        uint8 `[N, C, height, width]`.

    Source: Pillow's `Resample.c`: horizontal pass, 8-bit result, vertical pass. Pillow 13 takes the vertical pass
    first where the height shrinks much more than the width, which moves some values of tall frames by one level;
    here they stay as in the releases before it, with which the published numbers were measured.
    """
    height, width = images.shape[-2:]
    resized = images
    if width != size[1]:
        matrix = _coefficients(width, size[1], kernel).to(images.device)
        resized = _to_bytes(resized.double() @ matrix.T)
    if height != size[0]:
        matrix = _coefficients(height, size[0], kernel).to(images.device)
        resized = _to_bytes(matrix @ resized.double())
    return resized


def _to_bytes(sums: Tensor) -> Tensor:
    return sums.add_(COEFFICIENT_ONE // 2).div_(COEFFICIENT_ONE).floor_().clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=16)
def _coefficients(inputs: int, outputs: int, kernel: str) -> Tensor:
    """Integer coefficients `[outputs, inputs]`, float64, of one pass."""
    function, support = KERNELS[kernel]
    scale = inputs / outputs
    stretch = max(scale, 1.0)
    reach = support * stretch
    matrix = torch.zeros(outputs, inputs, dtype=torch.float64)
    for row in range(outputs):
        center = (row + 0.5) * scale
        first = max(int(center - reach + 0.5), 0)
        last = min(int(center + reach + 0.5), inputs)
        weights = [function((column - center + 0.5) * (1.0 / stretch)) for column in range(first, last)]
        total = sum(weights)
        for column, weight in enumerate(weights, start=first):
            share = weight / total * COEFFICIENT_ONE
            # C's conversion to int drops the fraction: halves go away from zero.
            matrix[row, column] = math.trunc(share - 0.5 if share < 0 else share + 0.5)
    return matrix


def _triangle(distance: float) -> float:
    return max(1.0 - abs(distance), 0.0)


def _cubic(distance: float) -> float:
    x, a = abs(distance), BICUBIC_A
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2.0 else 0.0


KERNELS: dict[str, tuple[Callable[[float], float], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}
