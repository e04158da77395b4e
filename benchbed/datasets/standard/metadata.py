"""The field's metadata tables: which seconds and which box of which original make a clip."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchbed.errors import BenchbedError

COLUMNS = ("video_id", "start", "end", "bbox", "fps", "width", "height", "partition")
PERSON = "person_id"
PARTITIONS = ("train", "test")
BOX = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)")
SAFE = re.compile(r"[^/\\\x00]+")


@dataclass(frozen=True)
class MetadataRow:
    """One clip of a metadata table.

    Args:
        line: in the file, from 1, for messages.
        video: id of the original, which is also its file name without suffix.
        start, end: frame numbers at `fps`, end exclusive.
        box: (left, top, right, bottom) in pixels of a frame of `width` x `height`.
        fps: the rate that start and end count at, not the original's.
        width, height: of the frames that the box was made on.
        partition: `train` or `test`.
        person: who is seen, empty where the table does not say.
        name: of the clip, without suffix, as the field's scripts name it.
        own_frames: whether start and end count the original's own frames, whatever `fps` says (ranges in names).
    """

    line: int
    video: str
    start: int
    end: int
    box: tuple[int, int, int, int]
    fps: float
    width: int
    height: int
    partition: str
    person: str
    name: str
    own_frames: bool = False


@dataclass(frozen=True)
class MetadataTable:
    """A metadata table as its file has it.

    Args:
        file: name without folders.
        sha256: of its bytes.
        rows: those that can be used, in the file's order, exact duplicates left out.
        problems: a sentence for everything that was left out or not used.
    """

    file: str
    sha256: str
    rows: tuple[MetadataRow, ...]
    problems: tuple[str, ...]

    def names(self, partition: str) -> tuple[str, ...]:
        """Distinct clip names of a partition, sorted."""
        return tuple(sorted({row.name for row in self.rows if row.partition == partition}))


def is_metadata(header: list[str]) -> bool:
    """Whether a CSV with this header is a metadata table (its first and its box column are there)."""
    return "video_id" in header and "bbox" in header


def read_metadata(path: Path) -> MetadataTable:
    """A metadata CSV: `video_id,start,end,bbox,fps,width,height,partition` and, for VoxCeleb, `person_id`.

    Where start and end are both 0 and `video_id` ends in `#first#last`, the range is taken from there (TED-talks).

    Source: vox-metadata.csv and taichi-metadata.csv of video-preprocessing (FOMM), ted-metadata.csv of MRAA.

    Raises:
        BenchbedError: the file cannot be read, lacks a column, or no row can be used.
    """
    content = read_text(path, "metadata table")
    reader = csv.DictReader(content.text.splitlines())
    header = list(reader.fieldnames or ())
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        raise BenchbedError(
            f"metadata table '{path.name}' has no column '{absent[0]}' (its columns: {', '.join(header) or 'none'}); "
            f"it needs {','.join(COLUMNS)}"
        )
    problems: list[str] = []
    unused = [name for name in header if name not in (*COLUMNS, PERSON)]
    if unused:
        problems.append(f"'{path.name}': columns not used: {', '.join(map(str, unused))}")
    rows: dict[tuple, MetadataRow] = {}
    repeated = 0
    for fields in reader:
        try:
            row = _row(fields, reader.line_num)
        except ValueError as error:
            problems.append(
                f"'{path.name}', line {reader.line_num} ({fields.get('video_id')}): {error}; left out"
            )
            continue
        key = (row.name, row.partition, row.box)
        repeated += key in rows
        rows.setdefault(key, row)
    if repeated:
        problems.append(f"'{path.name}': {repeated} rows repeat another one and are used once")
    if not rows:
        raise BenchbedError(
            f"metadata table '{path.name}' has no row that can be used"
            + (f" (first problem: {problems[0]})" if problems else "")
            + "; give the file as its origin publishes it"
        )
    problems += _boxes_that_differ(path.name, list(rows.values()))
    return MetadataTable(path.name, content.sha256, tuple(rows.values()), tuple(problems))


def _row(fields: dict, line: int) -> MetadataRow:
    """Raises: ValueError with what is wrong with the row."""
    if None in fields or any(fields[name] is None for name in COLUMNS):
        raise ValueError("it has another number of fields than the header")
    text = {name: (fields[name] or "").strip() for name in (*COLUMNS, PERSON) if name in fields}
    start, end = (_number(text, name) for name in ("start", "end"))
    video, *tail = text["video_id"].split("#")
    in_name = start == end == 0 and len(tail) == 2 and all(part.isdigit() for part in tail)
    if in_name:
        start, end = int(tail[0]), int(tail[1])
        name = text["video_id"]
    else:
        name = "#".join([*reversed(text["video_id"].split("#")), f"{int(start):06d}", f"{int(end):06d}"])
    person = text.get(PERSON, "")
    name = f"{person}#{name}" if person else name
    if not SAFE.fullmatch(name) or name.startswith(".") or not video:
        raise ValueError("its name would lead out of the data set's folder")
    if end <= start or start < 0:
        raise ValueError(f"its range {start:g}..{end:g} holds no frame")
    box = BOX.fullmatch(text["bbox"])
    if box is None:
        raise ValueError(f"bbox '{text['bbox']}' is not left-top-right-bottom in whole pixels")
    left, top, right, bottom = (int(part) for part in box.groups())
    if right <= left or bottom <= top:
        raise ValueError(f"bbox '{text['bbox']}' is empty")
    fps, width, height = (_number(text, name) for name in ("fps", "width", "height"))
    if min(fps, width, height) <= 0:
        raise ValueError("fps, width and height have to be above 0")
    if text["partition"] not in PARTITIONS:
        raise ValueError(f"partition '{text['partition']}' is neither train nor test")
    return MetadataRow(
        line=line,
        video=video,
        start=int(start),
        end=int(end),
        box=(left, top, right, bottom),
        fps=fps,
        width=int(width),
        height=int(height),
        partition=text["partition"],
        person=person,
        name=name,
        # The table's 10 fps are those of the cuts its boxes were made on: at 10 fps, talks would last 88 minutes.
        own_frames=in_name,
    )


def _number(text: dict[str, str], name: str) -> float:
    try:
        value = float(text[name])
    except ValueError:
        raise ValueError(f"{name} '{text[name]}' is no number") from None
    if value != value or abs(value) == float("inf"):
        raise ValueError(f"{name} '{text[name]}' is no number")
    return value


def _boxes_that_differ(file: str, rows: list[MetadataRow]) -> Iterator[str]:
    """A sentence for each clip that two rows cut differently: one of them would overwrite the other."""
    seen: dict[tuple[str, str], MetadataRow] = {}
    for row in rows:
        first = seen.setdefault((row.partition, row.name), row)
        if first is not row:
            yield (
                f"'{file}': lines {first.line} and {row.line} give clip {row.name} different boxes; "
                "the first is used"
            )


@dataclass(frozen=True)
class TextFile:
    """A text file's content and the sha256 of its bytes."""

    text: str
    sha256: str


def read_text(path: Path, kind: str) -> TextFile:
    """A UTF-8 text file, with or without byte order mark.

    Raises:
        BenchbedError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
        return TextFile(content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest())
    except OSError as error:
        raise BenchbedError(
            f"{kind} '{path}' cannot be read ({error.strerror or error}); give a text or CSV file"
        ) from error
    except UnicodeDecodeError as error:
        raise BenchbedError(f"{kind} '{path}' is no text file; give it as its origin publishes it") from error
