"""The catalogue of weights files: what each is for, where it comes from, how it is checked."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchbed.errors import UnknownNameError

CATALOGUE = Path(__file__).resolve().parent.parent / "weights.toml"


@dataclass(frozen=True)
class WeightsEntry:
    """One file of the catalogue.

    Args:
        name: what `benchbed weights pull` takes.
        purpose: what needs it.
        file: exact file name.
        url: the maker's address: the file itself, or the page it is offered on where `by_hand` is set.
        sha256: the digest or its first digits as the maker states them, empty where none are.
        megabytes: size in MiB, about.
        licence: of the weights, as far as it is stated.
        folder: below $TORCH_HOME and below the store, where the libraries look for the file.
        by_hand: no program can download it (a page to click through).
        golden: evaluator name to the 64 golden numbers of the file as its maker gives it.
    """

    name: str
    purpose: str
    file: str
    url: str
    sha256: str
    megabytes: float
    licence: str
    folder: str
    by_hand: bool = False
    golden: Mapping[str, list[float]] = field(default_factory=dict)


def catalogue() -> dict[str, WeightsEntry]:
    """All known weights by name, in catalogue order."""
    content = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {entry["name"]: WeightsEntry(**entry) for entry in content["weights"]}


def weights_entry(name: str) -> WeightsEntry:
    """The catalogue entry of that name.

    Raises:
        UnknownNameError: there is none; the nearest names are suggested.
    """
    entries = catalogue()
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=1)
    suggestion = f" (did you mean '{near[0]}'?)" if near else ""
    raise UnknownNameError(f"unknown weights '{name}'; known: {', '.join(entries)}{suggestion}")
