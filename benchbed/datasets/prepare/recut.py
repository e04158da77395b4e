"""One original, decoded once, to all clips that are cut from it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.prepare.chunks import Chunk, crop_box, distorts, frame_range
from benchbed.datasets.prepare.originals import Original, open_original
from benchbed.datasets.prepare.records import (
    FOLDER,
    Finished,
    Recipe,
    clip_path,
    read_finished,
    record_path,
    write_finished,
)
from benchbed.datasets.prepare.writers import MP4_RATE, STILLS, ClipWriter, open_writer, remove
from benchbed.datasets.shards import stored_bytes
from benchbed.datasets.standard.manifest import ClipRecord, content_sha256, files_sha256
from benchbed.errors import ClipError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Job:
    """An original and the clips to be cut from it."""

    original: ClipFile
    chunks: tuple[Chunk, ...]

    @property
    def name(self) -> str:
        """The original's path below the folder of originals."""
        return self.original.id

    @property
    def bytes(self) -> int:
        """Size of the original."""
        return sum(stored_bytes(file) for file in self.original.files)


@dataclass(frozen=True)
class Outcome:
    """What became of one clip: its record, or why there is none (a short reason, the same for like cases)."""

    chunk: Chunk
    finished: Finished | None
    kind: str = ""
    reason: str = ""


class DiskFullError(Exception):
    """Nothing more can be written; what is finished stays."""


def recut(job: Job, root: Path, recipe: Recipe, threads: int = 0) -> Iterator[Outcome]:
    """Cut, resize and write the clips of one original; each is given when it is whole on disk, or has failed.

    Frames are resized as the field does, see `benchbed.frames.resize_frames`.

    Args:
        root: the prepared root; clips go to `root/SPLIT/NAME`.
        threads: that decode; 0 for as many as the machine has cores.

    Raises:
        DiskFullError: there is no space left.
    """
    cuts = [_Cut(chunk, job, root, recipe) for chunk in job.chunks]
    waiting = []
    for cut in cuts:
        if cut.in_the_way():
            path = f"{cut.chunk.split}/{cut.target.name}"
            yield cut.failed(
                "in the way", f"{path} is there already and is not from this command; move it away"
            )
        else:
            waiting.append(cut)
    try:
        while waiting:
            reached = -1
            try:
                with open_original(job.original, recipe.alpha, threads) as original:
                    try:
                        yield from _cut(original, waiting)
                    finally:
                        reached = original.last
            except ClipError as error:
                # Clips behind the damage are tried again, from a key frame of their own.
                damaged = [cut for cut in waiting if not cut.closed and cut.first <= reached]
                for cut in damaged or waiting:
                    if not cut.closed:
                        yield cut.failed("unreadable video", str(error))
            waiting = [cut for cut in waiting if not cut.closed]
    finally:
        for cut in cuts:
            cut.discard()


def _cut(original: Original, cuts: list[_Cut]) -> Iterator[Outcome]:
    for cut in cuts:
        rate = original.rate if original.rate is not None else cut.chunk.fps or 1.0
        cut.first, cut.stop = frame_range(cut.chunk, rate)
    for number, pixels in original.frames([(cut.first, cut.stop) for cut in cuts]):
        for cut in cuts:
            if cut.closed or number < cut.first:
                continue
            if cut.stop is not None and number >= cut.stop:
                yield cut.finished(original)
            elif (failure := cut.add(pixels, original)) is not None:
                yield failure
    for cut in cuts:
        if not cut.closed:
            yield cut.finished(original)


