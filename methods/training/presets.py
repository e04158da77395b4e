"""Presets by name: a configuration in the published words together with the recipe that trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from benchbed.errors import UnknownNameError

from .pair_training import overridden
from .recipe import Recipe

# A pass over the VoxCeleb train split visits each of its persons `num_repeats` times (id_sampling).
VOX_TRAIN_PERSONS = 424
# One that draws no identities visits every clip; as many are in FOMM's cut of VoxCeleb.
VOX_TRAIN_CLIPS = 19522


@dataclass(frozen=True)
class Preset:
    """What a method is trained as and how.

    Args:
        published: the configuration, in the published words.
        recipe: everything else.
    """

    name: str
    published: Mapping[str, Any]
    recipe: Recipe

    def resized(self, resolution: int | None, steps: int | None) -> Self:
        """The preset with another resolution or number of steps where one is given; milestones keep their share."""
        schedule = overridden(self.recipe.schedule, resolution, steps)
        milestones = tuple(
            schedule.steps * step // self.recipe.schedule.steps for step in self.recipe.milestones
        )
        return replace(self, recipe=replace(self.recipe, schedule=schedule, milestones=milestones))


Named = TypeVar("Named", bound=Preset)


def preset_named(method: str, name: str, presets: Mapping[str, Callable[[], Named]]) -> Named:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in presets:
        raise UnknownNameError(f"unknown preset '{name}' for {method}; known: {', '.join(presets)}")
    return presets[name]()


def vox_steps(epochs: int, repeats: int, batch_size: int) -> int:
    """Steps of a training on VoxCeleb."""
    return epochs * (VOX_TRAIN_PERSONS * repeats // batch_size)
