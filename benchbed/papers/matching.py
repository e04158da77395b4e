"""Which measured value answers which printed one, and what differs between the two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from benchbed.papers.names import (
    BEST_OF_REFERENCES,
    ablation,
    is_ablation,
    printed_dataset,
    registered_method,
    registered_protocol,
    resolution,
    test_videos,
    views,
)
from benchbed.papers.printed import CellKey
from benchbed.published import CERTAINTIES, PublishedColumn, column_of
from benchbed.registry import cards
from benchbed.tracking.runs import StoredRun


@dataclass(frozen=True)
class Measured:
    """What a run has for a printed value.

    Args:
        record: the aggregated record; None where the run has no comparable value.
        reason: why there is none although the method was run on the data set; empty otherwise.
        differences: in what the measurement differs from the print, a sentence each.
    """

    record: dict[str, Any] | None = None
    reason: str = ""
    differences: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        return math.nan if self.record is None else float(self.record["value"])


def printed_column(key: CellKey) -> PublishedColumn | None:
    """The metric variant and evaluator of a printed value; None for votes of people."""
    return column_of(key.paper, key.table, key.protocol, key.dataset, key.metric)


def candidates(key: CellKey, run: StoredRun) -> list[dict[str, Any]]:
    """Records of the value's metric for its method, data set and protocol, whatever their variant."""
    column = printed_column(key)
    if column is None:
        return []
    return [
        record
        for record in run.records
        if record["metric"] == column.metric
        and printed_dataset(record["dataset"]) == key.dataset
        and _same_method(key, record, run)
        and _same_protocol(key, record)
    ]


def match(key: CellKey, run: StoredRun) -> Measured:
    """The run's value for a printed one: same method, data set, protocol and metric variant."""
    column = printed_column(key)
    found = candidates(key, run)
    if column is None or not found:
        return Measured()
    same = [record for record in found if _unversioned(record["variant"]) == column.variant]
    if not same:
        others = ", ".join(dict.fromkeys(_unversioned(record["variant"]) for record in found))
        return Measured(
            reason=f"{run.id} measured {others}; the printed {key.metric} is {column.variant}: add it to the "
            f"run with --metric {column.variant}"
        )
    record = same[0]
    if record["status"] != "ok" or math.isnan(record["value"]):
        return Measured(reason=f"{run.id}: {_text(record['reason']) or 'no frame could be scored'}")
    return Measured(record, differences=tuple(_differences(key, column, record, run)))


def _same_method(key: CellKey, record: dict[str, Any], run: StoredRun) -> bool:
    method, _, variant = str(record["method"]).partition(".")
    if not method or method != registered_method(key):
        return False
    # An ablation is a variant of its own, or the full method in a configuration of that name.
    configuration = run.provenance["methods"].get(record["method"], {}).get("configuration") or ""
    wanted = ablation(key)
    if wanted:
        return is_ablation(wanted, variant) or (not variant and is_ablation(wanted, configuration))
    return not variant and configuration.partition("+")[0] not in _ablation_configurations(method)


def _ablation_configurations(method: str) -> set[str]:
    found = next((card for card in cards("method") if card.name == method), None)
    entries = found.data.get("ablation", []) if found is not None else []
    return {entry["configuration"] for entry in entries if entry.get("configuration")}


def _same_protocol(key: CellKey, record: dict[str, Any]) -> bool:
    wanted = registered_protocol(key)
    protocols = (wanted, "ablation") if wanted == "reconstruction" else (wanted,)
    if record["protocol"] not in protocols:
        return False
    count = views(key)
    if count is None:
        return not record["setting"]
    best = int(record.get("best_of") or 0) > 0
    setting = f"{key.protocol} N_ref={count}"
    return _text(record["setting"]).startswith(setting) and best == (key.variant == BEST_OF_REFERENCES)


def _differences(key: CellKey, column: PublishedColumn, record: dict[str, Any], run: StoredRun) -> list[str]:
    """Sentences on resolution, evaluator, split, data set, transfer, precision and weights."""
    found = []
    printed_size = resolution(key.paper, key.dataset)
    if record["resolution"] != printed_size:
        found.append(f"resolution: measured at {record['resolution']}, printed at {printed_size}")
    found += _evaluator_differences(column, record)
    split = run.provenance.get("request", {}).get("split", "test")
    if split != "test":
        found.append(f"split: measured on '{split}', printed on the test set")
    found.append(_dataset_difference(key, record, run))
    if record["transfer"] != "absolute" and key.protocol != "animation":
        found.append(f"transfer: measured with {record['transfer']} transfer")
    precision = run.provenance.get("request", {}).get("precision", "fp32")
    if precision != "fp32":
        found.append(f"precision: measured in {precision}")
    if record["n_missing"]:
        found.append(
            f"{key.metric}: {record['n_missing']} of {record['n'] + record['n_missing']} frames could not be scored"
        )
    if column.certainty != "stated":
        note = f" ({column.note})" if column.note else ""
        found.append(f"{key.metric} as {column.variant}: {CERTAINTIES[column.certainty]}{note}")
    method = run.provenance["methods"].get(record["method"], {})
    if method.get("checkpoint"):
        configuration = f", configuration {method['configuration']}" if method.get("configuration") else ""
        found.append(f"weights: {record['method']} ran with {method['checkpoint']}{configuration}")
    return [text for text in found if text]


def _evaluator_differences(column: PublishedColumn, record: dict[str, Any]) -> list[str]:
    used = _text(record["evaluator"])
    found = []
    if used and used != column.evaluator:
        theirs = column.evaluator or f"one that benchbed has not ({column.note})"
        found.append(f"evaluator: measured with {used}, printed values with {theirs}")
    if _text(record.get("unverified")):
        found.append(f"evaluator: weights that are not the published ones ({record['unverified']})")
    return found


def _dataset_difference(key: CellKey, record: dict[str, Any], run: StoredRun) -> str:
    clips = run.clips(record)
    stated = test_videos(key.paper, key.dataset)
    counted = f"{clips} {'case' if clips == 1 else 'cases'}"
    partial = ", a partial run" if record["partial"] else ""
    if key.protocol == "animation":
        printed = ", the paper's pairs are not published"
    elif stated is None:
        printed = ", the paper states no number of test videos"
    elif stated == clips and not partial:
        return ""
    else:
        printed = f", the paper states {stated} test videos"
    return f"data set: '{record['dataset']}' taken for {key.dataset} by its name; {counted}{partial}{printed}"


def _unversioned(variant: str) -> str:
    return variant.partition("@")[0]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
