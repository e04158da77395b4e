"""What both sides of a comparison have in common: equal shapes, float64, the features of one role."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import Sample

FeatureType = TypeVar("FeatureType")


def paired_frames(generated: Sample, target: Sample) -> tuple[Tensor, Tensor]:
    """The frames of both samples in float64, `[N, 3, H, W]`, checked to have one shape.

    Raises:
        BenchbedError: the shapes differ.
    """
    if generated.frames.shape != target.frames.shape:
        raise BenchbedError(
            f"generated frames {list(generated.frames.shape)} differ in shape from target frames "
            f"{list(target.frames.shape)}; give one generated frame of the same size for every target frame"
        )
    return as_float64(generated.frames), as_float64(target.frames)


def as_float64(tensor: Tensor) -> Tensor:
    """The tensor in float64, on the CPU where its device has no float64 (Apple's)."""
    if tensor.device.type == "mps":
        tensor = tensor.cpu()
    return tensor.detach().to(torch.float64)


def role_features(
    generated: Sample, target: Sample, role: str, kind: type[FeatureType]
) -> tuple[FeatureType, FeatureType]:
    """The features of one role on both sides.

    Raises:
        BenchbedError: a sample holds no features of that role and kind.
    """
    first, second = generated.features.get(role), target.features.get(role)
    if not isinstance(first, kind) or not isinstance(second, kind):
        raise BenchbedError(
            f"the metric needs {kind.__name__} of role '{role}' for generated and target frames; "
            f"choose an evaluator of that role"
        )
    return first, second
