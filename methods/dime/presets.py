"""The training presets: `paper` at full size, `tiny` for small drawn figures on a CPU, and the published ablations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import vox_steps
from ..training.recipe import Additions, Recipe, WarpConfig
from .official import official
from .pairs import DimePreset

WARPS = WarpConfig(0.05, 0.005, 5)
# The rows of the published ablation table, in the words of a configuration.
VARIANTS: dict[str, dict[str, bool]] = {
    "without-refinement": {"refinement": False},
    "without-identity": {"identity": False},
    "one-shot": {"one_shot": True},
}


def presets() -> dict[str, Callable[[], DimePreset]]:
    """Every preset by its name."""
    paper = partial(_paper, "vox-256")
    variants = {f"tiny-{name}": partial(_tiny, name) for name in VARIANTS}
    return {"tiny": _tiny, "paper": paper, "vox-256": paper, **variants}


def _clipped(published: dict[str, Any]) -> dict[str, float]:
    """The networks whose gradients are held at 1: unrolled steps of the solver can spike early."""
    refines = published["model_params"].get("variant_params", {}).get("refinement", True)
    return {"evolution": 1.0, "self_flow": 1.0} if refines else {"self_flow": 1.0}


def _paper(configuration: str) -> DimePreset:
    """FOMM's strategy, which the paper follows, with three references per source.

    The batch is chosen for them: four views of a sample are warped.
    """
    published = official(configuration)
    epochs, batch_size = 100, 12
    steps = vox_steps(epochs, 75, batch_size)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256,
            batch_size=batch_size,
            steps=steps,
            id_sampling=True,
            jitter=(0.1, 0.1, 0.1, 0.1),
            references=3,
        ),
        _rates(2e-4),
        milestones=tuple(steps * epoch // epochs for epoch in (60, 90)),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        gradient_norms=_clipped(published),
    )
    return DimePreset(configuration, published, recipe, warps=WARPS, equivariance_weight=10)


def _rates(rate: float, **others: float) -> dict[str, float]:
    return dict.fromkeys(("kp_detector", "generator", "evolution", "self_flow", "fusion"), rate) | others


def _tiny(variant: str | None = None) -> DimePreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` and `DimePreset` call not so.

    Features are those of full-size pixels: the published generator has no skips, and could not copy colours through
    halved resolutions in minutes.
    """
    published: dict[str, Any] = {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what the generator has to learn to copy.
        "align_corners": True,
        "model_params": {
            "common_params": {"num_kp": 10, "num_channels": 3},
            "kp_detector_params": {
                "temperature": 0.1,
                "block_expansion": 16,
                "max_features": 64,
                "scale_factor": 0.5,
                "num_blocks": 3,
            },
            "generator_params": {
                "block_expansion": 32,
                "max_features": 96,
                "num_down_blocks": 0,
                "num_bottleneck_blocks": 2,
                "estimate_occlusion_map": False,
                "dense_motion_params": {
                    "block_expansion": 16,
                    "max_features": 96,
                    "num_blocks": 3,
                    "scale_factor": 0.5,
                },
            },
            "evolution_params": {"widths": [8, 16, 32], "solver": "rk4", "steps": 2},
            "self_flow_params": {
                "reduced_features": 8,
                "block_expansion": 8,
                "max_features": 48,
                "num_blocks": 3,
            },
            "variant_params": {} if variant is None else VARIANTS[variant],
        },
    }
    recipe = Recipe(
        TrainingSchedule(
            resolution=64, batch_size=5, steps=1600, references=0 if variant == "one-shot" else 2
        ),
        _rates(5e-4, self_flow=1e-3, evolution=1e-3),
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        gradient_norms=_clipped(published),
        additions=Additions(
            l1_weight=100.0,
            copier=True,
            relative_perceptual=True,
            warm_cosine=True,
            freeze_norm_after=0.06,
            colour_rate=0.3,
        ),
    )
    return DimePreset(
        "tiny" if variant is None else f"tiny-{variant}",
        published,
        recipe,
        warps=WARPS,
        equivariance_weight=3,
        views_weight=50.0,
        blend_weight=30.0,
    )
