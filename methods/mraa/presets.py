"""The training presets: `tiny` for small drawn figures on a CPU, `paper` and the official configurations' recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchbed.interfaces.training import TrainingSchedule

from ..training.disentangling import DisentanglingPreset, published_disentangling, tiny_disentangling
from ..training.presets import Preset, vox_steps
from ..training.recipe import Additions, Recipe, WarpConfig
from .official import official


@dataclass(frozen=True)
class MraaPreset(Preset):
    """A preset and the weights of the equivariance losses, of the regions' centres and of their affine shape.

    Args:
        warps: of these losses.
    """

    warps: WarpConfig
    shift_weight: float
    affine_weight: float


def presets() -> dict[str, Callable[[], MraaPreset | DisentanglingPreset]]:
    """Every preset by its name; those of the AVD network end in `-avd`."""
    return {
        "tiny": _tiny,
        "paper": partial(_paper, "vox256"),
        "vox256": partial(_paper, "vox256"),
        "tiny-avd": lambda: tiny_disentangling(_tiny()),
        "paper-avd": lambda: published_disentangling(
            _paper("vox256"), epochs=30, repeats=2000, milestones=(20, 25)
        ),
    }


def _rates(rate: float) -> dict[str, float]:
    # published: one Adam over all three
    return dict.fromkeys(("generator", "bg_predictor", "region_predictor"), rate)


def _paper(configuration: str) -> MraaPreset:
    """The published training of everything but the AVD network, which is trained after it (`paper-avd`)."""
    steps, epochs = vox_steps(100, 75, 14), 100
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=14, steps=steps, id_sampling=True, jitter=(0.1, 0.1, 0.1, 0.1)
        ),
        _rates(2e-4),
        milestones=tuple(steps * epoch // epochs for epoch in (60, 90)),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
    )
    return MraaPreset(configuration, official(configuration), recipe, WarpConfig(0.05, 0.005, 5), 10, 10)


def _tiny() -> MraaPreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published.

    The backgrounds of drawn figures stand still, so none of their motion is predicted (as in `mgif256`), and there is
    no AVD network.
    """
    published = {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what the generator has to learn to copy.
        "align_corners": True,
        "model_params": {
            "num_regions": 10,
            "num_channels": 3,
            "estimate_affine": True,
            "revert_axis_swap": True,
            "bg_predictor_params": {"bg_type": "zero"},
            "region_predictor_params": {
                "temperature": 0.1,
                "block_expansion": 16,
                "max_features": 64,
                "num_blocks": 3,
                "scale_factor": 0.5,
                "pca_based": True,
                "pad": 3,
            },
            "generator_params": {
                "block_expansion": 32,
                "max_features": 64,
                "num_down_blocks": 1,
                "num_bottleneck_blocks": 2,
                "skips": True,
                "pixelwise_flow_predictor_params": {
                    "block_expansion": 16,
                    "max_features": 96,
                    "num_blocks": 3,
                    "scale_factor": 0.5,
                    "use_deformed_source": True,
                    "use_covar_heatmap": True,
                    "estimate_occlusion_map": True,
                },
            },
        },
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=2400),
        _rates(5e-4),
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        additions=Additions(
            l1_weight=100.0,
            deformed_weight=50.0,
            copier=True,
            relative_perceptual=True,
            warm_cosine=True,
            freeze_norm_after=0.5,
            colour_rate=0.5,
        ),
    )
    return MraaPreset("tiny", published, recipe, WarpConfig(0.05, 0.005, 5), 3, 3)
