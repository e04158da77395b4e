"""From stored cases to one value per method and metric, with interval, counts and the worst case."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from benchbed.best_of import Stored, best_sets, is_best_of
from benchbed.interfaces.metric import SetFeatures, SetMetric
from benchbed.pairing import CaseScore, Scores, SetScore
from benchbed.plan import MethodPlan, RunPlan, Section
from benchbed.ranking import Row, rank
from benchbed.registry import card
from benchbed.scoring import Measure
from benchbed.statistics import (
    identity_groups,
    jackknife_influences,
    jackknife_interval,
    weighted_mean_interval,
)
from benchbed.tracking.record import CaseRecord, ScoreRow
from benchbed.tracking.stages import SUMMARY
from benchbed.tracking.store import Store

# Each group costs one Fréchet distance: seconds with 2048 features and thousands of frames.
JACKKNIFE_GROUPS = 24
# Below this a Gaussian in 2048 dimensions has a singular covariance, and FID is far from its limit.
FEW_FRAMES = 2048
NAMED_REASONS = 5

Scored = list[tuple[ScoreRow, CaseRecord]]
# What names a row of frames.parquet besides its frame.
FRAME_COLUMNS = ("method", "dataset", "protocol", "transfer", "setting", "case", "metric", "variant")


def read_records(plan: RunPlan, store: Store) -> Stored:
    """All records of the plan, per (section, method) in the order of the cases."""
    stored: Stored = {}
    for section in plan.sections:
        for method in section.methods:
            records = [store.read(section.name, method.name, case.id) for case in section.cases]
            stored[section.name, method.name] = [record for record in records if record is not None]
    return stored


def cases_frame(stored: Stored) -> pd.DataFrame:
    """`cases.parquet`: a row per method, case and metric variant."""
    return pd.DataFrame(
        [vars(row) for records in stored.values() for record in records for row in record.rows]
    )


def frames_frame(stored: Stored) -> pd.DataFrame:
    """`frames.parquet`: a row per method, case, metric variant and frame.

    `frame` is the number of the driving frame, `motion` the displacement of its key points from the source, pixels.
    """
    kept = ("method", "dataset", "protocol", "transfer", "setting", "case", "metric", "variant")
    columns: dict[str, list[Any]] = {name: [] for name in (*kept, "frame", "value", "motion")}
    for records in stored.values():
        for record in records:
            for row in record.rows:
                values = record.frame_values.get(row.variant)
                if values is None:
                    continue
                for name in kept:
                    columns[name].extend([getattr(row, name)] * len(values))
                total = len(values) if record.cost is None else record.cost.frames
                first = total - len(values)  # variants that leave the first frame out have no value for it
                columns["frame"].extend(range(first, total))
                columns["value"].extend(values.tolist())
                columns["motion"].extend(
                    record.motion[first:].tolist() if record.motion.size else [np.nan] * len(values)
                )
    return pd.DataFrame(columns)


def stages_frame(stored: Stored) -> pd.DataFrame:
    """`stages.parquet`: a row per method, case and stage, with the digest and the summary of what passed through."""
    columns = ("section", "method", "case", "stage", "name", "digest", *SUMMARY)
    rows = [
        (section, method, record.rows[0].case, stage.stage, stage.name, stage.digest, *stage.summary)
        for (section, method), records in stored.items()
        for record in records
        for stage in record.stages
    ]
    return pd.DataFrame(rows, columns=list(columns))


def aggregate(plan: RunPlan, stored: Stored) -> pd.DataFrame:
    """One row per section, method and metric variant; see `benchbed.ranking.rank` for the last two columns."""
    rows: list[Row] = []
    origins: dict[tuple[str, ...], list[CaseRecord]] = {}
    for section in plan.sections:
        for method in section.methods:
            records = stored[section.name, method.name]
            for index, measure in enumerate(section.measures):
                rows.append(_aggregate_one(section, method, index, measure, records))
                origins[_origin(rows[-1])] = records
    if not rows:
        return pd.DataFrame(rows)
    rows = best_sets(plan, rows)
    return rank(pd.DataFrame(rows), lambda row: _scores(row, origins[_origin(row)]))


def _origin(row: Row) -> tuple[str, ...]:
    names = ("method", "dataset", "protocol", "transfer", "setting", "variant")
    return tuple(str(row[name]) for name in names)


def _scores(row: Row, records: list[CaseRecord]) -> Scores:
    """What the value of an aggregate's row was computed from."""
    if row["reduction"] == "set":
        return SetScore(row["value"], tuple(row["influences"]), row["n_identities"])
    return {
        score.case: CaseScore(score.identity, score.driving_identity, record.frame_values[score.variant])
        for record in records
        for score in record.rows
        if score.variant == row["variant"] and score.status == "ok"
    }


