"""How much further views of the source help: 0 to 6 reference images, in reconstruction and animation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from benchbed.interfaces.dataset import Clip, Dataset
from benchbed.interfaces.protocol import Case, CaseRequest, ReferenceDraw

from .animation import animation_metrics, cross_driven, draw_pairs
from .reconstruction import reconstruction_metrics, self_driven

REFERENCES = range(7)
RECONSTRUCTION, ANIMATION = "reconstruction", "animation"


class ReferenceSweep:
    """Every clip with `N_ref` = 0 (the source alone) to 6 views of its source, drawn from the source's clip.

    Source: DiME, Table 4 and its comparison with one-shot methods (best over the same views as sources).
    """

    name = "reference-sweep"
    version = 1

    def cases(self, dataset: Dataset, request: CaseRequest) -> list[Case]:
        """Settings `reconstruction N_ref=k` and, where there are two identities, `animation N_ref=k`."""
        clips = dataset.clips(request.split)
        own = [self_driven(clip, request.transfer) for clip in _some(clips, request)]
        crossed: list[Case] = []
        if request.pairs is not None or len({clip.identity for clip in clips}) > 1:
            by_id = {clip.id: clip for clip in clips}
            count = request.case_count or request.pair_count
            pairs = request.pairs or draw_pairs(by_id, count, request.seed, dataset.name)
            crossed = [
                cross_driven(dataset, by_id[source], by_id[driving], request) for source, driving in pairs
            ]
        return [
            *_swept(own, RECONSTRUCTION, request.seed),
            *_swept(crossed, ANIMATION, request.seed),
        ]

    def metrics(self, domain: str, cases: Sequence[Case]) -> tuple[str, ...]:
        """Those of reconstruction or of animation, as the setting has it."""
        if cases[0].setting.startswith(ANIMATION):
            return animation_metrics(domain, cases)
        return reconstruction_metrics(domain)


def _some(clips: list[Clip], request: CaseRequest) -> list[Clip]:
    """At most `case_count` of the clips, drawn by the seed, in the data set's order."""
    if request.case_count is None or request.case_count >= len(clips):
        return clips
    chosen = np.random.default_rng(request.seed).permutation(len(clips))[: request.case_count]
    return [clips[index] for index in sorted(chosen)]


def _swept(cases: list[Case], setting: str, seed: int) -> Iterable[Case]:
    for count in REFERENCES:
        for case in cases:
            draw = ReferenceDraw(case.source.clip, count, seed) if count else None
            yield replace(case, setting=f"{setting} N_ref={count}", references=draw)
