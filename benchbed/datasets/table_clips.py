"""The clips of a user's table as a dataset: stretches and boxes of files, decoded on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchbed.datasets.clip_frames import clip_length, planes
from benchbed.datasets.images import check_alpha_rule, decode_image
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.standard.manifest import files_sha256
from benchbed.datasets.table import SPLITS, Table, TableRow, read_table
from benchbed.datasets.video_folder import DECODED_CLIPS_KEPT, DEFAULT_RESOLUTION
from benchbed.datasets.video_io import decoder_name, read_frames, read_video
from benchbed.errors import BenchbedError, ClipError
from benchbed.frames import RESIZE_RULE, resize_frames
from benchbed.interfaces.dataset import Clip, ExactKeypoints

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 128  # frames of a stretch that are held at the file's own size: those of long originals are large


def open_table(
    path: Path, *, resolution: int | None = None, domain: str | None = None, alpha: str = "drop"
) -> ClipTable:
    """The clips of a CSV, see `benchbed.datasets.table.read_table`.

    Args:
        resolution: frames are square, this many pixels (stretched, as the field does); None takes 256.
        domain: of clips whose row says none.
        alpha: `drop` the fourth channel, or composite on `white`.

    Raises:
        BenchbedError: the table cannot be read, lacks a column that has to be there, or names no clip.
    """
    check_alpha_rule(alpha)
    if resolution is not None and resolution < 8:
        raise BenchbedError(f"resolution {resolution} is too small; give at least 8 pixels")
    return ClipTable(path, read_table(path, domain), resolution or DEFAULT_RESOLUTION, alpha)


class ClipTable:
    """The dataset `open_table` returns; see `benchbed.interfaces.dataset.Dataset`."""

    def __init__(self, path: Path, table: Table, resolution: int, alpha: str) -> None:
        self.path = path
        self.name = path.stem
        self.resolution = (resolution, resolution)
        self.decoder = decoder_name()
        self._alpha = alpha
        self._rows = {row.id: row for row in table.rows}
        domains = sorted({row.domain for row in table.rows})
        self.domain = domains[0] if len(domains) == 1 else "other"
        broken = [row.id for row in table.rows if row.broken]
        self.notes = table.notes
        if len(domains) > 1:
            mixed = f"clips of several domains ({', '.join(domains)}): metrics of one of them need a table of its own"
            self.notes = (*self.notes, mixed)
        if broken:
            shown = ", ".join(broken[:3]) + (", ..." if len(broken) > 3 else "")
            self.notes = (*self.notes, f"{len(broken)} of {len(self._rows)} rows cannot be used: {shown}")
        self._frames = lru_cache(maxsize=DECODED_CLIPS_KEPT)(self._decode)

    if TYPE_CHECKING:
        fingerprint: str  # a plain attribute to others; computed when asked for, as it reads all files
    else:

        @cached_property
        def fingerprint(self) -> str:
            """Sha256 over every row, the contents of its file, and the rules that turn them into frames."""
            digest = hashlib.sha256()
            rules = (f"{self.resolution[0]}x{self.resolution[1]}", self._alpha, RESIZE_RULE, self.decoder)
            digest.update("\n".join(rules).encode())
            contents = lru_cache(maxsize=None)(_contents)  # many clips may lie in one file
            for row in self._rows.values():
                place = f"{row.start}..{row.end} {row.box}"
                line = f"\n{row.split}\t{row.id}\t{row.identity}\t{row.domain}\t{place}\t{contents(row.file.files, row.file.is_folder)}"
                digest.update(line.encode())
            return digest.hexdigest()

    def clips(self, split: str) -> list[Clip]:
        """The clips of a split, sorted by id.

        Raises:
            BenchbedError: the table has no clip of this split.
        """
        found = [self._clip(row) for row in self._rows.values() if row.split == split]
        if not found:
            raise BenchbedError(
                f"table '{self.path.name}' has no clip of split '{split}'; say {' or '.join(SPLITS)} in a column 'split'"
            )
        return found

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id, from any split.

        Raises:
            BenchbedError: no clip has that id.
        """
        return self._clip(self._row(clip_id))

    def _clip(self, row: TableRow) -> Clip:
        return Clip(id=row.id, identity=row.identity, domain=row.domain)

    def _row(self, clip_id: str) -> TableRow:
        if clip_id not in self._rows:
            raise BenchbedError(f"dataset '{self.name}' has no clip '{clip_id}'")
        return self._rows[clip_id]

    def frames(self, clip_id: str) -> Tensor:
        """All frames of a clip at the dataset's resolution, uint8 `[T, 3, H, W]` RGB; not to be written to.

        Raises:
            ClipError: its row is wrong, or its file is damaged or shorter than the row says; the message names it.
        """
        return self._frames(clip_id)

    def frames_at(self, clip_id: str, numbers: Sequence[int]) -> Tensor:
        """Some frames of a clip, those of `frames`, without decoding all the others; uint8 `[N, 3, H, W]`.

        Raises:
            ClipError: as for `frames`, as far as the file was read; or there is no such frame.
        """
        row = self._usable(clip_id)
        length = None if row.end is None else row.end - row.start
        if min(numbers) < 0 or (length is not None and max(numbers) >= length):
            raise ClipError(
                f"clip '{clip_id}' has {length} frames, numbered from 0; asked for {list(numbers)}"
            )
        return planes(
            self._finished(row, _read_some(row.file, [row.start + n for n in numbers], self._alpha))
        )

    def frame_count(self, clip_id: str) -> int:
        """How many frames `frames` gives, from headers where they are to be trusted.

        Raises:
            ClipError: its row is wrong, or its file is damaged.
        """
        row = self._usable(clip_id)
        with _naming(row):
            return _end(row) - row.start

    def truth(self, source: str, driving: str, transfer: str) -> str | None:
        """A clip drives itself, with itself as the answer; nobody filmed one identity in another's motion."""
        return driving if source == driving else None

    def keypoints(self, clip_id: str) -> ExactKeypoints | None:
        """None: nobody knows the key points of a real video exactly."""
        return None

    def _usable(self, clip_id: str) -> TableRow:
        row = self._row(clip_id)
        if row.broken:
            raise ClipError(row.broken)
        return row

    def _decode(self, clip_id: str) -> Tensor:
        row = self._usable(clip_id)
        with _naming(row):
            if row.start == 0 and row.end is None:
                return planes(self._finished(row, _read_all(row.file, self._alpha)))
            end = _end(row)
            blocks = [range(first, min(first + BLOCK, end)) for first in range(row.start, end, BLOCK)]
            parts = [self._finished(row, _read_some(row.file, block, self._alpha)) for block in blocks]
            return planes(np.concatenate(parts))

    def _finished(self, row: TableRow, frames: np.ndarray) -> np.ndarray:
        """Frames cropped to the row's box and brought to size."""
        if row.box is not None:
            left, top, right, bottom = row.box
            height, width = frames.shape[1:3]
            if right > width or bottom > height:
                box = "-".join(map(str, row.box))
                raise ClipError(f"bbox {box} reaches outside its frames of {width}x{height}; correct its row")
            frames = frames[:, top:bottom, left:right]
        return resize_frames(frames, self.resolution)


