"""How far numbers move when nothing has changed: measured by repeats, for every method, metric and stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchbed.drift.measurement import Measurement, MethodMeasurement, Scores
from benchbed.tracking.stages import StageDigest

# A handful of repeats does not show the largest difference there can be: a pixel that rounds to the other of two levels
# moves features far more than float noise does, now and then. Measured: with one choice of vector instructions no case
# of FOMM's AKD moved by more than 2.1e-5, with another one on the same processor one moved by 9.6e-5.
SAFETY = 10.0
# Single precision: below this no difference can be told from rounding, whatever the repeats have shown.
EPSILON = 2.0**-22


@dataclass(frozen=True)
class Floor:
    """Largest differences between repeats of one method and metric variant.

    Args:
        case: of the value of a case.
        mean: of the mean.
        count: of the frames scored in a case.
    """

    case: float = 0.0
    mean: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class MethodFloor:
    """Floors of one method: by variant id, and by stage the largest distance of two summaries."""

    scores: dict[str, Floor] = field(default_factory=dict)
    stages: dict[tuple[str, str], float] = field(default_factory=dict)

    def case_tolerance(self, variant: str, scores: Scores) -> float:
        """What a case may differ by."""
        return SAFETY * max(self.scores.get(variant, Floor()).case, EPSILON * _scale(scores))

    def mean_tolerance(self, variant: str, scores: Scores) -> float:
        """What the mean may differ by, whatever the paired test says."""
        return SAFETY * max(self.scores.get(variant, Floor()).mean, EPSILON * _scale(scores))

    def stage_tolerance(self, stage: tuple[str, str]) -> float:
        """What the summary of a stage may differ by, as a share of its values."""
        return SAFETY * max(self.stages.get(stage, 0.0), EPSILON)


Floors = dict[str, dict[str, MethodFloor]]  # by section and method


def measure_floors(first: Measurement, repeats: Sequence[Measurement]) -> Floors:
    """The largest differences between a measurement and its repeats."""
    return {
        name: {
            method: _method_floor(own, [repeat.sections[name].methods[method] for repeat in repeats])
            for method, own in section.methods.items()
        }
        for name, section in first.sections.items()
    }


def _method_floor(first: MethodMeasurement, repeats: Sequence[MethodMeasurement]) -> MethodFloor:
    scores = {
        variant: Floor(
            max((gap for repeat in repeats for gap in case_gaps(own, repeat.scores[variant])), default=0.0),
            max((gap(own.mean, repeat.scores[variant].mean) for repeat in repeats), default=0.0),
            max((step for repeat in repeats for step in count_gaps(own, repeat.scores[variant])), default=0),
        )
        for variant, own in first.scores.items()
        if own.status == "ok"
    }
    stages = {
        stage: max(
            (step for repeat in repeats for step in stage_gaps(own, repeat.stages.get(stage, ()))),
            default=0.0,
        )
        for stage, own in first.stages.items()
    }
    return MethodFloor(scores, stages)


def gap(first: float, second: float) -> float:
    """Absolute difference; 0 for two NaN or two equal infinities, infinite where only one is a number."""
    if first == second or (math.isnan(first) and math.isnan(second)):
        return 0.0
    difference = abs(second - first)
    return difference if math.isfinite(difference) else math.inf


def case_gaps(first: Scores, second: Scores) -> list[float]:
    """Differences of the values, by case; infinite where one side has none."""
    if len(first.values) != len(second.values):
        return [math.inf] * max(len(first.values), len(second.values))
    return [gap(one, other) for one, other in zip(first.values, second.values, strict=True)]


def count_gaps(first: Scores, second: Scores) -> list[int]:
    """By how many frames the counts of scored and of missing frames differ, by case."""
    return [
        max(abs(a - b), abs(c - d))
        for a, b, c, d in zip(first.n, second.n, first.n_missing, second.n_missing, strict=False)
    ]


def stage_gaps(first: Sequence[StageDigest | None], second: Sequence[StageDigest | None]) -> list[float]:
    """Distances of the summaries, by case; infinite where one side has none."""
    padded = [*second, *([None] * (len(first) - len(second)))]
    return [
        0.0 if one is other else math.inf if one is None or other is None else one.distance(other)
        for one, other in zip(first, padded, strict=True)
    ]


def _scale(scores: Scores) -> float:
    """The size of a value: of all but the large ones it is the unit, because they are differences of larger numbers."""
    finite = [abs(value) for value in (*scores.values, scores.mean) if math.isfinite(value)]
    return max(1.0, *finite) if finite else 1.0
