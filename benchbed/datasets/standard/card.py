"""A standard data set as its card describes it: counts of papers, layouts, rules, known lists."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchbed.datasets.standard.manifest import clip_key
from benchbed.errors import BenchbedError
from benchbed.registry import Card, cards, unknown_name

IDENTITY_RULES = {
    "before-hash": re.compile(r"([^#]+)#"),
    "before-underscore": re.compile(r"([^_]+)_"),
    "dancer": re.compile(r".*?(?:^|_)(d\d+)(?:_|$)"),
    "clip": None,
}
DATA_FOLDER = "BENCHBED_DATA"
FILE_KINDS = ("metadata", "list", "pairs", "persons")


@dataclass(frozen=True)
class PaperCount:
    """How many clips a paper states; None where it states none.

    Args:
        paper: its name in benchbed (`mofd`), or of the code release (`FOMM`).
        note: what a reader of the counts has to know (`64..1024 frames`), empty for nothing.
    """

    paper: str
    train: int | None
    test: int | None
    note: str = ""


@dataclass(frozen=True)
class KnownFile:
    """A file that papers cut, split or paired the data set with. The file itself is not ours to ship.

    Args:
        name: of the file as the origin publishes it.
        kind: `metadata` (how to cut originals), `list` (the clips of one split), `pairs` (source, driving) or
            `persons` (identities of one split).
        origin: repository and path.
        columns: of its header; empty for files without one.
        rows: without the header.
        sha256: of the bytes; several where the file is about in several forms.
        counts: distinct clips by split.
        names: sha256 of the sorted clip names by split, see `manifest.names_sha256`: it tells the same list in
            another form.
        used_by: the papers and releases that used it.
        note: traps.
    """

    name: str
    kind: str
    origin: str
    columns: tuple[str, ...]
    rows: int
    sha256: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict, hash=False)
    names: dict[str, str] = field(default_factory=dict, hash=False)
    used_by: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class StandardCard:
    """One of the field's data sets.

    Args:
        name: registered name, also its folder below `$BENCHBED_DATA`.
        title: as papers call it, and what it shows.
        domain: `face`, `body`, `robot` or `animal`; decides which evaluators apply.
        resolution: side of the square frames, pixels, as the field uses it; `resolutions`: all that papers used.
        splits: that the field uses.
        alpha: what happens to transparency: `drop` or `white`.
        identity: how a clip's name tells whose clip it is: `before-hash` (the name up to the first `#`),
            `before-underscore`, `dancer` (the field `dNN`), or `clip` (every clip is its own identity).
        layouts: forms on disk that are in use, the usual one first.
        frame_rates: in use, frames per second: of the originals, and what the field's script writes into the
            containers; empty where they differ or nobody says.
        lengths: fewest and most frames of a clip that any source states; None where none does.
        counts: by paper.
        files: metadata, lists and pair lists that papers used.
        citation, licence, obtain: sentences.
        evaluators: roles that apply, and `metrics`: names of those that apply.
        disjoint: whether train and test are said to share no identity; `known_leaks`: identities that they share
            all the same in the published list.
    """

    name: str
    title: str
    domain: str
    resolution: int
    resolutions: tuple[int, ...]
    splits: tuple[str, ...]
    alpha: str
    identity: str
    layouts: tuple[str, ...]
    frame_rates: tuple[float, ...]
    lengths: tuple[int, int] | None
    counts: tuple[PaperCount, ...]
    files: tuple[KnownFile, ...]
    citation: str
    licence: str
    obtain: str
    evaluators: tuple[str, ...]
    metrics: tuple[str, ...]
    disjoint: bool = False
    known_leaks: tuple[str, ...] = ()
    note: str = ""

    def identity_of(self, clip_id: str) -> str:
        """Whose clip it is, by the card's rule; the first folder, or the clip's own name, where it has no mark."""
        rule = IDENTITY_RULES[self.identity]
        found = rule.match(clip_key(clip_id)) if rule is not None else None
        if found is not None:
            return found.group(1)
        return clip_key(clip_id.split("/", 1)[0]) if rule is not None else clip_id

    def files_of(self, kind: str) -> tuple[KnownFile, ...]:
        """The known files of that kind."""
        return tuple(file for file in self.files if file.kind == kind)


def is_standard(card: Card) -> bool:
    """Whether a data set card describes one of the field's data sets (others bring their own code)."""
    return card.kind == "dataset" and card.data.get("role") == "standard"


def standard_cards() -> list[StandardCard]:
    """All standard data sets, in their stated order."""
    return [read_card(card) for card in cards("dataset") if is_standard(card)]


def standard_card(name: str) -> StandardCard:
    """The card of that name.

    Raises:
        BenchbedError: no standard data set has that name; the message suggests the nearest one.
    """
    known = {card.name: card for card in cards("dataset") if is_standard(card)}
    if name not in known:
        raise BenchbedError(unknown_name("standard data set", name, list(known)))
    return read_card(known[name])


def data_root(name: str) -> Path | None:
    """`$BENCHBED_DATA/NAME` where there is such a folder, else None."""
    home = os.environ.get(DATA_FOLDER)
    folder = Path(home).expanduser() / name if home else None
    return folder if folder is not None and folder.is_dir() else None


def read_card(card: Card) -> StandardCard:
    """The card's table, checked.

    Raises:
        BenchbedError: the card lacks something or states something unknown.
    """
    data = card.data
    try:
        found = StandardCard(
            name=card.name,
            title=data["title"],
            domain=data["domain"],
            resolution=data["default_resolution"],
            resolutions=tuple(data["resolutions"]),
            splits=tuple(data["splits"]),
            alpha=data["alpha"],
            identity=data["identity"],
            layouts=tuple(data["layouts"]),
            frame_rates=tuple(float(rate) for rate in data.get("frame_rates", ())),
            lengths=(data["lengths"][0], data["lengths"][1]) if "lengths" in data else None,
            counts=tuple(_count(entry) for entry in data.get("count", ())),
            files=tuple(_file(entry) for entry in data.get("file", ())),
            citation=data["citation"],
            licence=data["licence"],
            obtain=data["obtain"],
            evaluators=tuple(data["evaluators"]),
            metrics=tuple(data["metrics"]),
            disjoint=data.get("disjoint", False),
            known_leaks=tuple(data.get("known_leaks", ())),
            note=data.get("note", ""),
        )
    except KeyError as error:
        raise BenchbedError(f"card {card.path.name} of {card.package} lacks {error}") from error
    wrong = [file.kind for file in found.files if file.kind not in FILE_KINDS]
    if found.identity not in IDENTITY_RULES or wrong:
        stated = wrong[0] if wrong else found.identity
        known = FILE_KINDS if wrong else IDENTITY_RULES
        raise BenchbedError(f"card {card.path.name} states '{stated}'; known: {', '.join(known)}")
    return found


def _count(entry: dict[str, Any]) -> PaperCount:
    return PaperCount(entry["paper"], entry.get("train"), entry.get("test"), entry.get("note", ""))


def _file(entry: dict[str, Any]) -> KnownFile:
    return KnownFile(
        name=entry["name"],
        kind=entry["kind"],
        origin=entry["origin"],
        columns=tuple(entry.get("columns", ())),
        rows=entry["rows"],
        sha256=tuple(entry["sha256"]),
        counts=dict(entry.get("counts", {})),
        names=dict(entry.get("names", {})),
        used_by=tuple(entry.get("used_by", ())),
        note=entry.get("note", ""),
    )
