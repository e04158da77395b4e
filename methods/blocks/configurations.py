"""Configurations in the published words: reading them, their resolution, the options appended to their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from benchbed.errors import BenchbedError, UnknownNameError

Config = TypeVar("Config")

BACKGROUND_OPTIONS = ("background", "still-background")
# When the background's motion is predicted: for absolute transfer, always, never.
BACKGROUND_USE = ("absolute", "always", "never")


def reading(title: str, read: Callable[[Mapping[str, Any]], Config], published: Mapping[str, Any]) -> Config:
    """What `read` makes of a configuration, or one sentence about what is wrong with it.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    try:
        return read(published)
    except KeyError as error:
        raise BenchbedError(f"the {title} configuration lacks {error}; give every published word") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchbedError(f"the {title} configuration cannot be read: {error}") from error


def resolution(published: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width: of our own word `resolution` (pixels, or height and width), else of `frame_shape`."""
    given = published.get("resolution")
    if given is None:
        given = published.get("dataset_params", {}).get("frame_shape")
    if given is None:
        return None
    return (given, given) if isinstance(given, int) else (int(given[0]), int(given[1]))


def split_options(
    title: str, name: str, known: Sequence[str], options: Sequence[str]
) -> tuple[str, frozenset[str]]:
    """A configuration's own name and the options after it (`vox256+background`).

    Args:
        title: what the method is called in sentences.
        known: names of the configurations.
        options: what may follow them; `background` and `still-background` exclude each other.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, *given = name.split("+")
    chosen = frozenset(given)
    if base not in known or not chosen <= set(options) or chosen >= set(BACKGROUND_OPTIONS):
        raise UnknownNameError(
            f"unknown {title} configuration '{name}'; known: {', '.join(known)}, each also with {_offer(options)}"
        )
    return base, chosen


def background_use(options: frozenset[str]) -> str:
    """Which of `BACKGROUND_USE` the options of a configuration ask for."""
    if "background" in options:
        return "always"
    return "never" if "still-background" in options else "absolute"


def require_background_use(use: str) -> None:
    """Refuse what is none of `BACKGROUND_USE`.

    Raises:
        ValueError: it is not.
    """
    if use not in BACKGROUND_USE:
        raise ValueError(f"background '{use}' is none of {', '.join(BACKGROUND_USE)}")


def _offer(options: Sequence[str]) -> str:
    others = [f"+{option}" for option in options if option not in BACKGROUND_OPTIONS]
    if not set(BACKGROUND_OPTIONS) <= set(options):
        return " or ".join(others)
    either = " or ".join(f"+{option}" for option in BACKGROUND_OPTIONS)
    return f"{', '.join(others)}, and {either}" if others else either
