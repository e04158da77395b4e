"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb, and the ablations of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchbed.interfaces.training import TrainingSchedule

from ..training import presets
from ..training.recipe import Additions, Recipe
from .official import ABLATIONS, official

# The rows of the published ablation tables (4 and 5), in the words of a configuration; `tiny` has 20 directions.
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"m{directions}": {"motion_dim": directions} for directions in (5, 10, 40)},
    # Directions are orthogonal, so there cannot be more of them than the latent is wide.
    "m100": {"motion_dim": 100, "style_dim": 100},
    "no-dictionary": {"motion_dictionary": False},
}


@dataclass(frozen=True)
class Preset(presets.Preset):
    """A configuration, its recipe and what is LIA's own in training.

    Args:
        reconstruction_weight: of the mean absolute error of images in [-1, 1].
        adversarial_weight: of the discriminator's opinion; without it there is no discriminator.
        pyramid_weight: of the mean absolute error of the source image warped by the flow of every level below the
            finest, at its resolution; not published.
    """

    reconstruction_weight: float
    pyramid_weight: float = 0.0
    adversarial_weight: float = 0.0


def preset_named(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none.
    """
    variants = {
        f"tiny-{variant}": partial(_tiny, f"tiny-{variant}", words) for variant, words in VARIANTS.items()
    }
    full = {configuration: partial(_paper, configuration) for configuration in ("vox-256", *ABLATIONS)}
    tiny = {"tiny": partial(_tiny, "tiny", {}), **variants}
    return presets.preset_named("lia", name, {**tiny, "paper": full["vox-256"], **full})


def _paper(configuration: str) -> Preset:
    """The published training on VoxCeleb, which has no augmentation.

    The paper's batch size and, where it gives hours alone, the number of steps of the released code. Adam's numbers are
    the released code's: StyleGAN2's, which go with penalties in every fourth (generator) or sixteenth step
    (discriminator) that LIA does not have.
    """
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=32, steps=800_000, horizontal_flip=False, time_flip=False
        ),
        {"gen": 0.002 * 4 / 5, "discriminator": 0.002 * 16 / 17},
        perceptual=(10, 10, 10, 10, 10),
        scales=(1, 0.5, 0.25, 0.125),
        own_betas={"gen": (0.0, 0.99 ** (4 / 5)), "discriminator": (0.0, 0.99 ** (16 / 17))},
    )
    return Preset(
        configuration, official(configuration), recipe, reconstruction_weight=1.0, adversarial_weight=1.0
    )


def _tiny(name: str, variant: Mapping[str, Any]) -> Preset:
    """The published losses without the adversarial one, and what `Preset` and `Additions` call not published.

    Args:
        variant: words of an ablation that replace those of the preset.
    """
    published = {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what has to be copied.
        "align_corners": True,
        "size": 64,
        "style_dim": 96,
        "motion_dim": 20,
        "channels": {"4": 64, "8": 64, "16": 64, "32": 48, "64": 24, "128": 16, "256": 8},
        **variant,
    }
    recipe = Recipe(
        TrainingSchedule(resolution=64, batch_size=8, steps=2800),
        {"gen": 4e-3},
        perceptual=(2, 2, 2, 2),
        scales=(1, 0.5, 0.25),
        # LIA's own are 0 and 0.992.
        betas=(0.5, 0.99),
        additions=Additions(deformed_weight=100.0, copier=True, relative_perceptual=True, warm_cosine=True),
    )
    return Preset(name, published, recipe, reconstruction_weight=50.0, pyramid_weight=50.0)
