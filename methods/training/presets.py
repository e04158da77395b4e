"""Presets by name: a configuration in the published words together with the recipe that trains it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchbed.errors import UnknownNameError

from .pair_training import overridden
from .recipe import Recipe


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

    def resized(self, resolution: int | None, steps: int | None) -> Preset:
        """The preset with another resolution or number of steps where one is given."""
        return replace(
            self, recipe=replace(self.recipe, schedule=overridden(self.recipe.schedule, resolution, steps))
        )


def preset_named(method: str, name: str, presets: Mapping[str, Callable[[], Preset]]) -> Preset:
    """The preset of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in presets:
        raise UnknownNameError(f"unknown preset '{name}' for {method}; known: {', '.join(presets)}")
    return presets[name]()
