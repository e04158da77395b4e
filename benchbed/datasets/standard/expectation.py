"""What each split of a root should hold: by the lists given, by its manifest, or by nobody but the papers' counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.lists import SplitList, describe
from benchbed.datasets.standard.manifest import Manifest, names_sha256
from benchbed.errors import BenchbedError


@dataclass(frozen=True)
class Expectation:
    """What one split should be.

    Args:
        names: of its clips, without folder and suffix; None where nobody says.
        by_list: whether a list says them, and not just what the preparation found.
        frames: by name, where a list counts them.
        lengths: end - start by name, where a metadata table says them: what a stream of the table's rate gives.
        reasons: why clips are missing, by name, as the preparation recorded it.
        basis: by what it is checked, sentences.
    """

    names: frozenset[str] | None = None
    by_list: bool = False
    frames: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    basis: tuple[str, ...] = ()


def expectations(
    card: StandardCard, splits: Sequence[str], lists: Sequence[SplitList], manifest: Manifest | None
) -> dict[str, Expectation]:
    """By split: those that are there, that a list names, or that the manifest has.

    A list of clips says more than a metadata table that files them elsewhere: with both, the table's clips that the
    list names belong to the list's split (TED-talks, whose published table marks everything as train).

    Raises:
        BenchbedError: two lists name the clips of one split.
    """
    found: dict[str, Expectation] = {}
    for listed in sorted(lists, key=lambda one: one.metadata is not None):
        persons = any(listed.sha256 in file.sha256 for file in card.files_of("persons"))
        if persons:
            continue
        claimed = {name for one in found.values() for name in one.names or ()}
        for split, names in listed.clips.items():
            if split in found:
                if listed.metadata is not None:
                    continue
                raise BenchbedError(
                    f"{listed.file} and another list both name the {split} clips; give one of them"
                )
            lengths = {}
            if listed.metadata is not None:
                names = tuple(name for name in names if name not in claimed or _twice(listed, name))
                rows = (row for row in listed.metadata.rows if row.partition == split)
                lengths = {row.name: row.end - row.start for row in rows}
            found[split] = Expectation(
                frozenset(names), True, dict(listed.frames), lengths, basis=(describe(card, listed),)
            )
    for record in manifest.splits if manifest is not None else ():
        reasons = {one.id: one.reason for one in record.missing}
        if record.name in found:
            given = found[record.name]
            same = names_sha256(given.names or ()) == record.names_sha256
            told = () if same else (f"the root was prepared by another list of {len(record.listed)} clips",)
            found[record.name] = replace(given, reasons=reasons, basis=(*given.basis, *told))
            continue
        origin = record.origin
        used = ", which no paper is known to use"
        if origin is not None and origin.known_as:
            used = f", the list of {', '.join(origin.known_as)}"
        basis = (
            f"as prepared by {origin.file} (sha256 {origin.sha256[:12]}...){used}"
            if origin is not None
            else "as prepared, without a list"
        )
        found[record.name] = Expectation(
            frozenset(record.listed), origin is not None, reasons=reasons, basis=(basis,)
        )
    for split in splits:
        found.setdefault(split, Expectation(basis=("no list was given and the root has no manifest",)))
    return dict(sorted(found.items()))


def _twice(listed: SplitList, name: str) -> bool:
    """Whether a metadata table itself files a clip under both splits (three of VoxCeleb's)."""
    return sum(name in names for names in listed.clips.values()) > 1
