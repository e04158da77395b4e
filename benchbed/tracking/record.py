"""The schema of a run: what one scored case leaves behind."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ComparabilityKey:
    """All that decides whether two numbers may meet in one column (design, section 4)."""

    metric: str
    variant: str
    evaluators: str
    protocol: str
    dataset: str
    split: str
    resolution: str
    transfer: str
    precision: str
    decoder: str

    def digest(self) -> str:
        """12 hex digits, stored with every value; `run.json` spells them out."""
        text = json.dumps([getattr(self, f.name) for f in fields(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ScoreRow:
    """One metric variant of one case of one method.

    Args:
        value: mean over the scored frames of the clip; NaN where there is none, and for set metrics (they
            have no value on one clip; their statistics are stored beside the row).
        n, n_missing: frames scored, and frames that could not be.
        status: `ok`, `skipped` (does not apply, weights missing) or `failed`.
        reason: one sentence where the status is not `ok`.
        evaluator: names of the evaluators used, comma-separated, empty for none.
        key: digest of the comparability key.
    """

    method: str
    dataset: str
    protocol: str
    transfer: str
    case: str
    identity: str
    metric: str
    variant: str
    value: float
    n: int
    n_missing: int
    status: str
    reason: str
    evaluator: str
    key: str
    tags: str = ""


@dataclass(frozen=True)
class CaseCost:
    """What generating one case cost.

    Args:
        frames: frames generated.
        generation_seconds, scoring_seconds, decoding_seconds: wall time of the three stages.
        peak_memory_bytes: device memory allocated at most (CUDA), or growth of the resident set over the process
            before the method was built (CPU); None where the system does not tell.
        parameters: parameters of the method.
        device: device name.
    """

    frames: int
    generation_seconds: float
    scoring_seconds: float
    decoding_seconds: float
    peak_memory_bytes: int | None
    parameters: int
    device: str


@dataclass(frozen=True)
class CaseRecord:
    """Everything stored for one (method, case): the unit of resuming.

    Args:
        rows: a row per metric variant.
        frame_values: per variant id the score of every frame, NaN where missing.
        statistics: per variant id the set statistics, arrays by name.
        cost: None where nothing was generated.
        notes: sentences for the table's footnotes.
    """

    rows: tuple[ScoreRow, ...]
    frame_values: dict[str, np.ndarray] = field(default_factory=dict)
    statistics: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    cost: CaseCost | None = None
    notes: tuple[str, ...] = ()


def record_to_json(record: CaseRecord) -> dict[str, Any]:
    """All but the set statistics, as JSON types; floats keep every bit (NaN and infinity as JavaScript names)."""
    return {
        "schema": SCHEMA_VERSION,
        "rows": [vars(row) for row in record.rows],
        "frame_values": {variant: values.tolist() for variant, values in record.frame_values.items()},
        "cost": None if record.cost is None else vars(record.cost),
        "notes": list(record.notes),
    }


def record_from_json(data: dict[str, Any], statistics: dict[str, dict[str, np.ndarray]]) -> CaseRecord:
    """Inverse of `record_to_json`, with the set statistics read from their own file."""
    return CaseRecord(
        rows=tuple(ScoreRow(**row) for row in data["rows"]),
        frame_values={variant: np.asarray(values, float) for variant, values in data["frame_values"].items()},
        statistics=statistics,
        cost=None if data["cost"] is None else CaseCost(**data["cost"]),
        notes=tuple(data["notes"]),
    )
