"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset, vox_steps
from ..training.recipe import Additions, Recipe
from .official import official

# Of brightness, contrast, saturation and hue.
JITTER = (0.1, 0.1, 0.1, 0.1)


@dataclass(frozen=True)
class IapmPreset(Preset):
    """IAPM's words for its networks, and its own loss weights.

    Args:
        mask_correction: weight of the difference of the refined mask and the driving mask; published is 100.
        guess: weight of the mean absolute error of the low-resolution branch's guess; not published.
        driving_jitter: colour jitter that only the mask generator sees, so that masks cannot tell colours.
        epochs: the steps are divided into.
        refinement_start: epoch in which the refinement of masks begins to learn.
    """

    mask_correction: float = 100.0
    guess: float = 0.0
    driving_jitter: tuple[float, float, float, float] = JITTER
    epochs: int = 1
    refinement_start: int = 0


def _paper() -> IapmPreset:
    """The published training on VoxCeleb.

    The published code also animates a frame of another identity in every step, to look at; nothing learns from it.
    """
    epochs = 100
    steps = vox_steps(epochs, 75, 16)
    recipe = Recipe(
        TrainingSchedule(resolution=256, batch_size=16, steps=steps, id_sampling=True, jitter=JITTER),
        {"generator": 2e-4, "mask_generator": 2e-4},
        milestones=(steps * 60 // epochs, steps * 90 // epochs),
        perceptual=(10, 10, 10, 0, 0),
        scales=(1, 0.5, 0.25, 0.125),
    )
    return IapmPreset("vox-256", official("vox-256"), recipe, epochs=epochs, refinement_start=1)


def _tiny() -> IapmPreset:
    """For 64 x 64 pixels and minutes on a CPU.

    The networks, both perceptual losses, the mask correction, which gradients flow and all colour jitter are the
    published ones, and there is no adversarial loss. Not published: the weights of the perceptual losses, the error of
    the guess, all of `Additions`, masks at half the resolution in the place of a quarter and of a higher temperature, and
    that the refinement of masks learns from the first step on, not from the second epoch.
    """
    return IapmPreset(
        "tiny",
        {
            "model_params": {
                "common_params": {"num_channels": 3},
                "mask_generator_params": {
                    # At the published 0.1 the few large steps of a short training saturate every mask for good.
                    "temperature": 1,
                    "block_expansion": 16,
                    "max_features": 64,
                    "scale_factor": 0.5,
                    "num_blocks": 2,
                },
                "generator_params": {
                    "block_expansion": 32,
                    "max_features": 64,
                    "num_down_blocks": 1,
                    "num_bottleneck_blocks": 4,
                    "th": 60,
                },
                "widths_fixed_upstream": {
                    "hourglass_block_expansion": 16,
                    "hourglass_max_features": 64,
                    "hourglass_num_blocks": 4,
                    "mask_fix_block_expansion": 8,
                    "mask_fix_max_features": 32,
                    "mask_fix_num_blocks": 3,
                },
            },
        },
        Recipe(
            TrainingSchedule(resolution=64, batch_size=8, steps=1800, jitter=JITTER),
            {"generator": 1e-3, "mask_generator": 2e-4},
            perceptual=(2.0, 2.0, 2.0, 2.0),
            scales=(1.0, 0.5, 0.25),
            additions=Additions(l1_weight=100.0, copier=True, relative_perceptual=True, warm_cosine=True),
        ),
        guess=100.0,
    )


PRESETS = {"tiny": _tiny, "paper": _paper, "vox-256": _paper}
