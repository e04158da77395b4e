"""The training presets of Anytime-V2: `tiny` and its variants for small drawn figures, `paper` and the full-size ones."""

from __future__ import annotations

from collections.abc import Callable

from ..training.anytime_presets import AnytimePreset, anytime_presets
from ..training.disentangling import DisentanglingPreset
from .official import official


def presets(identities: int = 1) -> dict[str, Callable[[], AnytimePreset | DisentanglingPreset]]:
    """Every preset by its name; see `anytime_presets`."""
    return anytime_presets(official, identities)
