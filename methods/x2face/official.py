"""The officially released configuration, in the published words, and the files that carry its weights."""

from __future__ import annotations

from typing import Any

from benchbed.errors import UnknownNameError

UNALIGNED = "+unaligned"

OFFICIAL_FILES = {"x2face_model.pth": "vox-256", "x2face_model_forpython3.pth": "vox-256"}

DATASETS = {"vox-256": "voxceleb"}

_ROWS: dict[str, dict[str, Any]] = {"vox-256": {"size": 256, "ngf": 64, "num_downs": 8, "inner_nc": 128}}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+unaligned` (up-sample and sample as the unchanged
            published code does on any torch since 1.3, for which the weights were not trained).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, *options = name.split("+")
    if base not in _ROWS or set(options) - {UNALIGNED[1:]}:
        raise UnknownNameError(
            f"unknown X2Face configuration '{name}'; known: {', '.join(_ROWS)}, each also with {UNALIGNED}"
        )
    return {**_ROWS[base], "align_corners": UNALIGNED[1:] not in options}
