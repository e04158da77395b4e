"""Score generated frames while they are on the device: each evaluator once, features shared by all metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbed.frames import quantise, to_float
from benchbed.interfaces.evaluator import Features
from benchbed.interfaces.metric import Sample
from benchbed.measuring import Instrument
from benchbed.real_features import CHUNK, RealFeatures


@dataclass(frozen=True)
class Measure:
    """One metric variant, ready to score one dataset.

    Args:
        metric: registered name (`akd`).
        variant: id with version (`akd/coordinate-frames@1`).
        level: `frame` or `set`.
        quantisation: what is done to generated frames before anything sees them.
        scorer: the FrameMetric or SetMetric; None where it cannot be computed.
        instruments: by role.
        reason: why it cannot be computed, empty otherwise.
        key: digest of the comparability key.
    """

    metric: str
    variant: str
    level: str
    quantisation: str
    reduction: str
    scorer: Any
    instruments: dict[str, Instrument]
    reason: str
    key: str

    @property
    def evaluator_names(self) -> str:
        return ",".join(instrument.card.name for instrument in self.instruments.values())


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case: frame values float64 `(T,)` per frame-level variant, statistics per set-level one."""

    frame_values: dict[str, np.ndarray]
    statistics: dict[str, dict[str, np.ndarray]]


@torch.inference_mode()
def score_chunks(
    chunks: Iterator[Tensor], target: Tensor, clip: str, measures: list[Measure], real: RealFeatures
) -> CaseScores:
    """Score generated frames against the frames of a clip.

    Args:
        chunks: generated frames in chunks of `CHUNK`, float32 in [0, 1].
        target: the ground truth, uint8 `[T, 3, H, W]` on the same device.
        clip: id of the ground-truth clip, for the feature cache.
        measures: those with a reason are passed over.
    """
    active = [measure for measure in measures if not measure.reason]
    values: dict[str, list[np.ndarray]] = {m.variant: [] for m in active if m.level == "frame"}
    parts: dict[str, list[Any]] = {m.variant: [] for m in active if m.level == "set"}
    for index, generated in enumerate(chunks):
        target_frames = to_float(target[CHUNK * index : CHUNK * (index + 1)])
        seen: dict[tuple[str, str], Features] = {}
        quantised: dict[str, Tensor] = {}
        for measure in active:
            mode = measure.quantisation
            if mode not in quantised:
                quantised[mode] = quantise(generated, mode)
            features = {}
            real_features = {}
            for role, instrument in measure.instruments.items():
                name = (instrument.card.name, mode)
                if name not in seen:
                    seen[name] = instrument.evaluator(quantised[mode])
                features[role] = seen[name]
                # Real frames have 8 bits already: quantising them changes nothing.
                real_features[role] = real.chunk(instrument, clip, target, index)
            ours, theirs = Sample(quantised[mode], features), Sample(target_frames, real_features)
            if measure.level == "frame":
                values[measure.variant].append(np.asarray(measure.scorer.per_frame(ours, theirs), np.float64))
            else:
                parts[measure.variant].append(measure.scorer.accumulate(ours, theirs))
    merged = {
        m.variant: m.scorer.to_arrays(m.scorer.merge(parts[m.variant])) for m in active if m.level == "set"
    }
    return CaseScores({variant: np.concatenate(series) for variant, series in values.items()}, merged)


@dataclass(frozen=True)
class ClipMean:
    """Mean of the frames that could be scored, and how many could not."""

    value: float
    n: int
    n_missing: int


def clip_mean(frame_values: np.ndarray) -> ClipMean:
    """Mean over finite frames; NaN and infinite frames count as missing, an all-infinite clip is infinite.

    Infinite happens for PSNR of identical frames alone: it would swallow every mean, so it is left out and counted.
    """
    finite = np.isfinite(frame_values)
    n = int(finite.sum())
    if n:
        return ClipMean(float(frame_values[finite].mean()), n, int(frame_values.size - n))
    if frame_values.size and np.isposinf(frame_values).all():
        return ClipMean(float("inf"), int(frame_values.size), 0)
    return ClipMean(float("nan"), 0, int(frame_values.size))
