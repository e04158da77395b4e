"""What a dataset must do: list clips by stable id and decode them."""

from __future__ import annotations

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
