"""Whether what papers printed for an ablation has the same direction here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchbed.ablations.arms import FULL, Arm
from benchbed.ablations.published import PrintedChange
from benchbed.ablations.scores import Scored, TrainingScores
from benchbed.pairing import CaseScore, SetScore
from benchbed.statistics import Estimate, jackknife_difference, seeded_interval
from benchbed.statistics.totals import totals

Verdict = Literal["reproduced", "not reproduced", "undecided", "printed both ways", "not measured"]
Direction = Literal["worse", "better", "equal", "both ways"]


@dataclass(frozen=True)
class Effect:
    """What leaving something out changed, as printed and as measured.

    Args:
        arm: the variant.
        protocol: `reconstruction` or `animation`.
        metric: registered name.
        printed: all that papers printed of it; may be of several data sets.
        measured: change from the full method, over seeds and identities; None where it was not measured.
        full: the full method's value, mean over seeds; NaN where it was not measured.
        per_seed: the change of each seed.
        scored: the metric as measured with the first seed; None where it was not measured.
    """

    arm: str
    protocol: str
    metric: str
    printed: tuple[PrintedChange, ...]
    measured: Estimate | None
    full: float
    per_seed: tuple[float, ...]
    scored: Scored | None

    @property
    def printed_direction(self) -> Direction:
        """What the variant is, compared with the full method, where it is the same in all that is printed."""
        signs = {_sign(change.change) for change in self.printed} - {0}
        if not signs:
            return "equal"
        return "both ways" if len(signs) > 1 else self._named(signs.pop())

    @property
    def measured_direction(self) -> Direction | None:
        """`worse` or `better` where the interval excludes zero; None where it does not, or there is none."""
        if self.measured is None or math.isnan(self.measured.low):
            return None
        if self.measured.low <= 0 <= self.measured.high:
            return None
        return self._named(_sign(self.measured.value))

    @property
    def verdict(self) -> Verdict:
        """`reproduced`: the interval lies on the printed side of zero; `not reproduced`: on the other side.

        A printed tie is not reproduced where a difference is certain, and undecided else: no interval shows equality.
        """
        if self.measured is None:
            return "not measured"
        if self.printed_direction == "both ways":
            return "printed both ways"
        if self.measured_direction is None:
            return "undecided"
        return "reproduced" if self.measured_direction == self.printed_direction else "not reproduced"

    def _named(self, sign: int) -> Direction:
        direction = self.scored.direction if self.scored else _direction(self.metric)
        return "worse" if (sign > 0) == (direction == "lower") else "better"


def effects(
    arms: Sequence[Arm],
    printed: Sequence[PrintedChange],
    scores: Mapping[tuple[str, int], TrainingScores],
    seeds: Sequence[int],
) -> list[Effect]:
    """One effect per arm, protocol and metric that a paper printed, in the order of the arms."""
    places = dict.fromkeys((change.arm, change.protocol, change.metric) for change in printed)
    order = [arm.name for arm in arms]
    found = []
    for arm, protocol, metric in sorted(places, key=lambda place: order.index(place[0])):
        own = tuple(c for c in printed if (c.arm, c.protocol, c.metric) == (arm, protocol, metric))
        pairs = [
            (scores[FULL, seed].get((protocol, metric)), scores[arm, seed].get((protocol, metric)))
            for seed in seeds
        ]
        both = [(full, changed) for full, changed in pairs if full is not None and changed is not None]
        changes = _change(both) if both and len(both) == len(pairs) else None
        if changes is None:
            found.append(Effect(arm, protocol, metric, own, None, math.nan, (), None))
            continue
        measured, per_seed = changes
        full = float(np.mean([full.value for full, _ in both]))
        found.append(Effect(arm, protocol, metric, own, measured, full, per_seed, both[0][0]))
    return found


def _change(pairs: Sequence[tuple[Scored, Scored]]) -> tuple[Estimate, tuple[float, ...]] | None:
    """Changed minus full, over seeds and identities; None where no case was scored in all trainings."""
    if pairs[0][0].reduction == "set":
        per_seed = [changed.value - full.value for full, changed in pairs]
        firsts = [full.scores for full, _ in pairs if isinstance(full.scores, SetScore)]
        seconds = [changed.scores for _, changed in pairs if isinstance(changed.scores, SetScore)]
        together = jackknife_difference(
            float(np.mean([one.value for one in firsts])),
            _mean_influences(firsts),
            float(np.mean([one.value for one in seconds])),
            _mean_influences(seconds),
            n_identities=firsts[0].n_identities,
        )
        error, freedom = (together.error, together.freedom) if together else (math.nan, 0)
        estimate = seeded_interval(per_seed, error, freedom, n_identities=firsts[0].n_identities)
        return estimate, tuple(per_seed)
    rows = [_case_changes(full, changed) for full, changed in pairs]
    shared = [case for case in rows[0] if all(case in row for row in rows)]
    if not shared:
        return None
    values = np.array([[row[case][0] for case in shared] for row in rows])
    weights = np.array([[row[case][1] for case in shared] for row in rows])
    identities = [rows[0][case][2] for case in shared]
    partners = [rows[0][case][3] for case in shared]
    per_seed = [float((v * w).sum() / w.sum()) for v, w in zip(values, weights, strict=True)]
    sums = totals(values.mean(0), weights.mean(0), identities, partners)
    estimate = seeded_interval(per_seed, sums.error, sums.freedom, n_identities=sums.count)
    return estimate, tuple(per_seed)


def _mean_influences(scores: Sequence[SetScore]) -> list[float]:
    if len({len(one.influences) for one in scores}) != 1:
        return []
    return [float(part) for part in np.mean([one.influences for one in scores], axis=0)]


def _case_changes(full: Scored, changed: Scored) -> dict[str, tuple[float, float, str, str]]:
    """By case: change on the frames that both scored, its weight, source and driving identity."""
    found = {}
    assert not isinstance(full.scores, SetScore) and not isinstance(changed.scores, SetScore)
    for case, ours in full.scores.items():
        theirs = changed.scores.get(case)
        if not isinstance(theirs, CaseScore) or len(theirs.frames) != len(ours.frames):
            continue
        both = np.isfinite(ours.frames) & np.isfinite(theirs.frames)
        if both.any():
            change = float((theirs.frames[both] - ours.frames[both]).mean())
            weight = float(both.sum()) if full.reduction == "frames" else 1.0
            found[case] = (change, weight, ours.identity, ours.driving_identity)
    return found


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _direction(metric: str) -> str:
    from benchbed.registry import card

    return str(card("metric", metric).data["direction"])
