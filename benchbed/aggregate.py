"""From stored cases to one value per method and metric, with interval, counts and the worst case."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from benchbed.interfaces.metric import SetFeatures
from benchbed.plan import MethodPlan, RunPlan, Section
from benchbed.registry import card
from benchbed.scoring import Measure
from benchbed.statistics import identity_groups, jackknife_interval, weighted_mean_interval
from benchbed.tracking.record import CaseRecord
from benchbed.tracking.store import Store

# Each group costs one Fréchet distance: seconds with 2048 features and thousands of frames.
JACKKNIFE_GROUPS = 24
# Below this a Gaussian in 2048 dimensions has a singular covariance, and FID is far from its limit.
FEW_FRAMES = 2048
NAMED_REASONS = 5

Stored = dict[tuple[str, str], list[CaseRecord]]


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
    """`frames.parquet`: a row per method, case, metric variant and frame."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("method", "dataset", "protocol", "case", "metric", "variant", "frame", "value")
    }
    for records in stored.values():
        for record in records:
            for row in record.rows:
                values = record.frame_values.get(row.variant)
                if values is None:
                    continue
                for name in ("method", "dataset", "protocol", "case", "metric", "variant"):
                    columns[name].extend([getattr(row, name)] * len(values))
                columns["frame"].extend(range(len(values)))
                columns["value"].extend(values.tolist())
    return pd.DataFrame(columns)


def aggregate(plan: RunPlan, stored: Stored) -> pd.DataFrame:
    """One row per section, method and metric variant."""
    return pd.DataFrame(
        [
            _aggregate_one(section, method, index, measure, stored[section.name, method.name])
            for section in plan.sections
            for method in section.methods
            for index, measure in enumerate(section.measures)
        ]
    )


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
        "canonical": measure.canonical,
        "unverified": ",".join(measure.unverified),
        "evaluator": measure.evaluator_names,
        "key": measure.key,
        "partial": section.partial,
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


def _mean_value(measure: Measure, good: list, result: dict, resolution: tuple[int, int]) -> dict[str, Any]:
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
    estimate = weighted_mean_interval(values, weights, [row.identity for row in scored])
    answer: dict[str, Any] = {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": int(counts.sum()),
        "n_missing": n_missing,
    }
    worst = measure.scorer.worst(resolution)
    if n_missing and worst is not None:
        answer["worst_case"] = float((values @ counts + worst * n_missing) / (counts.sum() + n_missing))
    return answer


def _set_value(measure: Measure, good: list) -> dict[str, Any]:
    metric = measure.scorer
    by_identity: dict[str, list[Any]] = {}
    seen: set[str] = set()
    for row, record in good:
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
        by_identity.setdefault(row.identity, []).append(metric.statistics(generated, target))
    groups = [metric.merge(parts) for parts in identity_groups(by_identity, groups=JACKKNIFE_GROUPS)]
    value = metric.finish(metric.merge(groups))
    if not np.isfinite(value):
        return {"status": "skipped", "reason": "too few frames for a distribution"}
    replicates = metric.finish_without_each(groups) if len(groups) > 1 else []
    estimate = jackknife_interval(value, replicates, n_identities=len(by_identity))
    frames = sum(record.set_features[measure.set_features].generated.frames for _, record in good)
    answer: dict[str, Any] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    if frames < FEW_FRAMES:
        clips = len({row.case for row, _ in good})
        answer["note"] = (
            f"{frames} frames of {clips} {'clip' if clips == 1 else 'clips'}: under {FEW_FRAMES:,} frames the "
            "value depends on their number; compare it only with values of equally many"
        )
    return answer


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
