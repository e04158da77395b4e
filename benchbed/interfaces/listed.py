"""What a dataset can say beyond its clips when a published list or a card says what it should be."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class ListedDataset(Protocol):
    """A dataset that knows which clips it should have.

    Attributes:
        metrics: names of the metrics that apply to it, a part of those of its domain.
    """

    metrics: tuple[str, ...]

    def published_pairs(self, sha256: str) -> str:
        """Whose list of pairs has these bytes (`taichi256.csv of FOMM`); empty for one that nobody published."""
        ...

    def incomplete(self, split: str) -> str:
        """`471 of 495` where clips of the split are missing, empty where it is whole or nobody says."""
        ...
