"""HDAM's training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.anchor_presets import (
    TINY_EQUIVARIANCE,
    TINY_RECIPE,
    TINY_WARPS,
    AnchorPreset,
    tiny_anchors,
)
from ..training.presets import vox_steps
from ..training.recipe import Recipe, WarpConfig
from .official import official


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
    return {"tiny": _tiny, "paper": _paper, "vox256": _paper}


def _paper() -> HdamPreset:
    """The published training on VoxCeleb, from random weights.

    Published training goes on from a trained DAM, whose filters it extends by those of the intermediate anchors;
    `--start FILE` takes over what has equal shapes, which is all of it but the filters of the anchors themselves. The two
    motion anchors that the configuration ignores are those whose equivariance was worst in that DAM.
    """
    steps = vox_steps(epochs=100, repeats=75, batch_size=48)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=48, steps=steps, id_sampling=True, jitter=(0.1, 0.1, 0.1, 0.1)
        ),
        {"generator": 2e-4, "kp_detector": 2e-4},
        milestones=(steps * 60 // 100, steps * 90 // 100),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        gradient_norms={"kp_detector": 1.0},
    )
    return HdamPreset(
        "vox256",
        official("vox256"),
        recipe,
        WarpConfig(0.05, 0.005, 5),
        equivariance_value=10,
        equivariance_jacobian=10,
        root_weight=1,
        intermediate_weight=10,
        orthogonality_weight=10,
        completeness_weight=10,
        threshold=0.33,
    )


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
