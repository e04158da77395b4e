"""The user's own clips from a CSV: `clip,identity,domain,path,start,end,bbox`, no code."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchbed.datasets.layouts import IMAGE_SUFFIXES, ClipFile
from benchbed.datasets.standard.metadata import read_text
from benchbed.datasets.video_folder import identity_of
from benchbed.errors import BenchbedError

NEEDED = ("clip", "path")
COLUMNS = (*NEEDED, "identity", "domain", "start", "end", "bbox", "split")
ASSUMED = {
    "identity": "every clip is its own identity, or what its name says before '#'",
    "domain": "no evaluator of faces or bodies applies unless --domain says it",
    "start": "clips begin with the first frame",
    "end": "clips last until the last frame",
    "bbox": "frames are taken whole",
}
DOMAINS = ("face", "body", "robot", "animal", "other")
SPLITS = ("train", "test")
BOX = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True)
class TableRow:
    """One clip of a table.

    Args:
        id: of the clip.
        split: `train` or `test`.
        file: where its frames are.
        start: number of its first frame in the file, from 0; `end`: after its last one, None for the file's end.
        box: (left, top, right, bottom) in pixels of the file's frames; None for whole frames.
        broken: why it cannot be read; empty for others.
    """

    id: str
    identity: str
    domain: str
    split: str
    file: ClipFile
    start: int = 0
    end: int | None = None
    box: tuple[int, int, int, int] | None = None
    broken: str = ""


@dataclass(frozen=True)
class Table:
    """A table as its file has it, and sentences about what was not used or assumed."""

    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]


def read_table(path: Path, domain: str | None = None) -> Table:
    """A CSV with a row per clip; what is wrong with a row is kept with its clip, the others are used.

    Columns: `clip` (its id) and `path` (video, gif, wide image or folder of frames, relative to the table's folder
    and inside it) have to be there; `identity`, `domain` (`face`, `body`, `robot`, `animal`, `other`), `start` and `end`
    (frame numbers of the file, from 0, end exclusive), `bbox` (`left-top-right-bottom` in pixels of the file's frames)
    and `split` (`train`, `test`) may be left out or empty.

    Args:
        domain: of clips whose row says none.

    Raises:
        BenchbedError: the file cannot be read, lacks a column that has to be there, or names no clip.
    """
    content = read_text(path, "table of clips")
    reader = csv.DictReader(content.text.splitlines())
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    absent = [name for name in NEEDED if name not in header]
    if absent:
        raise BenchbedError(
            f"table '{path.name}' has no column '{absent[0]}' (its columns: {', '.join(header) or 'none'}); "
            f"it needs {' and '.join(NEEDED)}, and may have {', '.join(COLUMNS[len(NEEDED) :])}"
        )
    notes = [
        f"'{path.name}' has no column '{name}': {ASSUMED[name]}" for name in ASSUMED if name not in header
    ]
    unused = [name for name in header if name not in COLUMNS]
    if unused:
        notes.append(f"'{path.name}': columns not used: {', '.join(unused)}")
    rows: list[TableRow] = []
    for fields in reader:
        text = {name: (fields.get(name) or "").strip() for name in COLUMNS}
        if not text["clip"]:
            notes.append(f"'{path.name}', line {reader.line_num} names no clip; left out")
            continue
        rows.append(_row(path, text, domain or "other", too_long=None in fields))
    if not rows:
        raise BenchbedError(f"table '{path.name}' names no clip; give a row per clip")
    return Table(tuple(_without_doubles(path, rows)), tuple(notes))


def _row(table: Path, text: dict[str, str], domain: str, *, too_long: bool) -> TableRow:
    name = text["clip"]
    problems = ["it has more fields than the header"] if too_long else []
    file = _file(table.parent, name, text["path"], problems)
    start = _number(text, "start", problems) or 0
    end = _number(text, "end", problems)
    if end is not None and end <= start:
        problems.append(f"its range {start}..{end} holds no frame")
    box = BOX.fullmatch(text["bbox"])
    left, top, right, bottom = map(int, box.groups()) if box else (0, 0, 1, 1)
    if text["bbox"] and (not box or right <= left or bottom <= top):
        problems.append(f"bbox '{text['bbox']}' is not left-top-right-bottom in whole pixels")
    if text["domain"] and text["domain"] not in DOMAINS:
        problems.append(f"domain '{text['domain']}' is none of {', '.join(DOMAINS)}")
    if text["split"] and text["split"] not in SPLITS:
        problems.append(f"split '{text['split']}' is none of {', '.join(SPLITS)}")
    return TableRow(
        id=name,
        identity=text["identity"] or identity_of(name),
        domain=text["domain"] if text["domain"] in DOMAINS else domain,
        split=text["split"] if text["split"] in SPLITS else "test",
        file=file,
        start=start,
        end=end,
        box=(left, top, right, bottom) if box else None,
        broken=f"clip '{name}' of {table.name}: {'; '.join(problems)}; correct its row" if problems else "",
    )


def _number(text: dict[str, str], name: str, problems: list[str]) -> int | None:
    if text[name].isdigit() or not text[name]:
        return int(text[name]) if text[name] else None
    problems.append(f"{name} '{text[name]}' is no frame number")
    return None


def _file(folder: Path, name: str, text: str, problems: list[str]) -> ClipFile:
    """The row's file, once it lies below the table's folder; links that lead out of it count as outside."""
    nothing = ClipFile(name, (), is_folder=False)
    if not text:
        problems.append("it has no path")
        return nothing
    path = folder / text
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links, a NUL in the name
        inside = False
    if not inside:
        problems.append(f"path '{text}' leads out of the table's folder")
        return nothing
    if path.is_dir():
        images = sorted(
            (
                file
                for file in path.iterdir()
                if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."
            ),
            key=lambda file: file.name,
        )
        if not images:
            problems.append(f"folder '{text}' holds no image")
        return ClipFile(name, tuple(images), is_folder=True)
    if not path.is_file():
        problems.append(f"file '{text}' does not exist")
        return nothing
    return ClipFile(name, (path,), is_folder=False)


def _without_doubles(table: Path, rows: Iterable[TableRow]) -> list[TableRow]:
    """The rows sorted by id; an id that comes more than once names no clip that could be read."""
    rows = list(rows)
    count = Counter(row.id for row in rows)
    kept: dict[str, TableRow] = {}
    for row in sorted(rows, key=lambda row: row.id):
        name = row.id
        if count[name] > 1:
            broken = f"clip '{row.id}' of {table.name}: {count[name]} rows have this id; give each its own"
            row = TableRow(row.id, row.identity, row.domain, row.split, row.file, broken=broken)
        kept.setdefault(name, row)
    return list(kept.values())


def is_table(path: Path) -> bool:
    """Whether a path is meant as a table of clips: a CSV file."""
    return path.suffix.lower() == ".csv" and path.is_file()
