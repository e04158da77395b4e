"""The frames of a case from files that another program wrote, checked against the case and read in batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbed.datasets.containers import is_gif, is_image
from benchbed.datasets.images import check_readable, decode_image
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.shards import StoredFile
from benchbed.datasets.video_io import read_video
from benchbed.datasets.video_stream import opened_video
from benchbed.errors import ClipError
from benchbed.executors.generators import UnusableFramesError
from benchbed.external.names import CaseKey
from benchbed.frames import resize_frames, to_float
from benchbed.generation import Stopwatch
from benchbed.interfaces.protocol import Case

BATCH = 16
# What stands in the place of a first frame that the files leave out. Nothing is measured on it.
NO_FRAME = 0.5
# Codecs that give back what they were given, as long as colours are not turned into luma and chroma.
LOSSLESS = frozenset({"ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "qtrle", "zlib"})


class FileFrames:
    """The `benchbed.executors.generators.Generator` of frames made elsewhere.

    Args:
        name: of the method that made them.
        files: by case.
        refused: by case why there are none that could be scored; what reading them brings to light is added.
        alpha: as `benchbed.datasets.images.to_rgb` takes it.
        resize: bring frames of another size to the data set's instead of refusing them.
        first_frame: whether the files hold the first frame; where they do not, measures have to leave it out.
        trained_on: data set of the method's training, `none` or `unknown`.
    """

    timed = False
    parameters: int | None = None

    def __init__(
        self,
        name: str,
        files: Mapping[CaseKey, ClipFile],
        refused: MutableMapping[CaseKey, str],
        *,
        alpha: str,
        resize: bool,
        first_frame: bool,
        trained_on: str,
    ) -> None:
        self.trained_on = trained_on
        self._name = name
        self._files = files
        self._refused = refused
        self._alpha = alpha
        self._resize = resize
        self._first_frame = first_frame
        self._notes: dict[str, None] = {}

    def frames(
        self,
        case: Case,
        source: Tensor,
        driving: Tensor,
        references: Tensor | None,
        *,
        stopwatch: Stopwatch,
        memory: AbstractContextManager,
        encoded: Callable[[Any], None] | None = None,
    ) -> Iterator[Tensor]:
        """See `benchbed.executors.generators.Generator.frames`; source and references are not looked at.

        Raises:
            UnusableFramesError: there are none, they cannot be decoded, or number or size differ from the case's.
        """
        key = (case.setting, case.id)
        if key not in self._files:
            raise UnusableFramesError(self._refused[key])
        file = self._files[key]
        self._notes = {}
        try:
            yield from self._checked(file, driving)
        except UnusableFramesError as error:
            self._refused[key] = str(error)
            raise
        except ClipError as error:
            self._refused[key] = f"unreadable: {error}"
            raise UnusableFramesError(self._refused[key]) from error

    def notes(self, dataset_name: str, resolution: tuple[int, int]) -> tuple[str, ...]:
        """What was done to the frames given last, and what is not known of them."""
        own = [f"{self._name}: {note}" for note in self._notes]
        made = f"{self._name}: frames made elsewhere, with 8 bits a channel; its speed, memory and parameters are unknown"
        if self.trained_on not in ("none", "unknown", dataset_name):
            own.append(f"{self._name} was trained on {self.trained_on}, not on {dataset_name}")
        return (made, *own)

    def _checked(self, file: ClipFile, driving: Tensor) -> Iterator[Tensor]:
        expected, size = driving.shape[0], (driving.shape[-2], driving.shape[-1])
        if not self._first_frame:
            yield torch.full((1, *driving.shape[1:]), NO_FRAME, device=driving.device)
            self._note("its files leave the first frame out: every value is over the other frames")
            expected -= 1
        loss = compression(file)
        if loss:
            self._note(f"frames are compressed with loss ({loss}), which changes its numbers")
        for batch in self._decoded(file, expected):
            if batch.shape[1:3] != size:
                batch = self._fitted(file, batch, size)
            planes = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
            yield to_float(planes.to(driving.device))

    def _decoded(self, file: ClipFile, expected: int) -> Iterator[np.ndarray]:
        """uint8 `[N, H, W, 3]`, the number of frames checked before the first of them is given."""
        if file.is_folder:
            self._check_count(file, len(file.files), expected)
            paths = sorted(file.files, key=natural)
            for start in range(0, len(paths), BATCH):
                frames = [self._image(path) for path in paths[start : start + BATCH]]
                if len({frame.shape for frame in frames}) > 1:
                    raise UnusableFramesError(f"wrong size: the images of '{file.id}' differ in size")
                yield np.stack(frames)
            return
        video = read_video(file.files[0], self._alpha)
        for note in video.notes:
            self._note(note)
        self._check_count(file, len(video.frames), expected)
        for start in range(0, len(video.frames), BATCH):
            yield video.frames[start : start + BATCH]

    def _image(self, path: StoredFile) -> np.ndarray:
        pixels, notes = decode_image(path, self._alpha)
        for note in notes:
            self._note(note)
        return pixels

    def _check_count(self, file: ClipFile, count: int, expected: int) -> None:
        if count == expected:
            return
        skipped = "" if self._first_frame else " without the first"
        raise UnusableFramesError(
            f"wrong number of frames: '{file.id}' has {count}, {expected} are expected{skipped}"
        )

    def _fitted(self, file: ClipFile, frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        (height, width), (h, w) = size, frames.shape[1:3]
        if not self._resize:
            raise UnusableFramesError(
                f"wrong size: '{file.id}' has frames of {w}x{h}, the data set of {width}x{height}"
            )
        self._note(
            f"frames were resized from {w}x{h} to {width}x{height} (skimage, bilinear, antialiased), which changes "
            "its numbers"
        )
        return resize_frames(frames, size)

    def _note(self, text: str) -> None:
        self._notes[text] = None


def natural(path: StoredFile) -> list[tuple[int, int, str]]:
    """Sorts `2.png` before `10.png`: frames are numbered with and without leading zeros."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def compression(file: ClipFile) -> str:
    """What lost some of a clip's colours on the way to the disk; empty where nothing did as far as files tell.

    Raises:
        ClipError: a file cannot be read.
    """
    kinds = {_image_loss(check_readable(path)) for path in file.files} - {""}
    if kinds:
        return " and ".join(sorted(kinds))
    if is_image(check_readable(file.files[0])):
        return ""
    return _video_loss(file.files[0])


def _image_loss(head: bytes) -> str:
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[8:12] == b"WEBP" and head[12:16] != b"VP8L":
        return "WebP"
    return "gif, 256 colours" if is_gif(head) else ""


def _video_loss(path: StoredFile) -> str:
    try:
        with opened_video(path) as (_, stream):
            codec, pixels = stream.codec_context.name, stream.codec_context.pix_fmt or ""
    except ClipError:
        return ""  # decoding it says what is wrong
    lossless = codec in LOSSLESS and pixels.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "pal8", "0rgb"))
    return "" if lossless else f"{codec}, {pixels}"
