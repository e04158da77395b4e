"""The only writer of results: shards while a run goes, tables when it ends; every file renamed into place."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchbed.errors import StoreError
from benchbed.files import replacing
from benchbed.tracking.record import (
    SCHEMA_VERSION,
    CaseRecord,
    pairs_from_arrays,
    pairs_to_arrays,
    record_from_json,
    record_to_json,
)


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreError(
                f"the disk that holds '{path}' is full; free some space and run the same command again, "
                "everything scored so far is kept"
            ) from error
        why = error.strerror or str(error)
        raise StoreError(
            f"cannot write results to '{path}': {why}; choose another folder with --out"
        ) from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write to a temporary name beside `path`, flush it to the disk, rename it.

    Raises:
        StoreError: the folder cannot be written to, or the disk is full; `path` is then as it was.
    """
    with _explaining(path), replacing(path) as temporary, open(temporary, "wb") as stream:
        write(stream)


def save_arrays(stream: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as one npz."""
    np.savez(stream, **arrays)  # type: ignore[arg-type]


def file_name(text: str) -> str:
    """A readable name that every file system takes, unique for the text."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._")[:60]
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


class Store:
    """One run's folder: `run.json`, `shards/` (the unit of resuming), and what is compiled from them.

    A shard is a file of features (where a set metric needs one) and then a JSON file; the JSON file commits it. Failed
    cases are stored too, and tried again when the run is resumed.

    Args:
        folder: `<out>/<run id>`.

    Raises:
        StoreError: the folder cannot be made, or holds a run of another schema version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _explaining(folder):
            (folder / "shards").mkdir(parents=True, exist_ok=True)
        existing = self.read_run()
        if existing is not None and existing.get("schema") != SCHEMA_VERSION:
            raise StoreError(
                f"'{folder}' was written by another version of benchbed (schema {existing.get('schema')}); "
                "run again with --fresh or another --out"
            )

    def clear(self) -> None:
        """Forget everything stored for this run."""
        with _explaining(self.folder):
            shutil.rmtree(self.folder)
            (self.folder / "shards").mkdir(parents=True)

    def _shard(self, section: str, method: str, case: str) -> Path:
        return self.folder / "shards" / file_name(section) / method / f"{file_name(case)}.json"

    def has(self, section: str, method: str, case: str) -> bool:
        """Whether a case is stored and did not fail."""
        path = self._shard(section, method, case)
        if not path.exists():
            return False
        return not any(row["status"] == "failed" for row in json.loads(path.read_bytes())["rows"])

    def put(self, section: str, method: str, case: str, record: CaseRecord) -> None:
        """Store one case; afterwards it survives a kill."""
        path = self._shard(section, method, case)
        arrays = pairs_to_arrays(record.set_features)
        if arrays:
            write_atomically(path.with_suffix(".npz"), lambda stream: save_arrays(stream, arrays))
        text = json.dumps(record_to_json(record)).encode()
        write_atomically(path, lambda stream: stream.write(text))

    def read(self, section: str, method: str, case: str) -> CaseRecord | None:
        """The stored case, or None."""
        path = self._shard(section, method, case)
        if not path.exists():
            return None
        data = json.loads(path.read_bytes())
        pairs = {}
        if path.with_suffix(".npz").exists():
            with np.load(path.with_suffix(".npz")) as archive:
                pairs = pairs_from_arrays(archive)
        return record_from_json(data, pairs)

    def read_run(self) -> dict[str, Any] | None:
        """`run.json`, or None before the first write."""
        path = self.folder / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write_run(self, provenance: dict[str, Any]) -> None:
        """Replace `run.json`."""
        text = json.dumps({"schema": SCHEMA_VERSION, **provenance}, indent=1, sort_keys=False).encode()
        write_atomically(self.folder / "run.json", lambda stream: stream.write(text))

    def write_frame(self, name: str, frame: Any) -> Path:
        """Write a pandas frame as `<name>.parquet`."""
        path = self.folder / f"{name}.parquet"
        write_atomically(path, lambda stream: frame.to_parquet(stream, index=False))
        return path

    def write_text(self, relative: str, text: str) -> Path:
        """Write a text file below the run's folder."""
        path = self.folder / relative
        write_atomically(path, lambda stream: stream.write(text.encode()))
        return path

    def sample_path(self, section: str, method: str, case: str) -> Path:
        """Where the sample strip of one case goes."""
        return self.folder / "samples" / file_name(section) / file_name(case) / f"{method}.png"

    def write_figure(self, path: Path, figure: Any) -> None:
        """Write a matplotlib figure as PNG."""
        write_atomically(path, lambda stream: figure.savefig(stream, format="png", dpi=120))

    def write_image(self, path: Path, image: Any) -> None:
        """Write a Pillow image as PNG, packed for speed: a third larger."""
        write_atomically(path, lambda stream: image.save(stream, format="PNG", compress_level=1))
