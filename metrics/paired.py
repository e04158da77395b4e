"""What both sides of a comparison have in common: equal shapes, a device with float64, features of one role."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import Sample

FeatureType = TypeVar("FeatureType")


def paired_frames(generated: Sample, target: Sample) -> tuple[Tensor, Tensor]:
    """The frames of both samples, `[N, 3, H, W]`, of one shape and on a device that can sum in float64.

    Raises:
        BenchbedError: the shapes differ.
    """
    if generated.frames.shape != target.frames.shape:
        raise BenchbedError(
            f"generated frames {list(generated.frames.shape)} differ in shape from target frames "
            f"{list(target.frames.shape)}; give one generated frame of the same size for every target frame"
        )
    return summable(generated.frames), summable(target.frames)


def summable(tensor: Tensor) -> Tensor:
    """The tensor without gradients, on the CPU where its device has no float64 (Apple's)."""
    return tensor.detach().cpu() if tensor.device.type == "mps" else tensor.detach()


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