def _aggregate_one(
    section: Section, method: MethodPlan, index: int, measure: Measure, records: list[CaseRecord]
) -> dict[str, Any]:
    metric = card("metric", measure.metric)
    height, width = section.dataset.resolution
    rows = [record.rows[index] for record in records]
    good = [(row, record) for row, record in zip(rows, records, strict=True) if row.status == "ok"]
    failed = [row for row in rows if row.status == "failed"]
    result = {
        "method": method.name,
        "dataset": section.dataset.name,
        "protocol": section.protocol.name,
        "transfer": section.cases[0].transfer,
        "setting": section.setting,
        "resolution": f"{width}x{height}",
        "metric": measure.metric,
        "variant": measure.variant,
        "unit": metric.data["unit"],
        "direction": metric.data["direction"],
        "value": float("nan"),
        "low": float("nan"),
        "high": float("nan"),
        "n": sum(row.n for row in rows),
        "n_missing": sum(row.n_missing for row in rows),
        "worst_case": float("nan"),
        "status": "ok",
        "reason": "",
        "note": "",
        "not_run": False,
        "best_of": is_best_of(section, method),
        "canonical": measure.canonical,
        "unverified": ",".join(measure.unverified),
        "evaluator": measure.evaluator_names,
        "key": measure.key,
        "partial": section.partial,
        "incomplete": section.incomplete,
        "reduction": "set" if measure.level == "set" else measure.reduction,
        "n_identities": 0,
        "influences": [],
    }
    if measure.reason:
        return {**result, "status": "skipped", "reason": measure.reason}
    if rows and all(row.status == "skipped" for row in rows):
        return {**result, "status": "skipped", "reason": rows[0].reason, "not_run": True}
    if failed:
        reasons = Counter(row.reason for row in failed)
        named = "; ".join(text for text, _ in reasons.most_common(NAMED_REASONS))
        others = f"; and {len(reasons) - NAMED_REASONS} other reasons" if len(reasons) > NAMED_REASONS else ""
        reason = f"{len(failed)} of {len(rows)} cases failed: {named}{others}"
        if not good:
            return {**result, "status": "failed", "reason": reason}
        # A mean over other cases is another number: it keeps its own key and is ranked only beside equals.
        scored = hashlib.sha256("\n".join(row.case for row, _ in good).encode()).hexdigest()[:6]
        result |= {"reason": reason, "key": f"{measure.key}-{scored}"}
    estimate = (
        _set_value(measure, good)
        if measure.level == "set"
        else _mean_value(measure, good, result, (height, width))
    )
    return {**result, **estimate}


def _mean_value(measure: Measure, good: Scored, result: Row, resolution: tuple[int, int]) -> dict[str, Any]:
    scored = [row for row, _ in good if row.n > 0 and np.isfinite(row.value)]
    infinite = [row for row, _ in good if np.isposinf(row.value)]
    if not scored:
        if infinite and len(infinite) == len(good):
            return {"value": float("inf")}
        return {"status": "skipped", "reason": f"none of {result['n_missing']} frames could be scored"}
    n_missing = result["n_missing"] + sum(row.n for row in infinite)
    values = np.array([row.value for row in scored])
    counts = np.array([row.n for row in scored], float)
    weights = counts if measure.reduction == "frames" else np.ones_like(counts)
    estimate = weighted_mean_interval(
        values, weights, [row.identity for row in scored], [row.driving_identity for row in scored]
    )
    answer: dict[str, Any] = {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": int(counts.sum()),
        "n_missing": n_missing,
        "n_identities": estimate.n_identities,
    }
    worst = measure.scorer.worst(resolution)
    if n_missing and worst is not None:
        answer["worst_case"] = float((values @ counts + worst * n_missing) / (counts.sum() + n_missing))
    return answer


def _set_value(measure: Measure, good: Scored) -> dict[str, Any]:
    crossed = any(row.identity != row.driving_identity for row, _ in good)
    value, replicates, shares = _crossed_set(measure, good) if crossed else _set(measure, good)
    if not np.isfinite(value):
        return {"status": "skipped", "reason": "too few frames for a distribution"}
    n_identities = len(_identities(good))
    estimate = jackknife_interval(value, replicates, shares=shares, n_identities=n_identities)
    frames = sum(record.set_features[measure.set_features].generated.frames for _, record in good)
    answer: dict[str, Any] = {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n_identities": n_identities,
        "influences": jackknife_influences(value, replicates, shares),
    }
    if frames < FEW_FRAMES:
        clips = len({row.case for row, _ in good})
        answer["note"] = (
            f"{frames} frames of {clips} {'clip' if clips == 1 else 'clips'}: under {FEW_FRAMES:,} frames the "
            "value depends on their number; compare it only with values of equally many"
        )
    return answer


