"""What is written beside each finished clip, so that it is made once: a record per clip below `.benchbed/clips`."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from benchbed.datasets.prepare.chunks import Chunk
from benchbed.datasets.prepare.writers import clip_file_name
from benchbed.datasets.standard.manifest import ClipRecord
from benchbed.files import replacing

VERSION = 1  # of the preprocessing; raise it whenever the pixels would change
FOLDER = ".benchbed"


@dataclass(frozen=True)
class Recipe:
    """How every clip of a root is made.

    Args:
        layout: see `writers.LAYOUTS`.
        resolution: (height, width) of the frames written, pixels.
        alpha: `drop` or `white`, for originals with transparency.
        suffix: of clips as the data set's lists have them.
    """

    layout: str
    resolution: tuple[int, int]
    alpha: str = "drop"
    suffix: str = ".mp4"

    def digest(self, chunk: Chunk) -> str:
        """Hex digest over all that decides a clip's frames, beside the original's contents."""
        content = json.dumps([VERSION, asdict(self), asdict(chunk)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Finished:
    """A clip that was written.

    Args:
        recipe: digest, see `Recipe.digest`.
        original: file name of the original.
        original_bytes: its size; a finished download of what had been cut short differs in it.
        files: how many files the clip has; `bytes`: of a clip in one file, 0 for a folder.
        notes: what a reader has to know (`ends early`), in a few words.
    """

    clip: ClipRecord
    recipe: str
    original: str
    original_bytes: int
    files: int
    bytes: int
    notes: tuple[str, ...] = ()


def clip_path(root: Path, chunk: Chunk, recipe: Recipe) -> Path:
    """Where a clip is written; clips of tar shards wait in a hidden folder until all are there."""
    root = root / FOLDER / "cut" if recipe.layout == "tar" else root
    return root / chunk.split / clip_file_name(chunk.name, recipe.layout, recipe.suffix)


def record_path(root: Path, chunk: Chunk) -> Path:
    """Where a clip's record is written."""
    return root / FOLDER / "clips" / chunk.split / f"{chunk.name}.json"


def read_finished(root: Path, chunk: Chunk) -> Finished | None:
    """The record of a clip, None where there is none that can be read."""
    try:
        data = json.loads(record_path(root, chunk).read_text(encoding="utf-8"))
        clip = data.pop("clip")
        clip["size"] = tuple(clip["size"])
        data["notes"] = tuple(data["notes"])
        return Finished(clip=ClipRecord(**clip), **data)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_finished(root: Path, chunk: Chunk, finished: Finished) -> None:
    """Write a clip's record, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    with replacing(record_path(root, chunk)) as temporary:
        temporary.write_text(json.dumps(asdict(finished)), encoding="utf-8")


def still_there(path: Path, finished: Finished) -> bool:
    """Whether a clip is on disk as its record has it: by its size, of a folder by the number of its files.

    Nothing is read, and no file of a folder looked at: data sets have millions. `data verify` reads everything.
    """
    try:
        if path.is_dir():
            return len(os.listdir(path)) == finished.files
        return path.stat().st_size == finished.bytes
    except OSError:
        return False
