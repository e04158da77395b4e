"""What a dataset must do: list clips by stable id and decode them, whole or frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """One video of one dataset.

    Args:
        id: stable within the dataset; also the name shown when the clip cannot be read.
        identity: the person, character or source video; the unit that intervals resample.
        domain: `face`, `body`, `robot`, `animal` or `other`.
        tags: marked subsets, for example `large-displacement`.
    """

    id: str
    identity: str
    domain: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExactKeypoints:
    """Key points that are known, not detected.

    Args:
        positions: float32 `(T, K, 2)`, (x, y) in pixels; the centre of the top-left pixel is (0, 0).
        visible: bool `(T, K)`; False where the point is hidden by another part or outside the frame.
        names: the K names.
    """

    positions: np.ndarray
    visible: np.ndarray
    names: tuple[str, ...]


@runtime_checkable
class Dataset(Protocol):
    """Clips by stable id, decoded on demand.

    Attributes:
        name: registered name, or the folder's name for a folder of videos.
        domain: the domain of its clips (`other` where they differ or it is unknown).
        resolution: (height, width) of every decoded frame, pixels.
        decoder: what turns files into frames, with version (`drawn` for procedurally drawn data).
        fingerprint: hex digest over all that decides the pixels and the identity of the clips.
        notes: sentences a reader of the table has to know (frames resized, alpha dropped, ...).
    """

    name: str
    domain: str
    resolution: tuple[int, int]
    decoder: str
    fingerprint: str
    notes: tuple[str, ...]

    def clips(self, split: str) -> list[Clip]:
        """The clips of a split (`train`, `test`) in a stable order.

        Raises:
            BenchbedError: the dataset has no such split, or the split is empty.
        """
        ...

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id, from any split."""
        ...

    def frames(self, clip_id: str) -> Tensor:
        """All frames of a clip, uint8 `[T, 3, H, W]` RGB.

        Raises:
            ClipError: the clip is corrupt, empty or truncated; the message names it.
        """
        ...

    def truth(self, source: str, driving: str, transfer: str) -> str | None:
        """The clip that shows what animating the first frame of clip `source` with clip `driving` should give.

        Frame i belongs to driving frame i. None where no such frames exist, as in all filmed data sets.
        """
        ...

    def keypoints(self, clip_id: str) -> ExactKeypoints | None:
        """Exact key points where the dataset knows them, else None."""
        ...


@runtime_checkable
class RandomAccess(Protocol):
    """What a dataset may offer besides: single frames, without decoding whole clips; asked from several threads."""

    def frames_at(self, clip_id: str, numbers: Sequence[int]) -> Tensor:
        """The frames of those numbers, equal to those of `Dataset.frames`, uint8 `[N, 3, H, W]` RGB.

        Args:
            clip_id: of the clip.
            numbers: from 0, in any order, also repeated; not empty.

        Raises:
            ClipError: the clip cannot be read as far as that needs, or has no such frame.
        """
        ...

    def frame_count(self, clip_id: str) -> int:
        """How many frames `Dataset.frames` gives.

        Raises:
            ClipError: the clip cannot be read as far as that needs.
        """
        ...


def frames_at(dataset: Dataset, clip_id: str, numbers: Sequence[int]) -> Tensor:
    """Some frames of a clip of any dataset, see `RandomAccess.frames_at`: without random access all are decoded."""
    if isinstance(dataset, RandomAccess):
        return dataset.frames_at(clip_id, numbers)
    return dataset.frames(clip_id)[list(numbers)]


def frame_count(dataset: Dataset, clip_id: str) -> int:
    """How many frames a clip of any dataset has, see `RandomAccess.frame_count`."""
    if isinstance(dataset, RandomAccess):
        return dataset.frame_count(clip_id)
    return int(dataset.frames(clip_id).shape[0])


class ClipFrames(Protocol):
    """Frames of a clip, in memory (a tensor) or decoded when they are looked at."""

    @property
    def shape(self) -> Sequence[int]:
        """`[T, 3, H, W]`."""
        ...

    def __getitem__(self, frames: slice, /) -> Tensor:
        """uint8 `[N, 3, H, W]`."""
        ...