class _Cut:
    """One clip on its way to the disk."""

    def __init__(self, chunk: Chunk, job: Job, root: Path, recipe: Recipe) -> None:
        self.chunk = chunk
        self.first: int = 0
        self.stop: int | None = None
        self.closed = False
        self.target = clip_path(root, chunk, recipe)
        self._job, self._root, self._recipe = job, root, recipe
        self._writer: ClipWriter | None = None
        self._count = 0
        self._distorted = False
        # Hidden, on the same file system, and emptied by the next start if this process is killed.
        self._temporary = root / FOLDER / "work" / f"{os.getpid()}-{id(self):x}" / self.target.name

    def in_the_way(self) -> bool:
        """Whether somebody else's file has the clip's name."""
        return self.target.exists() and not record_path(self._root, self.chunk).exists()

    def add(self, pixels: np.ndarray, original: Original) -> Outcome | None:
        """Crop, resize and write a frame; the outcome where that cannot be done."""
        from benchbed.frames import resize_frames

        height, width = pixels.shape[:2]
        left, top, right, bottom = crop_box(self.chunk, height, width)
        if right <= left or bottom <= top:
            return self.failed("box outside the frame", f"its box lies outside the {width}x{height} frames")
        self._distorted = self._distorted or distorts(self.chunk, height, width)
        frame = resize_frames(pixels[None, top:bottom, left:right], self._recipe.resolution)[0]
        try:
            if self._writer is None:
                self._writer = open_writer(self._temporary, self._recipe.layout, original.rate)
            self._writer.add(frame)
        except OSError as error:
            return self._not_written(error)
        self._count += 1
        return None

    def finished(self, original: Original) -> Outcome:
        """The outcome once no further frame can come."""
        name = self._job.name
        complete = self.stop is None or original.last >= self.stop - 1
        if original.cut_off and (self.stop is None or not complete):
            return self.failed("truncated video", f"{name} is truncated after frame {original.last}")
        if self.stop is not None and self.stop <= self.first:
            return self.failed(
                "no frame in its time", f"at {original.rate:g} frames per second {name} has none in it"
            )
        if not self._count:
            return self.failed(
                "video ends before the clip",
                f"{name} has {original.last + 1} frames, the clip begins at {self.first}",
            )
        notes = []
        if not complete and self.stop is not None:
            notes.append("shorter than their time span, as the original ends")
        if original.variable:
            notes.append("from originals of variable frame rate, whose frames are taken by their time")
        if self._distorted:
            notes.append("from originals of another aspect ratio than their boxes were made on")
        self.closed = True
        try:
            return Outcome(self.chunk, self._keep(original, tuple(notes)))
        except OSError as error:
            return self._not_written(error)

    def _keep(self, original: Original, notes: tuple[str, ...]) -> Finished:
        """Give the clip its name. Its record comes first: a clip without one is somebody else's."""
        assert self._writer is not None
        self._writer.finish()
        self._writer = None
        before = read_finished(self._root, self.chunk)
        if before is not None:
            remove(self._root / self.chunk.split / before.clip.id)
        remove(self.target)
        finished = Finished(
            clip=ClipRecord(
                id=self.target.name,
                frames=self._count,
                size=self._recipe.resolution,
                fps=original.rate or MP4_RATE if self._recipe.layout == "mp4" else None,
                sha256=self._digest(),
            ),
            recipe=self._recipe.digest(self.chunk),
            original=self._job.name,
            original_bytes=self._job.bytes,
            files=self._count if self._temporary.is_dir() else 1,
            bytes=0 if self._temporary.is_dir() else self._temporary.stat().st_size,
            notes=notes,
        )
        write_finished(self._root, self.chunk, finished)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._temporary, self.target)
        remove(self._temporary.parent)
        return finished

    def _digest(self) -> str:
        if self._recipe.layout == STILLS:  # read as folders of one image
            return files_sha256([self._temporary], is_folder=True)
        return content_sha256(self._temporary)

    def failed(self, kind: str, reason: str) -> Outcome:
        """The outcome of a clip that there will not be."""
        self.closed = True
        self.discard()
        return Outcome(self.chunk, None, kind, reason)

    def _not_written(self, error: OSError) -> Outcome:
        self.discard()
        if error.errno in DISK_FULL:
            raise DiskFullError from error
        return self.failed("not written", f"it cannot be written: {error.strerror or error}")

    def discard(self) -> None:
        """Remove what was written of a clip that is not whole."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        remove(self._temporary.parent)
