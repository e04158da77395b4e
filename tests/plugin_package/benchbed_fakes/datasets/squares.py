"""Eight clips of a square moving over a plain ground; four bright grounds, four dark ones."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbed.errors import BenchbedError, ClipError
from benchbed.interfaces.dataset import Clip, ExactKeypoints


class Squares:
    name = "squares"
    domain = "robot"
    decoder = "drawn"
    fingerprint = "squares-1"
    notes: tuple[str, ...] = ()

    def __init__(self, resolution: int, broken: frozenset[str] = frozenset()) -> None:
        self.resolution = (resolution, resolution)
        self._broken = broken

    def clips(self, split: str) -> list[Clip]:
        if split != "test":
            raise BenchbedError(f"dataset 'squares' has no split '{split}'")
        return [Clip(f"square-{i}", f"identity-{i}", self.domain) for i in range(8)]

    def clip(self, clip_id: str) -> Clip:
        return next(clip for clip in self.clips("test") if clip.id == clip_id)

    def frames(self, clip_id: str) -> Tensor:
        if clip_id in self._broken:
            raise ClipError(f"clip '{clip_id}' is truncated: 3 of 20 frames decoded")
        index = int(clip_id.rsplit("-", 1)[1])
        size = self.resolution[0]
        frames = torch.full((20, 3, size, size), 200 if index < 4 else 40, dtype=torch.uint8)
        for time in range(20):
            left = (index + time) % (size - 8)
            frames[time, :, 8 + index : 16 + index, left : left + 8] = torch.tensor(
                [250, 20 * index, 10]
            ).view(3, 1, 1)
        return frames

    def truth(self, source: str, driving: str, transfer: str) -> str | None:
        return driving if source == driving else None

    def keypoints(self, clip_id: str) -> ExactKeypoints | None:
        return None


def open_squares(*, resolution: int) -> Squares:
    return Squares(resolution)
