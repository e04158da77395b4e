"""What an evaluator (a frozen network metrics measure with) must do, and the features of each role."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class KeypointFeatures:
    """Role `keypoints`: detected landmarks or joints.

    Args:
        positions: float32 `[N, K, 2]`, (x, y) in pixels of the scored frame.
        found: bool `[N, K]`; positions of points that were not found mean nothing.
    """

    positions: Tensor
    found: Tensor


@dataclass(frozen=True)
class IdentityFeatures:
    """Role `identity`: embeddings, as the network gives them.

    Args:
        vectors: float32 `[N, D]`.
        found: bool `[N]`; False where there was nothing to embed (no face found).
    """

    vectors: Tensor
    found: Tensor


@dataclass(frozen=True)
class ExpressionFeatures:
    """Role `expression`: coefficients of a 3-D face model, identity and pose left out.

    Args:
        coefficients: float32 `[N, D]`.
        found: bool `[N]`; False where no face was found.
    """

    coefficients: Tensor
    found: Tensor


@dataclass(frozen=True)
class PooledFeatures:
    """Role `pooled`: one vector per frame for set metrics (Inception-like), float32 `[N, D]`."""

    vectors: Tensor


@dataclass(frozen=True)
class SegmentFeatures:
    """Role `segments`: one vector per full segment of 16 consecutive frames, float32 `[N // 16, D]`.

    The engine always gives chunks of 16 frames counted from the clip's start; the last one of a clip may be
    shorter and then has no vector.
    """

    vectors: Tensor


@dataclass(frozen=True)
class PerceptualFeatures:
    """Role `perceptual`: channel-normalised activations for LPIPS.

    Args:
        layers: per layer float32 `[N, C_l, H_l, W_l]`, unit length over channels.
        weights: per layer `[C_l]`, non-negative: the calibrated 1x1 head without bias.
    """

    layers: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]


Features = (
    KeypointFeatures
    | IdentityFeatures
    | ExpressionFeatures
    | PooledFeatures
    | SegmentFeatures
    | PerceptualFeatures
)
CACHEABLE: dict[str, type] = {
    "keypoints": KeypointFeatures,
    "identity": IdentityFeatures,
    "expression": ExpressionFeatures,
    "pooled": PooledFeatures,
    "segments": SegmentFeatures,
}


def features_to_arrays(features: Features) -> dict[str, np.ndarray]:
    """Arrays by field name, on the CPU; for the roles in `CACHEABLE`, whose fields are tensors."""
    return {field.name: getattr(features, field.name).cpu().numpy() for field in fields(features)}


def features_from_arrays(role: str, arrays: dict[str, np.ndarray], device: torch.device | str):
    """The features of a cacheable role from what `features_to_arrays` gave."""
    return CACHEABLE[role](**{name: torch.from_numpy(array).to(device) for name, array in arrays.items()})


class Evaluator(Protocol):
    """A frozen network: frames in, features of one role out; batched, eval mode, no gradients.

    Attributes:
        fingerprint: name + weights sha256 + preprocessing version. Equal fingerprints give equal features.
    """

    fingerprint: str

    def __call__(self, frames: Tensor) -> Features:
        """Features of frames `[N, 3, H, W]`, RGB float32 in [0, 1], on the device the evaluator was built for.

        The evaluator splits large batches itself where its network is faster on small ones.
        """
        ...

    def probe(self, frames: Tensor) -> Tensor:
        """Numbers `[M]` in which every tensor of its networks takes part, for the golden self-test.

        Args:
            frames: the golden frames (`benchbed.golden.golden_frames`), `[2, 3, 64, 64]` in [0, 1]. The evaluator
                resizes or repeats them as its networks need, and leaves out detection: a box, where one is
                needed, is the whole frame.
        """
        ...


class EvaluatorBuilder(Protocol):
    """The callable an evaluator card's `entry` names."""

    def __call__(self, *, device: torch.device) -> Evaluator:
        """Load the weights and return the evaluator, in eval mode on the device.

        The keyword arguments in `params` of the card are given as well. The engine then checks the golden output.

        Raises:
            WeightsMissingError: a weights file is not here; the message ends with the command that brings it.
            CheckpointError: the file is damaged or does not fit the network.
        """
        ...
