"""Clips written frame by frame, in the forms that are in use; a clip appears under its name when it is whole."""

from __future__ import annotations

import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from benchbed.errors import BenchbedError

# Lossless forms first. H.264 changes key-point metrics noticeably (pose-evaluation#2, #15), so the field measures on
# PNG, and mp4 is for looking and for saving space.
LAYOUTS = ("png", "strip", "tar", "mp4")
STILLS = "stills"  # of data sets of images: one PNG each
DIGITS = 7  # of frame numbers in folders, as the field's script writes them
MP4_RATE = 25.0  # for originals that state none


class ClipWriter(Protocol):
    """Takes the frames of one clip in order and puts them into a file or a folder."""

    def add(self, frame: np.ndarray) -> None:
        """Write a frame, uint8 `[H, W, 3]` RGB, of the same size as those before it.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        ...

    def finish(self) -> None:
        """Close the file; to be called once, after the last frame.

        Raises:
            OSError: the disk is full.
        """
        ...

    def abandon(self) -> None:
        """Let go of the file, which is of no use; raises nothing."""
        ...


def clip_file_name(name: str, layout: str, suffix: str = ".mp4") -> str:
    """What a clip is called on disk: folders of frames keep the suffix of the video, as the field's do.

    Args:
        name: of the clip, without suffix.
        layout: one of `LAYOUTS`, or `STILLS`.
        suffix: of the clip's video as lists of the data set have it (`.mp4`, `.gif`).
    """
    return name + {"png": suffix, "tar": suffix, "strip": ".png", STILLS: ".png", "mp4": ".mp4"}[layout]


def open_writer(path: Path, layout: str, rate: float | None) -> ClipWriter:
    """A writer to a path that does not exist yet.

    Args:
        rate: frames per second, of containers that store one.

    Raises:
        BenchbedError: no such layout.
    """
    if layout in ("png", "tar"):
        return FolderWriter(path)
    if layout in ("strip", STILLS):
        return StripWriter(path)
    if layout == "mp4":
        return H264Writer(path, rate or MP4_RATE)
    raise BenchbedError(f"unknown layout '{layout}'; known: {', '.join(LAYOUTS)}")


class FolderWriter:
    """A folder of PNG files `0000000.png`, ..."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        path.mkdir(parents=True)

    def add(self, frame: np.ndarray) -> None:
        # Strong compression takes three times as long for a tenth of the size.
        Image.fromarray(frame).save(self._path / f"{self._count:0{DIGITS}d}.png", compress_level=3)
        self._count += 1

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass


class StripWriter:
    """One PNG with the frames side by side; they are kept until the end, as rows of pixels cross all of them.

    A still is a strip of one frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: list[np.ndarray] = []

    def add(self, frame: np.ndarray) -> None:
        self._frames.append(frame)

    def finish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(self._frames, axis=1)).save(self._path, format="PNG", compress_level=3)

    def abandon(self) -> None:
        self._frames.clear()


class H264Writer:
    """An mp4 of H.264 (yuv420p, crf 12): lossy."""

    def __init__(self, path: Path, rate: float) -> None:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), mode="w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001))
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "12"}
        self._sized = False

    def add(self, frame: np.ndarray) -> None:
        import av

        if not self._sized:
            self._stream.height, self._stream.width = frame.shape[:2]
            self._sized = True
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        # Closing writes the index, which fails again on a full disk.
        with suppress(OSError, ValueError):
            self._container.close()


def remove(path: Path) -> None:
    """Remove a clip, file or folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
