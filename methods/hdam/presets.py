"""HDAM's training presets: `tiny` for small drawn figures on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..training.anchor_presets import (
    TINY_EQUIVARIANCE,
    TINY_RECIPE,
    TINY_WARPS,
    AnchorPreset,
    tiny_anchors,
)


@dataclass(frozen=True)
class HdamPreset(AnchorPreset):
    """A preset and the weights of HDAM's own losses, see `losses.py`.

    Args:
        threshold: of the completeness.
    """

    root_weight: float
    intermediate_weight: float
    orthogonality_weight: float
    completeness_weight: float
    threshold: float


def presets() -> dict[str, Callable[[], HdamPreset]]:
    """Every preset by its name."""
    return {"tiny": _tiny}


def _tiny() -> HdamPreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published.

    Published training goes on from a trained DAM and ignores the motion anchors whose equivariance was worst in it;
    this starts from nothing and ignores none.
    """
    attention = {"subroot_leaf_attention": True, "ignore_kp_list": []}
    return HdamPreset(
        "tiny",
        tiny_anchors(num_kp=14, num_root_kp=4, attention=attention),
        TINY_RECIPE,
        TINY_WARPS,
        TINY_EQUIVARIANCE,
        TINY_EQUIVARIANCE,
        root_weight=1.0,
        intermediate_weight=10.0,
        orthogonality_weight=10.0,
        completeness_weight=10.0,
        threshold=0.33,
    )
