"""The training preset: `tiny` for small drawn figures on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset
from ..training.recipe import Additions, Recipe


@dataclass(frozen=True)
class X2FacePreset(Preset):
    """X2Face's words for both networks, and its own loss weights.

    Args:
        photometric: weight of the photometric loss; published is 1.
        coarse: weight of the same loss on shrunk images; not published.
    """

    photometric: float = 1.0
    coarse: float = 0.0


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
            {"pix2pixUnwrapped": 2e-3, "pix2pixSampler": 2e-3},
            perceptual=(2.0, 2.0, 2.0, 2.0),
            scales=(1.0, 0.5, 0.25),
            additions=Additions(copier=True, relative_perceptual=True, warm_cosine=True),
        ),
        photometric=100.0,
        coarse=100.0,
    )


PRESETS = {"tiny": _tiny}
