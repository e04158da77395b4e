"""The training presets: `tiny` for small drawn figures on a CPU, `paper` for VoxCeleb."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset
from ..training.recipe import Additions, Recipe
from .official import official

NETWORKS = ("pix2pixUnwrapped", "pix2pixSampler")


@dataclass(frozen=True)
class X2FacePreset(Preset):
    """X2Face's words for both networks, and its own loss weights.

    Args:
        photometric: weight of the photometric loss; published is 1.
        coarse: weight of the same loss on shrunk images; not published.
    """

    photometric: float = 1.0
    coarse: float = 0.0


def _paper() -> X2FacePreset:
    """The published training on VoxCeleb, its first stage: the photometric loss alone, by plain gradient descent.

    The second stage compares activations of a face-recognition network on frames of the same and of another identity;
    it was not released, neither the network nor the weights of its losses, and is left out, as are the pose and audio
    maps, which are fitted to the finished networks. No augmentation is published and none is made. Published training
    may run for 3000 epochs of 2000 steps.
    """
    recipe = Recipe(
        TrainingSchedule(
            resolution=256, batch_size=16, steps=3000 * 2000, horizontal_flip=False, time_flip=False
        ),
        dict.fromkeys(NETWORKS, 1e-3),
        momentum=0.9,
    )
    return X2FacePreset("vox-256", official("vox-256"), recipe)


def _tiny() -> X2FacePreset:
    """For 64 x 64 pixels and minutes on a CPU.

    The networks, their first weights and the photometric loss on two frames of one clip are the published ones. The
    perceptual loss takes the place of the published second stage, which compares activations of a fixed
    face-recognition network on frames of one identity; figures have no such network. Not published: the weights,
    the coarse loss, Adam in the place of plain gradient descent, and all of `Additions`.
    """
    return X2FacePreset(
        "tiny",
        # five halvings are the fewest there are; they leave 2 x 2 driving vectors of 64 pixels
        {"size": 64, "ngf": 12, "num_downs": 5, "inner_nc": 64},
        Recipe(
            TrainingSchedule(resolution=64, batch_size=8, steps=8000),
            dict.fromkeys(NETWORKS, 2e-3),
            perceptual=(2.0, 2.0, 2.0, 2.0),
            scales=(1.0, 0.5, 0.25),
            additions=Additions(copier=True, relative_perceptual=True, warm_cosine=True),
        ),
        photometric=100.0,
        coarse=100.0,
    )


PRESETS = {"tiny": _tiny, "paper": _paper, "vox-256": _paper}