def _identities(good: Scored) -> list[str]:
    """Of sources and drivers, sorted."""
    return sorted({name for row, _ in good for name in (row.identity, row.driving_identity)})


# A set metric's value, its values with each group of identities left out, and the shares of frames left out.
Jackknifed = tuple[float, list[float], list[float]]


def _set(measure: Measure, good: Scored) -> Jackknifed:
    """Of cases of one identity each."""
    metric: SetMetric[Any] = measure.scorer
    by_identity: dict[str, list[tuple[Any, int]]] = {}
    for (row, _), part in zip(good, _parts(measure, good), strict=True):
        by_identity.setdefault(row.identity, []).append((part, row.n))
    dealt = identity_groups(by_identity, groups=JACKKNIFE_GROUPS)
    groups = [metric.merge([part for part, _ in group]) for group in dealt]
    value = metric.finish(metric.merge(groups))
    if len(groups) < 2 or not np.isfinite(value):
        return value, [], []
    return (
        value,
        metric.finish_without_each(groups),
        _shares([sum(n for _, n in group) for group in dealt], good),
    )


def _crossed_set(measure: Measure, good: Scored) -> Jackknifed:
    """Of cases of two identities: a group is left out with all cases it takes part in."""
    metric: SetMetric[Any] = measure.scorer
    parts = _parts(measure, good)
    value = metric.finish(metric.merge(parts))
    names = _identities(good)
    if len(names) < 2 or not np.isfinite(value) or not _has_interval(metric, parts):
        return value, [], []
    replicates, frames = [], []
    for own in identity_groups({name: [name] for name in names}, groups=JACKKNIFE_GROUPS):
        kept = [case for case in good if not {case[0].identity, case[0].driving_identity} & set(own)]
        replicates.append(metric.finish(metric.merge(_parts(measure, kept))) if kept else float("nan"))
        frames.append(sum(row.n for row, _ in good) - sum(row.n for row, _ in kept))
    return value, replicates, _shares(frames, good)


def _shares(frames: list[int], good: Scored) -> list[float]:
    total = sum(row.n for row, _ in good)
    return [count / total for count in frames]


def _has_interval(metric: SetMetric[Any], parts: list[Any]) -> bool:
    """Metrics without an interval answer the question for replicates with none."""
    return len(parts) > 1 and bool(
        metric.finish_without_each([metric.merge(parts[:1]), metric.merge(parts[1:])])
    )


def _parts(measure: Measure, good: Scored) -> list[Any]:
    """The statistics of each case."""
    parts = []
    seen: set[str] = set()
    for _, record in good:
        pair = record.set_features[measure.set_features]
        generated, target = pair.generated, pair.target
        if measure.skip_first:
            generated = _after_first(generated)
        if measure.skip_first and not measure.against_source:
            target = _after_first(target)
        if measure.against_source and pair.target_clip in seen:
            # Several cases with sources from one clip: its frames belong to the reference set once.
            target = SetFeatures(target.vectors[:0], 0)
        seen.add(pair.target_clip)
        parts.append(measure.scorer.statistics(generated, target))
    return parts


def _after_first(features: SetFeatures) -> SetFeatures:
    return SetFeatures(features.vectors[1:], features.frames - 1)


def costs(plan: RunPlan, stored: Stored) -> pd.DataFrame:
    """One row per section and method: frames/s, parameters, peak memory."""
    rows = []
    for section in plan.sections:
        for method in section.methods:
            spent = [record.cost for record in stored[section.name, method.name] if record.cost is not None]
            seconds = sum(cost.generation_seconds for cost in spent)
            peaks = [cost.peak_memory_bytes for cost in spent if cost.peak_memory_bytes is not None]
            rows.append(
                {
                    "method": method.name,
                    "dataset": section.dataset.name,
                    "protocol": section.protocol.name,
                    "transfer": section.cases[0].transfer,
                    "setting": section.setting,
                    "fps": sum(cost.frames for cost in spent) / seconds if seconds else float("nan"),
                    "parameters": spent[0].parameters if spent else None,
                    "peak_memory_bytes": max(peaks) if peaks else None,
                    "device": spent[0].device if spent else "",
                    "status": "ok" if spent else "failed",
                    "reason": "" if spent else "no case completed",
                }
            )
    return pd.DataFrame(rows)
