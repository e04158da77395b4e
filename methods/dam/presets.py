"""DAM's training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

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
class DamPreset(AnchorPreset):
    """A preset and the weight of `losses.root_loss`."""

    root_weight: float


def presets() -> dict[str, Callable[[], DamPreset]]:
    """Every preset by its name."""
    return {"tiny": _tiny, "paper": _paper}


def _paper() -> DamPreset:
    """The published training on VoxCeleb."""
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
    return DamPreset("vox256", official("vox256"), recipe, WarpConfig(0.05, 0.005, 5), 10, 10, 10)


def _tiny() -> DamPreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published."""
    published = tiny_anchors(num_kp=11, num_root_kp=1, attention={})
    return DamPreset(
        "tiny", published, TINY_RECIPE, TINY_WARPS, TINY_EQUIVARIANCE, TINY_EQUIVARIANCE, root_weight=10.0
    )
