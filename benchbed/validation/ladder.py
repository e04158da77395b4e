"""Every metric on damaged truth: how strongly it answers, whether it answers in order, and what it cannot see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.frames import quantise, to_float
from benchbed.generation import in_chunks
from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.interfaces.metric import Sample
from benchbed.interfaces.protocol import Case
from benchbed.plan import RunPlan, Section
from benchbed.real_features import CHUNK, RealFeatures
from benchbed.registry import card
from benchbed.scoring import Measure, RealClip, SourceFrame, clip_mean, score_chunks
from benchbed.statistics import identity_groups, jackknife_interval, weighted_mean_interval
from benchbed.validation.damage import LADDER, Damage, Scene

GROUPS = 24


@dataclass(frozen=True)
class Answer:
    """What one metric says of one kind of damage.

    Args:
        levels: 0 first.
        values: mean per level.
        change: at the highest level against none, in the direction the metric calls worse.
        low, high: 95 % interval of the change, identities resampled.
        spread: what the change is measured in: its standard deviation over cases, for set metrics its standard error.
        order: Spearman correlation of level and value, 1 where every level is worse than the one before.
    """

    metric: str
    variant: str
    damage: str
    levels: tuple[float, ...]
    values: tuple[float, ...]
    change: float
    low: float
    high: float
    spread: float
    order: float

    @property
    def seen(self) -> bool:
        """Whether the interval of the change excludes zero on the worse side."""
        return bool(self.low > 0)

    @property
    def effect(self) -> float:
        """The change in units of `spread`; 0 where nothing moved."""
        if self.change == 0:
            return 0.0
        return self.change / self.spread if self.spread > 0 else float("inf")


def climb(plan: RunPlan, *, advance: Callable[[str], None] = lambda _: None) -> list[Answer]:
    """All kinds of damage at all levels on the ground truth of the plan's cases.

    Args:
        plan: of protocol `animation` on a data set with exact answers; its methods are not used.
        advance: told what is being scored, once per case and kind of damage.

    Raises:
        BenchbedError: the cases have no ground truth.
    """
    (section,) = plan.sections
    if any(case.target is None for case in section.cases):
        raise BenchbedError(
            f"{section.dataset.name} has no exact answers for cross-identity animation, without which no metric can "
            "be validated; use a drawn data set (puppets)"
        )
    measures = [measure for measure in section.measures if not measure.reason]
    real = RealFeatures(section.dataset, torch.device(plan.device))
    answers = []
    for damage in LADDER:
        chosen = [m for m in measures if damage.apply is not None or "keypoints" in m.instruments]
        scored = [
            list(_score_case(plan, section, case, damage, chosen, real, advance)) for case in section.cases
        ]
        answers += [_answer(measure, damage, section, scored) for measure in chosen]
    return answers


@dataclass(frozen=True)
class _Scored:
    """One case at one level: clip means of frame metrics, statistics of set metrics, by variant."""

    means: dict[str, float]
    statistics: dict[str, Any]


def _score_case(
    plan: RunPlan,
    section: Section,
    case: Case,
    damage: Damage,
    measures: list[Measure],
    real: RealFeatures,
    advance: Callable[[str], None],
) -> Iterator[_Scored]:
    device = torch.device(plan.device)
    dataset, target_id = section.dataset, str(case.target)
    target = dataset.frames(target_id)
    # The driving clip shows another identity in the very poses of the truth.
    scene = Scene(to_float(target), to_float(dataset.frames(case.driving)), _seed(case))
    source_clip = RealClip(case.source.clip, dataset.frames(case.source.clip))
    source = SourceFrame(source_clip, case.source.frame, device, real)
    truth = RealClip(target_id, target.to(device))
    advance(f"{damage.title}, {case.id}")
    for level in (0.0, *damage.levels):
        if damage.apply is None:
            yield _Scored(_noisy_points(scene, truth, level, measures, real), {})
            continue
        frames = scene.frames if level == 0 else damage.apply(scene, level).clamp(0, 1)
        scores = score_chunks(in_chunks(iter([frames.to(device)]), CHUNK), truth, source, measures, real)
        yield _Scored(
            {name: clip_mean(values).value for name, values in scores.frame_values.items()},
            {
                measure.variant: measure.scorer.statistics(pair.generated, pair.target)
                for measure in measures
                if measure.level == "set"
                for pair in [scores.set_features[measure.set_features]]
            },
        )


def _seed(case: Case) -> int:
    return int(np.random.default_rng(list(case.id.encode())).integers(2**31))


@torch.inference_mode()
def _noisy_points(
    scene: Scene, truth: RealClip, sigma: float, measures: list[Measure], real: RealFeatures
) -> dict[str, float]:
    """Clip means of key-point metrics when the points found on perfect frames are off by a Gaussian of `sigma`."""
    generator = torch.Generator().manual_seed(scene.seed)
    noise: dict[int, Tensor] = {}
    means = {}
    for measure in measures:
        instrument = measure.instruments["keypoints"]
        parts = []
        for index in range(-(-truth.frames.shape[0] // CHUNK)):
            frames = quantise(
                to_float(truth.frames[CHUNK * index : CHUNK * (index + 1)]), measure.quantisation
            )
            found = real.chunk(instrument, truth.id, truth.frames, index)
            if not isinstance(found, KeypointFeatures):
                raise TypeError(f"{instrument.card.name} gives no key points")
            if index not in noise:
                noise[index] = torch.randn(found.positions.shape, generator=generator)
            moved = replace(found, positions=found.positions + sigma * noise[index].to(found.positions))
            features = {
                role: real.chunk(one, truth.id, truth.frames, index)
                for role, one in measure.instruments.items()
            }
            ours = Sample(frames, {**features, "keypoints": moved})
            parts.append(np.asarray(measure.scorer.per_frame(ours, Sample(frames, features)), float))
        means[measure.variant] = clip_mean(np.concatenate(parts)).value
    return means


def _answer(measure: Measure, damage: Damage, section: Section, scored: list[list[_Scored]]) -> Answer:
    worse = 1.0 if card("metric", measure.metric).data["direction"] == "lower" else -1.0
    levels = (0.0, *damage.levels)
    identities = [case.identity for case in section.cases]
    if measure.level == "set":
        values, change, low, high, spread = _set_answer(measure, identities, scored, worse)
    else:
        table = np.array([[level.means[measure.variant] for level in case] for case in scored])
        shift = worse * (table[:, -1] - table[:, 0])
        kept = np.isfinite(shift)
        estimate = weighted_mean_interval(
            shift[kept],
            np.ones(int(kept.sum())),
            [who for who, keep in zip(identities, kept, strict=True) if keep],
        )
        values = tuple(float(value) for value in np.nanmean(table, axis=0))
        change, low, high = estimate.value, estimate.low, estimate.high
        spread = float(np.std(shift[kept], ddof=1)) if kept.sum() > 1 else float("nan")
    # A metric that does not move at all has no order.
    moved = len(set(values)) > 1
    order = worse * float(stats.spearmanr(levels, values).statistic) if moved else float("nan")
    return Answer(
        measure.metric, measure.variant, damage.name, levels, values, change, low, high, spread, order
    )


def _set_answer(
    measure: Measure, identities: list[str], scored: list[list[_Scored]], worse: float
) -> tuple[tuple[float, ...], float, float, float, float]:
    """Values per level, and the change from none to most with a jackknife interval over the same groups."""
    scorer = measure.scorer
    values: list[float] = []
    left_out: list[list[float]] = []
    for level in range(len(scored[0])):
        by_identity: dict[str, list[Any]] = {}
        for who, case in zip(identities, scored, strict=True):
            by_identity.setdefault(who, []).append(case[level].statistics[measure.variant])
        groups = [scorer.merge(parts) for parts in identity_groups(by_identity, groups=GROUPS)]
        values.append(float(scorer.finish(scorer.merge(groups))))
        left_out.append(scorer.finish_without_each(groups) if len(groups) > 1 else [])
    change = worse * (values[-1] - values[0])
    replicates = [worse * (b - a) for a, b in zip(left_out[0], left_out[-1], strict=True)]
    estimate = jackknife_interval(change, replicates, n_identities=len(set(identities)))
    count = len(replicates)
    deviations = np.asarray(replicates) - np.mean(replicates) if count > 1 else np.array([np.nan])
    error = float(np.sqrt((count - 1) / count * (deviations**2).sum())) if count > 1 else float("nan")
    return tuple(values), change, estimate.low, estimate.high, error
