"""Score generated frames while they are on the device: each evaluator once, features shared by all metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbed.frames import quantise, to_float
from benchbed.interfaces.dataset import ClipFrames
from benchbed.interfaces.evaluator import Features, PerceptualFeatures, PooledFeatures, SegmentFeatures
from benchbed.interfaces.metric import Sample, SetFeatures
from benchbed.measuring import Instrument
from benchbed.real_features import CHUNK, RealFeatures
from benchbed.tracking.record import SetPair
from benchbed.tracking.stages import FEATURES, GENERATED, METRIC, StageRecorder


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
        canonical: whether all its evaluators are those of published numbers.
        skip_first: the first frame of a clip, which is the source in reconstruction, is left out.
        against_source: a set metric compares with the frames of the clips the sources come from, a frame metric with
            the source frame itself.
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
    canonical: bool = True
    skip_first: bool = False
    against_source: bool = False

    @property
    def evaluator_names(self) -> str:
        return ",".join(instrument.card.name for instrument in self.instruments.values())

    @property
    def unverified(self) -> tuple[str, ...]:
        """Weights of its evaluators that are not the published ones."""
        return tuple(name for instrument in self.instruments.values() for name in instrument.unverified)

    @property
    def set_features(self) -> str:
        """Under which name the store keeps the features of a set metric; equal for all that share them."""
        return set_features_name(self.evaluator_names, self.quantisation, self.against_source)


def set_features_name(evaluators: str, quantisation: str, against_source: bool) -> str:
    """Under which name the store keeps the features of a set metric, from what its variant and rows say."""
    return f"{evaluators} {quantisation}{' source' if against_source else ''}"


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case: frame values float64 `(T,)` per frame-level variant, set features by name."""

    frame_values: dict[str, np.ndarray]
    set_features: dict[str, SetPair]


@dataclass(frozen=True)
class RealClip:
    """A real clip: its id, and its frames uint8 `[T, 3, H, W]` on any device."""

    id: str
    frames: ClipFrames


class SourceFrame:
    """The source frame as a sample to compare any number of generated frames with.

    Args:
        clip, frame: where it is.
        device: of the generated frames.
    """

    def __init__(self, clip: RealClip, frame: int, device: torch.device, real: RealFeatures) -> None:
        self.clip = clip
        self._index, self._row = divmod(frame, CHUNK)
        self._image = to_float(clip.frames[frame : frame + 1].to(device))
        self._real = real

    def sample(self, instruments: dict[str, Instrument], count: int) -> Sample:
        """The frame and its features, `count` times."""
        features = {
            role: _repeated(
                self._real.chunk(instrument, self.clip.id, self.clip.frames, self._index), self._row, count
            )
            for role, instrument in instruments.items()
        }
        return Sample(self._image.expand(count, -1, -1, -1), features)


def _repeated(features: Features, row: int, count: int) -> Features:
    """One frame's features `count` times, without copying; what belongs to the evaluator stays."""

    def again(value: Tensor) -> Tensor:
        return value[row : row + 1].expand(count, *value.shape[1:])

    if isinstance(features, PerceptualFeatures):
        return replace(features, layers=tuple(again(layer) for layer in features.layers))
    if isinstance(features, SegmentFeatures):
        raise TypeError("segments belong to no single frame: they serve set metrics only")
    tensors: dict[str, Any] = {name: again(value) for name, value in vars(features).items()}
    return replace(features, **tensors)


@torch.inference_mode()
def score_chunks(
    chunks: Iterator[Tensor],
    target: RealClip | None,
    source: SourceFrame,
    measures: list[Measure],
    real: RealFeatures,
    stages: StageRecorder | None = None,
) -> CaseScores:
    """Score generated frames against the frames of a clip.

    Args:
        chunks: generated frames in chunks of `CHUNK`, float32 in [0, 1].
        target: the ground truth; None where there is none, and then every active measure is against the source.
        source: the source frame, and the clip that it comes from.
        measures: those with a reason are passed over.
        stages: takes in the generated frames, their features and the values; None keeps no digests.
    """
    active = [measure for measure in measures if not measure.reason]
    values: dict[str, list[np.ndarray]] = {m.variant: [] for m in active if m.level == "frame"}
    rows: dict[str, list[np.ndarray]] = {m.set_features: [] for m in active if m.level == "set"}
    frames = 0
    for index, generated in enumerate(chunks):
        frames += generated.shape[0]
        if stages is not None:
            stages.add(GENERATED, generated)
        target_frames = (
            None if target is None else to_float(target.frames[CHUNK * index : CHUNK * (index + 1)])
        )
        seen: dict[tuple[str, str], Features] = {}
        quantised: dict[str, Tensor] = {}
        done: set[str] = set()
        for measure in active:
            mode = measure.quantisation
            if mode not in quantised:
                quantised[mode] = quantise(generated, mode)
            features = {}
            for role, instrument in measure.instruments.items():
                name = (instrument.card.name, mode)
                if name not in seen:
                    seen[name] = instrument.evaluator(quantised[mode])
                    if stages is not None:
                        stages.add(FEATURES, seen[name], " ".join(name))
                features[role] = seen[name]
            if measure.level == "set":
                if measure.set_features not in done:
                    done.add(measure.set_features)
                    rows[measure.set_features].append(_set_rows(next(iter(features.values()))))
                continue
            # Real frames have 8 bits already: quantising them changes nothing.
            if measure.against_source or target is None or target_frames is None:
                theirs = source.sample(measure.instruments, generated.shape[0])
            else:
                real_features = {
                    role: real.chunk(instrument, target.id, target.frames, index)
                    for role, instrument in measure.instruments.items()
                }
                theirs = Sample(target_frames, real_features)
            ours = Sample(quantised[mode], features)
            values[measure.variant].append(np.asarray(measure.scorer.per_frame(ours, theirs), np.float64))
    pairs: dict[str, SetPair] = {}
    for measure in active:
        if measure.level == "set" and measure.set_features not in pairs:
            clip = source.clip if measure.against_source or target is None else target
            pairs[measure.set_features] = SetPair(
                SetFeatures(np.concatenate(rows[measure.set_features]), frames),
                _real_set(next(iter(measure.instruments.values())), clip, real),
                clip.id,
            )
    joined = {variant: np.concatenate(series) for variant, series in values.items()}
    for measure in active:
        if measure.level == "frame" and measure.skip_first:
            joined[measure.variant] = joined[measure.variant][1:]
    if stages is not None:
        for variant, series in joined.items():
            stages.add(METRIC, series, variant)
    return CaseScores(joined, pairs)


def _set_rows(features: Features) -> np.ndarray:
    if not isinstance(features, PooledFeatures | SegmentFeatures):
        raise TypeError(f"a set metric needs pooled or segment features, not {type(features).__name__}")
    return features.vectors.cpu().numpy()


def _real_set(instrument: Instrument, clip: RealClip, real: RealFeatures) -> SetFeatures:
    count = -(-clip.frames.shape[0] // CHUNK)
    parts = [_set_rows(real.chunk(instrument, clip.id, clip.frames, index)) for index in range(count)]
    return SetFeatures(np.concatenate(parts), clip.frames.shape[0])


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