def _end(row: TableRow) -> int:
    """Number after the last frame of a row's clip."""
    length = clip_length(row.file)
    end = length if row.end is None else row.end
    if end > length or end <= row.start:
        raise ClipError(
            f"its range {row.start}..{end} is not in its file, which has {length} frames; correct its row"
        )
    return end


@contextmanager
def _naming(row: TableRow) -> Iterator[None]:
    """Files are shared by rows: what is wrong with one is said with the clip's name."""
    try:
        yield
    except ClipError as error:
        raise ClipError(f"clip '{row.id}': {error}") from error


def _read_all(file: ClipFile, alpha: str) -> np.ndarray:
    if file.is_folder:
        return _images(file.files, alpha)
    return read_video(file.files[0], alpha).frames


def _read_some(file: ClipFile, numbers: Sequence[int], alpha: str) -> np.ndarray:
    if not file.is_folder:
        return read_frames(file.files[0], numbers, alpha)
    if max(numbers) >= len(file.files):
        raise ClipError(
            f"its folder has {len(file.files)} frames, numbered from 0; frame {max(numbers)} was asked for"
        )
    return _images([file.files[number] for number in numbers], alpha)


def _images(files: Sequence, alpha: str) -> np.ndarray:
    frames = [decode_image(file, alpha)[0] for file in files]
    odd = next(
        (file for file, frame in zip(files, frames, strict=True) if frame.shape != frames[0].shape), None
    )
    if odd is not None:
        raise ClipError(f"{odd} has another size than the frames before it; make them equal")
    return np.stack(frames)


def _contents(files: tuple, is_folder: bool) -> str:
    try:
        return files_sha256(files, is_folder=is_folder)
    except OSError as error:
        return f"unreadable: {error.errno}"
