"""Cards: what is installed, found by entry points and read without importing any plug-in code."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchbed.errors import BenchbedError, UnknownNameError

GROUPS = {
    "benchbed.methods": ("method",),
    "benchbed.metrics": ("metric", "evaluator"),
    "benchbed.protocols": ("protocol",),
    "benchbed.datasets": ("dataset",),
}

# Without these a card cannot be used; a card that lacks one is left out and named by `benchbed doctor`.
REQUIRED = {
    "evaluator": ("role", "entry", "serves", "weights", "cache"),
    "metric": ("title", "unit", "direction", "level", "variant"),
}


@dataclass(frozen=True)
class Card:
    """One plug-in as its card describes it.

    Args:
        kind: `method`, `metric`, `evaluator`, `protocol` or `dataset`.
        name: registered name, unique within its kind.
        data: the whole TOML table.
        path: the card file; files a card names are relative to its folder.
        package: the package the entry point named.
    """

    kind: str
    name: str
    data: dict[str, Any] = field(hash=False)
    path: Path
    package: str

    @property
    def folder(self) -> Path:
        return self.path.parent

    def load(self, key: str = "entry") -> Callable[..., Any]:
        """Import and return the `module:attribute` that the card names under `key`.

        Raises:
            BenchbedError: the card has no such key, or it names nothing importable.
        """
        return load_entry(self.data.get(key, ""), owner=f"{self.kind} '{self.name}'")


def load_entry(entry: str, *, owner: str) -> Callable[..., Any]:
    """The object behind a `module:attribute` text; `owner` names the card in messages."""
    module_name, _, attribute = entry.partition(":")
    if not module_name or not attribute:
        raise BenchbedError(f"{owner} names no code to load ('{entry}'); its card needs 'module:attribute'")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise BenchbedError(
            f"{owner} needs the Python module '{error.name}', which is not installed; install it with pip"
        ) from error
    except AttributeError as error:
        raise BenchbedError(
            f"{owner} names '{attribute}', which module '{module_name}' does not have"
        ) from error


@dataclass(frozen=True)
class Registry:
    """All cards by kind and name, and the cards that could not be read."""

    cards: dict[tuple[str, str], Card]
    problems: tuple[str, ...]

    def of_kind(self, kind: str) -> list[Card]:
        """The cards of a kind: bundled ones in their stated `order`, then others by name."""
        found = [card for card in self.cards.values() if card.kind == kind]
        return sorted(found, key=lambda card: (card.data.get("order", 1000), card.name))

    def get(self, kind: str, name: str) -> Card:
        """The card of that name.

        Raises:
            UnknownNameError: with the known names and the nearest one.
        """
        card = self.cards.get((kind, name))
        if card is None:
            raise UnknownNameError(unknown_name(kind, name, [c.name for c in self.of_kind(kind)]))
        return card


def unknown_name(kind: str, name: str, known: list[str]) -> str:
    """The sentence for a name nobody registered."""
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"unknown {kind} '{name}'; known: {', '.join(known) or 'none'}{hint}"


def _package_folders(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None:
        return []
    return [Path(location) for location in spec.submodule_search_locations or []]


def _read_card(path: Path, package: str, kinds: tuple[str, ...]) -> Card:
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    kind, name = data.get("kind"), data.get("name")
    if kind not in kinds or not isinstance(name, str) or not name:
        raise BenchbedError(
            f"card {path.name} of {package} needs a name and kind = one of {', '.join(kinds)}"
        )
    missing = [key for key in REQUIRED.get(kind, ()) if key not in data]
    if missing:
        raise BenchbedError(f"card {path.name} of {package} lacks {', '.join(missing)}")
    return Card(kind, name, data, path, package)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Scan every package that an entry point names: its `*.toml` files and those of its direct sub-folders.

    Raises:
        BenchbedError: two cards carry the same kind and name.
    """
    cards: dict[tuple[str, str], Card] = {}
    problems: list[str] = []
    for group, kinds in GROUPS.items():
        for point in sorted(entry_points(group=group), key=lambda point: (point.value, point.name)):
            try:
                folders = _package_folders(point.value)
            except ImportError as error:
                problems.append(f"entry point '{point.name}' of {group} names '{point.value}': {error}")
                continue
            if not folders:
                problems.append(
                    f"entry point '{point.name}' of {group} names '{point.value}', which is no package"
                )
            for folder in folders:
                for path in sorted([*folder.glob("*.toml"), *folder.glob("*/*.toml")]):
                    try:
                        card = _read_card(path, point.value, kinds)
                    except (BenchbedError, tomllib.TOMLDecodeError, OSError) as error:
                        problems.append(f"card {path.name} of {point.value} cannot be read: {error}")
                        continue
                    other = cards.setdefault((card.kind, card.name), card)
                    if other.path != card.path:
                        raise BenchbedError(
                            f"{card.kind} '{card.name}' is registered twice, by {other.package} and {card.package}; "
                            "uninstall one of them"
                        )
    return Registry(cards, tuple(problems))


def card(kind: str, name: str) -> Card:
    """The card of that kind and name; see `Registry.get`."""
    return registry().get(kind, name)


def cards(kind: str) -> list[Card]:
    """All cards of a kind; see `Registry.of_kind`."""
    return registry().of_kind(kind)


@lru_cache(maxsize=64)
def code_fingerprint(package: str) -> str:
    """Sha256 (16 hex digits) over the Python and card files below a package: results are reused only with equal code."""
    digest = hashlib.sha256()
    for folder in _package_folders(package):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.toml")]):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
