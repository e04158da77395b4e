"""Published pair lists: which clip is animated by which."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchbed.datasets.layouts import clip_name
from benchbed.errors import BenchbedError

COLUMNS = ("source", "driving")
NAMED = 5


@dataclass(frozen=True)
class PairList:
    """A list of pairs as its file has it.

    Args:
        name: of the file.
        sha256: of its bytes.
        rows: (source, driving) names, in order.
    """

    name: str
    sha256: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MatchedPairs:
    """The pairs of a list whose clips a data set has.

    Args:
        pairs: (source, driving) clip ids.
        listed: pairs in the list.
        missing: names that no clip has, sorted.
    """

    pairs: tuple[tuple[str, str], ...]
    listed: int
    missing: tuple[str, ...]

    @property
    def note(self) -> str:
        """What a reader of the table has to know; empty where all pairs are there."""
        if not self.missing:
            return ""
        named = ", ".join(self.missing[:NAMED]) + (", ..." if len(self.missing) > NAMED else "")
        return f"{len(self.pairs)} of {self.listed} listed pairs; clips not in the data set: {named}"


def read_pair_list(path: Path) -> PairList:
    """A CSV file with columns `source` and `driving`; further ones (`distance`, `frame`) are not used.

    Names are clips of the test split, with or without suffix. Source: the lists of FOMM (`distance,source,driving,
    frame`) and Monkey-Net (`source,driving`), whose code reads those two columns alone.

    Raises:
        BenchbedError: the file does not exist, is no such CSV, or a row lacks a name.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BenchbedError(
            f"pair list '{path}' cannot be read ({error.strerror or error}); give a CSV file"
        ) from error
    except UnicodeDecodeError as error:
        raise BenchbedError(
            f"pair list '{path}' is no text file; give a CSV with columns source,driving"
        ) from error
    lines = csv.DictReader(text.splitlines())
    absent = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if absent:
        raise BenchbedError(
            f"pair list '{path.name}' has no column '{absent[0]}' (its first line reads "
            f"'{text.splitlines()[0][:80] if text.strip() else ''}'); give a CSV with columns source,driving"
        )
    rows = []
    for row in lines:
        source, driving = ((row[name] or "").strip() for name in COLUMNS)
        if not source or not driving:
            raise BenchbedError(
                f"pair list '{path.name}', line {lines.line_num}: source or driving is empty; name both clips"
            )
        rows.append((source, driving))
    if not rows:
        raise BenchbedError(f"pair list '{path.name}' holds no pair; give a CSV with a row per pair")
    return PairList(path.name, hashlib.sha256(content).hexdigest(), tuple(rows))


def match_pairs(listed: PairList, clips: Iterable[str], dataset: str) -> MatchedPairs:
    """The pairs of a list as clip ids of a data set; a pair that comes twice is kept once.

    A name means the clip of that id, else the one whose id differs in folder and suffix alone.

    Raises:
        BenchbedError: no pair has both its clips, or a name could mean several clips.
    """
    ids = list(clips)
    exact = set(ids)
    by_stem: dict[str, list[str]] = {}
    for clip in ids:
        by_stem.setdefault(_stem(clip), []).append(clip)
    found: dict[str, str] = {}
    missing: set[str] = set()
    for name in dict.fromkeys(name for row in listed.rows for name in row):
        meant = [name] if name in exact else by_stem.get(_stem(name), [])
        if len(meant) > 1:
            raise BenchbedError(
                f"pair list '{listed.name}': '{name}' could be any of {', '.join(meant[:3])} in {dataset}; "
                "write the clip's whole id"
            )
        if meant:
            found[name] = meant[0]
        else:
            missing.add(name)
    pairs = [(found[s], found[d]) for s, d in listed.rows if s in found and d in found]
    if not pairs:
        raise BenchbedError(
            f"none of the {len(listed.rows)} pairs of '{listed.name}' has both clips in {dataset} "
            f"(first name: '{listed.rows[0][0]}', first clip: '{ids[0]}'); check the list and the data set"
        )
    return MatchedPairs(tuple(dict.fromkeys(pairs)), len(set(listed.rows)), tuple(sorted(missing)))


def _stem(name: str) -> str:
    return clip_name(PurePosixPath(name).name)
