"""The schema of a run: what one scored case leaves behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from benchbed.interfaces.metric import SetFeatures
from benchbed.tracking.stages import StageDigest

SCHEMA_VERSION = 3


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
            have no value on one clip; the features they are computed from are stored beside the row).
        n, n_missing: frames scored, and frames that could not be.
        status: `ok`, `skipped` (does not apply, weights missing) or `failed`.
        reason: one sentence where the status is not `ok`.
        evaluator: names of the evaluators used, comma-separated, empty for none.
        key: digest of the comparability key.
        setting: of the protocol (`reconstruction N_ref=3`), empty where it has one only.
        identity, driving_identity: of the source and of the driving clip.
        references: comma-separated numbers of the frames of the source's clip that the method was given beside the
            source (few-shot), or in its place (one-shot).
    """

    method: str
    dataset: str
    protocol: str
    transfer: str
    setting: str
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
    driving_identity: str = ""
    references: str = ""


@dataclass(frozen=True)
class CaseCost:
    """What generating one case cost.

    Args:
        frames: frames generated.
        generation_seconds, scoring_seconds, decoding_seconds: wall time of the three stages.
        peak_memory_bytes: device memory allocated at most (CUDA), or growth of the resident set over the process
            before the method was built (CPU); None where the system does not tell.
        parameters: parameters of the method; None where nobody knows.
        device: device name.
    """

    frames: int
    generation_seconds: float
    scoring_seconds: float
    decoding_seconds: float
    peak_memory_bytes: int | None
    parameters: int | None
    device: str


@dataclass(frozen=True)
class SetPair:
    """What set metrics need of one case.

    Args:
        generated, target: features of both sides.
        target_clip: the clip that the target's frames are of.
    """

    generated: SetFeatures
    target: SetFeatures
    target_clip: str


@dataclass(frozen=True)
class CaseRecord:
    """Everything stored for one (method, case): the unit of resuming.

    Args:
        rows: a row per metric variant.
        frame_values: per variant id the score of every frame, NaN where missing.
        set_features: by name (`Measure.set_features`) what set metrics need of the case.
        cost: None where nothing was generated.
        notes: sentences for the table's footnotes.
        motion: displacement of key points between source and every driving frame, pixels; empty where unknown.
        motion_from: what the points were found with (`exact`, or an evaluator).
        stages: digests of what passed through the case, for the drift check; empty where nothing was generated.
    """

    rows: tuple[ScoreRow, ...]
    frame_values: dict[str, np.ndarray] = field(default_factory=dict)
    set_features: dict[str, SetPair] = field(default_factory=dict)
    cost: CaseCost | None = None
    notes: tuple[str, ...] = ()
    motion: np.ndarray = field(default_factory=lambda: np.empty(0))
    motion_from: str = ""
    stages: tuple[StageDigest, ...] = ()


def record_to_json(record: CaseRecord) -> dict[str, Any]:
    """All but the set features, as JSON types; floats keep every bit (NaN and infinity as JavaScript names)."""
    return {
        "schema": SCHEMA_VERSION,
        "rows": [vars(row) for row in record.rows],
        "frame_values": {variant: values.tolist() for variant, values in record.frame_values.items()},
        "cost": None if record.cost is None else vars(record.cost),
        "notes": list(record.notes),
        "stages": [vars(stage) for stage in record.stages],
        "motion": record.motion.tolist(),
        "motion_from": record.motion_from,
    }


def record_from_json(data: dict[str, Any], set_features: dict[str, SetPair]) -> CaseRecord:
    """Inverse of `record_to_json`, with the set features read from their own file."""
    return CaseRecord(
        rows=tuple(ScoreRow(**row) for row in data["rows"]),
        frame_values={variant: np.asarray(values, float) for variant, values in data["frame_values"].items()},
        set_features=set_features,
        cost=None if data["cost"] is None else CaseCost(**data["cost"]),
        notes=tuple(data["notes"]),
        stages=tuple(
            StageDigest(**{**stage, "summary": tuple(stage["summary"])}) for stage in data.get("stages", [])
        ),
        motion=np.asarray(data["motion"], float),
        motion_from=data["motion_from"],
    )


def pairs_to_arrays(pairs: dict[str, SetPair]) -> dict[str, np.ndarray]:
    """Set features as flat named arrays, for one npz."""
    arrays: dict[str, np.ndarray] = {}
    for name, pair in pairs.items():
        arrays[f"{name}\ngenerated"] = pair.generated.vectors
        arrays[f"{name}\ntarget"] = pair.target.vectors
        arrays[f"{name}\nframes"] = np.array([pair.generated.frames, pair.target.frames])
        arrays[f"{name}\nclip"] = np.array(pair.target_clip)
    return arrays


def pairs_from_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, SetPair]:
    """Inverse of `pairs_to_arrays`."""
    pairs = {}
    for name in dict.fromkeys(key.split("\n")[0] for key in arrays):
        generated, target = (int(count) for count in arrays[f"{name}\nframes"])
        pairs[name] = SetPair(
            SetFeatures(arrays[f"{name}\ngenerated"], generated),
            SetFeatures(arrays[f"{name}\ntarget"], target),
            str(arrays[f"{name}\nclip"]),
        )
    return pairs
