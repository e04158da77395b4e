"""MTIA's training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset, vox_steps
from ..training.recipe import Additions, Recipe, WarpConfig
from .official import official


@dataclass(frozen=True)
class MtiaPreset(Preset):
    """A preset and the weights of the losses on key points and on masks.

    Args:
        warps: of the equivariance losses.
        background_mask_weight, concentration_weight: see `losses.py`.
        bold_start: not published, see `start.py`.
    """

    warps: WarpConfig
    equivariance_value: float
    equivariance_jacobian: float
    background_mask_weight: float = 0.0
    concentration_weight: float = 0.0
    bold_start: bool = False


def presets() -> dict[str, Callable[[], MtiaPreset]]:
    """Every preset by its name."""
    return {"tiny": _tiny, "paper": _paper}


def _paper() -> MtiaPreset:
    """The published training on VoxCeleb."""
    steps = vox_steps(epochs=100, repeats=150, batch_size=64)
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=64, steps=steps, id_sampling=True, jitter=(0.1, 0.1, 0.1, 0.1)
        ),
        {"generator": 2e-4, "kp_detector": 2e-4},
        milestones=(steps * 60 // 100, steps * 90 // 100),
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        gradient_norms={"kp_detector": 1.0},
    )
    return MtiaPreset("voxceleb1", official("voxceleb1"), recipe, WarpConfig(0.05, 0.005, 5), 10, 10)


def _tiny() -> MtiaPreset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published.

    The mask losses are those of `taichi256`, but the background stands still and is not predicted. Not published
    either: the start of the transformer.
    """
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=1400),
        {"generator": 5e-4, "kp_detector": 1e-3},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        gradient_norms={"kp_detector": 1.0},
        additions=Additions(
            l1_weight=100.0,
            deformed_weight=50.0,
            copier=True,
            relative_perceptual=True,
            warm_cosine=True,
            freeze_norm_after=0.05,
            colour_rate=0.3,
        ),
    )
    published = {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what the skips copy.
        "align_corners": True,
        "model_params": {
            "use_bg_predictor": False,
            "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
            "generator_params": {
                "block_expansion": 16,
                "max_features": 64,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 2,
                "estimate_occlusion_map": True,
                "skips": True,
                "dense_motion_params": {
                    "block_expansion": 16,
                    "max_features": 96,
                    "num_blocks": 3,
                    "scale_factor": 0.5,
                },
            },
        },
        "MODEL": {
            "NUM_JOINTS": 10,
            "TRANSFORMER_DEPTH": 4,
            "TRANSFORMER_HEADS": 4,
            "TRANSFORMER_MLP_RATIO": 3,
            "DIM": 64,
            "PATCH_SIZE": [2, 2],
            "IMAGE_SIZE": [64, 64],
            "EXTRA": {
                "STEM_CHANNELS": 24,
                "STAGE2": {"NUM_MODULES": 1, "NUM_CHANNELS": [16, 24], "NUM_BLOCKS": [1, 1]},
                "STAGE3": {"NUM_MODULES": 1, "NUM_CHANNELS": [16, 24, 32], "NUM_BLOCKS": [1, 1, 1]},
            },
        },
    }
    return MtiaPreset(
        "tiny",
        published,
        recipe,
        WarpConfig(0.05, 0.005, 5),
        # Small: while no motion is learned yet, both pull all key points to the centre of the image.
        equivariance_value=0.5,
        equivariance_jacobian=0.5,
        background_mask_weight=0.01,
        concentration_weight=0.01,
        bold_start=True,
    )
