"""Cross-identity animation: the first frame of one clip, moved by the clip of another identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Clip, Dataset
from benchbed.interfaces.protocol import Case, CaseRequest, FrameReference

# Against the source: no ground truth is needed.
FROM_SOURCE = ("fid/source-frames", "video-fid/source-clips", "csim/source-frames", "aed/source-frames")
FROM_SOURCE_WITHOUT_BODY = FROM_SOURCE[:2]
# Against the exact ground truth, where a data set has it.
FROM_TRUTH = ("l1", "lpips", "akd")
FROM_TRUTH_WITHOUT_BODY = FROM_TRUTH[:2]


class Animation:
    """Pairs of clips of different identity, drawn by seed or read from a published list.

    The source is the first frame of its clip, the driving frames are the whole other clip.

    Source: DiME, evaluation protocol (200 random pairs per data set, of different identities); the pair lists of
    FOMM and Monkey-Net.
    """

    name = "animation"
    version = 1

    def cases(self, dataset: Dataset, request: CaseRequest) -> list[Case]:
        """One case per pair, in the order of the list or of the draw.

        Raises:
            BenchbedError: there are no two identities to draw pairs from.
        """
        clips = {clip.id: clip for clip in dataset.clips(request.split)}
        pairs = request.pairs
        if pairs is None:
            pairs = draw_pairs(clips, request.pair_count, request.seed, dataset.name)
        return [cross_driven(dataset, clips[source], clips[driving], request) for source, driving in pairs]

    def metrics(self, domain: str, cases: Sequence[Case]) -> tuple[str, ...]:
        """Against the source image, and against the ground truth where all cases have one."""
        return animation_metrics(domain, cases)


def draw_pairs(clips: Mapping[str, Clip], count: int, seed: int, dataset: str) -> tuple[tuple[str, str], ...]:
    """Distinct (source, driving) ids of different identity; the same whatever the order of the clips.

    Args:
        clips: by id.
        count: how many; fewer where there are not so many.

    Raises:
        BenchbedError: all clips are of one identity.
    """
    names = sorted(clips)
    pairs: list[tuple[str, str]] = []
    for number in np.random.default_rng(seed).permutation(len(names) ** 2):
        source, driving = names[number // len(names)], names[number % len(names)]
        if clips[source].identity != clips[driving].identity:
            pairs.append((source, driving))
            if len(pairs) == count:
                break
    if not pairs:
        raise BenchbedError(
            f"dataset '{dataset}' shows one identity only: there is nobody to animate by another; "
            "use protocol reconstruction, or add clips of a second identity"
        )
    return tuple(pairs)


def cross_driven(dataset: Dataset, source: Clip, driving: Clip, request: CaseRequest) -> Case:
    """The first frame of one clip, animated by another clip."""
    return Case(
        id=f"{source.id} by {driving.id}",
        identity=source.identity,
        driving_identity=driving.identity,
        source=FrameReference(source.id, 0),
        driving=driving.id,
        target=dataset.truth(source.id, driving.id, request.transfer),
        transfer=request.transfer,
        tags=driving.tags,
    )


def animation_metrics(domain: str, cases: Sequence[Case]) -> tuple[str, ...]:
    """Metrics of cross-identity cases."""
    bodiless = domain == "robot"
    truth = FROM_TRUTH_WITHOUT_BODY if bodiless else FROM_TRUTH
    own = FROM_SOURCE_WITHOUT_BODY if bodiless else FROM_SOURCE
    return (*truth, *own) if all(case.target is not None for case in cases) else own
