"""Lists of a split's clips in every published form, and whether one is the list that papers used."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchbed.datasets.standard.card import KnownFile, StandardCard
from benchbed.datasets.standard.manifest import ListOrigin, clip_key, names_sha256
from benchbed.datasets.standard.metadata import MetadataTable, is_metadata, read_metadata, read_text
from benchbed.errors import BenchbedError

CLIP_COLUMNS = ("video", "clip", "name", "filename")
FRAME_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class SplitList:
    """Which clips a split has, as a file says.

    Args:
        file: name without folders.
        sha256: of its bytes.
        form: `metadata`, `frames` (a line per frame), `table` (a row per clip) or `names` (a line per clip).
        clips: names without folder and suffix by split, sorted; under the key of `default_split` where the file
            does not say the split.
        frames: frames by clip name, where the file says them.
        metadata: the whole table, for a metadata file.
        problems: sentences about what was left out.
    """

    file: str
    sha256: str
    form: str
    clips: dict[str, tuple[str, ...]]
    frames: dict[str, int]
    metadata: MetadataTable | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """A file that a card knows.

    Args:
        file: as the card has it.
        exact: whether the bytes are the published ones; False for the same clips in another form.
    """

    file: KnownFile
    exact: bool


def read_split_list(path: Path, default_split: str | None = None) -> SplitList:
    """A list of clips: metadata CSV, `video/00000.png` lines (DAM, MTIA), `video,frames,digits`, or names alone.

    Args:
        path: the file.
        default_split: the split of a list that does not say it; None takes `train` where the file's name says
            so and else `test`.

    Raises:
        BenchbedError: the file cannot be read, is a pair list, or names no clip.
    """
    content = read_text(path, "split list")
    lines = [line.strip() for line in content.text.splitlines() if line.strip()]
    if not lines:
        raise BenchbedError(f"split list '{path.name}' is empty; give a file that names clips")
    header = next(csv.reader(lines[:1]))
    if is_metadata(header):
        table = read_metadata(path)
        splits = sorted({row.partition for row in table.rows})
        return SplitList(
            table.file,
            table.sha256,
            "metadata",
            {split: table.names(split) for split in splits},
            {},
            table,
            table.problems,
        )
    if {"source", "driving"} <= set(header):
        raise BenchbedError(
            f"'{path.name}' is a list of pairs, not of a split; give it to `benchbed run --pairs`"
        )
    split = default_split or ("train" if "train" in path.name.lower() else "test")
    column = next((name for name in CLIP_COLUMNS if name in header), None)
    problems: list[str] = []
    if column is not None:
        form, names, frames = "table", *_from_table(path.name, lines, column, problems)
    elif len(header) > 1:
        raise BenchbedError(
            f"split list '{path.name}' has no column that names clips (its first line reads '{lines[0][:80]}'); "
            f"one of these has to be there: {', '.join(CLIP_COLUMNS)}"
        )
    elif all("/" in line and line.lower().endswith(FRAME_SUFFIXES) for line in lines):
        per_clip = Counter(clip_key(str(PurePosixPath(line).parent)) for line in lines)
        form, names, frames = "frames", list(per_clip), dict(per_clip)
    else:
        form, names, frames = "names", [clip_key(line) for line in lines], {}
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        problems.append(f"'{path.name}' names {_some(repeated)} more than once; each is used once")
    return SplitList(
        path.name,
        content.sha256,
        form,
        {split: tuple(sorted(set(names)))},
        frames,
        problems=tuple(problems),
    )


def _from_table(
    file: str, lines: list[str], column: str, problems: list[str]
) -> tuple[list[str], dict[str, int]]:
    names: list[str] = []
    frames: dict[str, int] = {}
    for number, row in enumerate(csv.DictReader(lines), 2):
        name = clip_key((row[column] or "").strip())
        if not name:
            problems.append(f"'{file}', line {number} names no clip; left out")
            continue
        names.append(name)
        count = (row.get("frames") or "").strip()
        if count.isdigit():
            frames[name] = int(count)
    if not names:
        raise BenchbedError(f"split list '{file}' names no clip in its column '{column}'; add some")
    return names, frames


def is_pair_list(path: Path) -> bool:
    """Whether a file is a list of pairs (`source` and `driving` in its first line) and not one of clips.

    Raises:
        BenchbedError: the file cannot be read.
    """
    lines = read_text(path, "list").text.splitlines()
    return {"source", "driving"} <= set(next(csv.reader(lines[:1]), []))


def published_pairs(card: StandardCard, sha256: str) -> str:
    """Whose list of pairs has these bytes (`taichi256.csv of FOMM`); empty for one that the card does not know."""
    for file in card.files_of("pairs"):
        if sha256 in file.sha256:
            return f"{file.name} of {', '.join(file.used_by) or file.origin}"
    return ""


def recognise(card: StandardCard, listed: SplitList) -> Recognised | None:
    """The published file that a list is, by its bytes or by its clips; None for one that the card does not know."""
    for file in card.files:
        if listed.sha256 in file.sha256:
            return Recognised(file, exact=True)
    hashes = {split: names_sha256(names) for split, names in listed.clips.items()}
    for file in card.files:
        if all(file.names.get(split) == found for split, found in hashes.items()):
            return Recognised(file, exact=False)
    return None


def origin_of(card: StandardCard, listed: SplitList) -> ListOrigin:
    """Where a split's list comes from, for the manifest; known also when its clips come in another form."""
    found = recognise(card, listed)
    return ListOrigin(listed.file, listed.sha256, found.file.used_by if found is not None else ())


def describe(card: StandardCard, listed: SplitList) -> str:
    """One sentence: whether a list is one that papers used, and which."""
    found = recognise(card, listed)
    counted = ", ".join(f"{split} {len(names)}" for split, names in listed.clips.items())
    if found is None:
        return (
            f"{listed.file} ({counted}; sha256 {listed.sha256[:12]}...) is none of the lists that benchbed knows "
            f"for {card.name}: papers used others, or theirs are unpublished"
        )
    file = found.file
    form = "" if found.exact else ", the same clips in another form"
    users = f"; used by {', '.join(file.used_by)}" if file.used_by else ""
    note = f" ({file.note})" if file.note else ""
    return f"{listed.file} ({counted}) is {file.name} of {file.origin}{form}{users}{note}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
