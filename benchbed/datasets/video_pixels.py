"""Decoded video frames on their way to one array of 8-bit RGB: conversion, threads, memory."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image

from benchbed.datasets.images import to_rgb
from benchbed.datasets.shards import StoredFile
from benchbed.errors import ClipError

SMALL_FRAME = 512 * 512
RESERVED_BYTES = 1 << 30  # for frames a header promises; beyond it the array grows with what comes


def choose_threads(stream) -> None:
    """Frames of the field's sizes are decoded faster by one thread, beside which another converts them."""
    if stream.width * stream.height <= SMALL_FRAME:
        stream.codec_context.thread_count = 1
    else:
        stream.thread_type = "AUTO"


class Behind:
    """Does something with one item after the other in a thread of its own; what it raises comes out of the block."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self._work = work
        self._waiting: Queue = Queue(maxsize=16)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="convert", daemon=True)

    def __enter__(self) -> Callable[[Any], None]:
        self._thread.start()
        return self._put

    def _put(self, item: Any) -> None:
        if self._error is not None:
            raise self._error
        self._waiting.put(item)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._work(item)
                except BaseException as error:  # the giver raises it
                    self._error = error

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error


class Pixels:
    """Decoded frames as uint8 `[H, W, 3]`, all of one size, with one scaling context for all of them.

    Attributes:
        notes: what had to be converted.
    """

    def __init__(self, file: StoredFile, alpha: str) -> None:
        from av.video.reformatter import VideoReformatter

        self._file = file
        self._alpha = alpha
        self._reformatter = VideoReformatter()
        self._shape: tuple[int, ...] = ()
        self._format = ""
        self._composited = False
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def __call__(self, frame, number: int) -> np.ndarray:
        if frame.is_corrupt:
            raise ClipError(f"{self._file} is damaged at frame {number}; replace the file")
        if frame.format.name != self._format:
            self._look_at(frame.format)
        if self._composited:
            pixels = to_rgb(Image.fromarray(frame.to_ndarray(format="rgba")), "white")
        else:
            # one thread: starting more for one frame takes longer than converting it
            plane = self._reformatter.reformat(frame, format="rgb24", threads=1).planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
            pixels = rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)
        turned = round(getattr(frame, "rotation", 0) / 90) % 4
        if turned:
            self._notes[f"turned by {90 * turned} degrees as its container says"] = None
            # the display matrix counts counter-clockwise, and so does rot90
            pixels = np.rot90(pixels, turned)
        if not self._shape:
            self._shape = pixels.shape
        elif pixels.shape != self._shape:
            raise ClipError(f"{self._file} changes its frame size at frame {number}; re-encode it")
        return pixels

    def _look_at(self, form) -> None:
        self._format = form.name
        transparent = any(component.is_alpha for component in form.components)
        self._composited = transparent and self._alpha == "white"
        if transparent:
            self._notes["alpha dropped" if self._alpha == "drop" else "alpha composited on white"] = None
        bits = max(component.bits for component in form.components)
        if bits > 8:
            self._notes[f"{bits} bit to 8 bit"] = None
        if form.name.startswith(("gray", "mono", "ya8", "ya16")):
            self._notes["gray to RGB"] = None


class Rows:
    """Frames one after the other in one array that grows where a header promised too few.

    Attributes:
        used: frames so far.
    """

    def __init__(self, promised: int) -> None:
        self._promised = promised
        self._array = np.empty((0,), np.uint8)
        self.used = 0

    def add(self, pixels: np.ndarray) -> None:
        if not self.used:
            count = min(max(self._promised, 1), max(1, RESERVED_BYTES // pixels.nbytes))
            self._array = np.empty((count, *pixels.shape), np.uint8)
        elif self.used == len(self._array):
            larger = np.empty((2 * self.used, *pixels.shape), np.uint8)
            larger[: self.used] = self._array
            self._array = larger
        self._array[self.used] = pixels
        self.used += 1

    def taken(self) -> np.ndarray:
        return self._array[: self.used]
