"""What a protocol must do: turn a dataset and a seed into cases and name the metrics that apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol as TypingProtocol

from benchbed.interfaces.dataset import Dataset


@dataclass(frozen=True)
class FrameReference:
    """One frame of one clip."""

    clip: str
    frame: int


@dataclass(frozen=True)
class Case:
    """One unit of evaluation.

    Args:
        id: stable within (protocol, dataset); file-name safe characters are not required.
        identity: identity of the source; intervals resample it.
        driving_identity: identity of the driving clip (equal to `identity` in reconstruction).
        source: the frame whose appearance is kept.
        driving: id of the clip whose motion is borrowed.
        target: id of the clip that holds the ground-truth frames, None where none exists.
        transfer: `absolute` or `relative`.
        references: further views of the source object (few-shot methods).
        tags: tags of the driving clip.
    """

    id: str
    identity: str
    driving_identity: str
    source: FrameReference
    driving: str
    target: str | None
    transfer: str = "absolute"
    references: tuple[FrameReference, ...] = ()
    tags: tuple[str, ...] = ()


class Protocol(TypingProtocol):
    """Builds cases deterministically and names the metrics that apply.

    Attributes:
        name: registered name.
        version: raised whenever the same dataset and seed would give other cases or other metrics.
    """

    name: str
    version: int

    def cases(self, dataset: Dataset, *, split: str, seed: int, transfer: str) -> list[Case]:
        """The cases of one dataset split, in a stable order."""
        ...

    def metrics(self, domain: str) -> tuple[str, ...]:
        """Registered names of the metrics that apply to a domain, in column order."""
        ...
