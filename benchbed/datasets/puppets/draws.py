"""Seeded draws that depend on a text alone: the same in every process, in any order of use elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


class Draws:
    """A stream of random draws named by a text such as `puppets/test/character/7`.

    Everything is derived from `Generator.random`, the one draw whose stream numpy has never changed.
    """

    def __init__(self, text: str) -> None:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high)."""
        return low + (high - low) * float(self._generator.random())

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return float(self._generator.random()) < probability

    def sign(self) -> float:
        """-1.0 or 1.0."""
        return 1.0 if self.chance(0.5) else -1.0

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items, all equally likely."""
        return items[int(float(self._generator.random()) * len(items))]

    def grid(self, rows: int, columns: int) -> np.ndarray:
        """Uniform values in [0, 1), float32 `(rows, columns)`."""
        return self._generator.random((rows, columns)).astype(np.float32)
