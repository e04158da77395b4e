"""The full-size configurations; no weights were ever released."""

from __future__ import annotations

from typing import Any

from ..blocks.anytime_config import anytime_names, full_size


def official_names() -> tuple[str, ...]:
    """The names of the full-size configurations."""
    return anytime_names()


def official(name: str) -> dict[str, Any]:
    """A full-size configuration; see `full_size`.

    Raises:
        UnknownNameError: no such configuration.
    """
    return full_size("Anytime-V2", name)
