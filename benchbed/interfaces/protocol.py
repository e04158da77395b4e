"""What a protocol must do: turn a dataset and a seed into cases and name the metrics that apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as TypingProtocol

import numpy as np

from benchbed.errors import ClipError
from benchbed.interfaces.dataset import Dataset


@dataclass(frozen=True)
class FrameReference:
    """One frame of one clip."""

    clip: str
    frame: int


@dataclass(frozen=True)
class ReferenceDraw:
    """Further views of the source, drawn from its clip once its length is known.

    The first `count` of one random order, so that a larger draw keeps the frames of a smaller one.

    Args:
        clip: the source's clip.
        count: how many.
        seed: decides the order, together with the clip's id.
    """

    clip: str
    count: int
    seed: int

    def frames(self, length: int) -> tuple[int, ...]:
        """Distinct frame numbers of a clip of `length` frames, never its first frame, which is the source.

        Raises:
            ClipError: the clip is too short.
        """
        if length - 1 < self.count:
            raise ClipError(
                f"clip '{self.clip}' has {length} frames: too few for {self.count} reference images beside the "
                "source; leave the clip out or ask for fewer"
            )
        entropy = [self.seed, *self.clip.encode()]
        order = np.random.default_rng(entropy).permutation(length - 1)
        return tuple(int(frame) + 1 for frame in order[: self.count])


@dataclass(frozen=True)
class CaseRequest:
    """What cases are to be made of a dataset.

    Args:
        split: of the dataset.
        seed: decides everything that is drawn.
        transfer: `absolute` or `relative`.
        pairs: (source, driving) clip ids of a published list, in its order; None: draw them.
        pair_count: how many pairs to draw.
        case_count: use at most so many clips or pairs, drawn by the seed; None: all.
    """

    split: str
    seed: int
    transfer: str
    pairs: tuple[tuple[str, str], ...] | None = None
    pair_count: int = 200
    case_count: int | None = None


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
        references: further views of the source object; None for none. Few-shot methods are given all of them. A
            one-shot method is given the last one in place of the source: the settings up to this one together are
            then its views, of which the best counts (DiME's comparison with one-shot methods).
        setting: what tells apart the cases of one protocol that are not averaged together (`N_ref=3`).
        tags: tags of the driving clip.
    """

    id: str
    identity: str
    driving_identity: str
    source: FrameReference
    driving: str
    target: str | None
    transfer: str = "absolute"
    references: ReferenceDraw | None = None
    setting: str = ""
    tags: tuple[str, ...] = ()


class Protocol(TypingProtocol):
    """Builds cases deterministically and names the metrics that apply.

    Attributes:
        name: registered name.
        version: raised whenever the same dataset and seed would give other cases or other metrics.
    """

    name: str
    version: int

    def cases(self, dataset: Dataset, request: CaseRequest) -> list[Case]:
        """The cases of one dataset split, in a stable order."""
        ...

    def metrics(self, domain: str, cases: Sequence[Case]) -> tuple[str, ...]:
        """Metrics (or variants of them) that apply to cases of one setting, in column order."""
        ...
