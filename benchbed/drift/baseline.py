"""Baseline files: what was measured, on which kind of device, with which noise floor, when and why."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchbed.drift.arithmetic import arithmetic_values
from benchbed.drift.floor import Floor, Floors, MethodFloor, measure_floors
from benchbed.drift.measurement import Measurement, MethodMeasurement, Scores, SectionMeasurement
from benchbed.drift.rerun import CPU_WAYS, GPU_WAYS, Way, kept_request, repeats
from benchbed.errors import BenchbedError
from benchbed.files import replacing
from benchbed.plan import RunRequest
from benchbed.registry import code_fingerprint
from benchbed.tracking.stages import StageDigest

SCHEMA = 1
DIGITS = 7  # of the summaries of stages: two below single precision's own
CODE = ("benchbed", "benchbed.methods", "benchbed.metrics", "benchbed.protocols")


@dataclass(frozen=True)
class Part:
    """What one kind of device gave.

    Args:
        provenance: reason, date, versions, processor, commit, code fingerprints, and the ways of the repeats.
        measured: the values.
        floors: how far they move when nothing has changed.
        arithmetic: values of metrics and frame operations on fixed inputs, see `benchbed.drift.arithmetic`.
    """

    provenance: dict[str, Any]
    measured: Measurement
    floors: Floors
    arithmetic: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Baseline:
    """A baseline file.

    Args:
        request: what to run, see `benchbed.drift.rerun.kept_request`.
        parts: by kind of device.
        history: date, reason and kind of device of every update, the latest last.
    """

    request: dict[str, Any]
    parts: dict[str, Part]
    history: list[dict[str, str]] = field(default_factory=list)


def default_path() -> Path:
    """The bundled baseline of the embedded default."""
    return Path(str(files("benchbed.results"))) / "baselines" / "reconstruction-puppets.json"


def measure_part(
    request: RunRequest, reason: str, device: str, *, ways: Sequence[Way] | None = None, quiet: bool = True
) -> Part:
    """Measure a baseline with its noise floor.

    Args:
        ways: of computing it, the baseline's own first; None: those of the device.

    Raises:
        BenchbedError: a repeat did not score what the first run scored, so that there is no floor.
    """
    chosen = ways or (GPU_WAYS if device.startswith("cuda") else CPU_WAYS)
    first, *others = repeats(request, chosen, quiet=quiet)
    floors = measure_floors(first, others)
    for section, methods in floors.items():
        for method, floor in methods.items():
            for variant, found in floor.scores.items():
                if not math.isfinite(found.case + found.mean):
                    raise BenchbedError(
                        f"{method} has a value of {variant} on {section} in one repeat and none in another, so its "
                        "noise cannot be measured; find out why with `benchbed run --batch-size 1`"
                    )
    environment = first.provenance["environment"]
    provenance = {
        "reason": reason,
        "date": datetime.now(UTC).date().isoformat(),
        "benchbed": environment["benchbed"],
        "git": environment["git"],
        "code": {package: code_fingerprint(package) for package in CODE},
        "python": environment["python"],
        "libraries": environment["libraries"],
        "processor": environment["processor"],
        "methods": first.provenance["methods"],
        "ways": [{**vars(way), "environment": dict(way.environment)} for way in chosen],
    }
    return Part(provenance, first, floors, arithmetic_values())


def updated(old: Baseline | None, request: RunRequest, part: Part) -> Baseline:
    """The baseline with a new part; those of other kinds of device stay if they are of the same request."""
    kind = part.measured.device_kind
    kept = kept_request(request)
    history = list(old.history) if old is not None else []
    entry = {"date": part.provenance["date"], "device": kind, "reason": part.provenance["reason"]}
    others = old.parts if old is not None and old.request == kept else {}
    return Baseline(kept, {**others, kind: part}, [*history, entry])


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write as JSON whose innermost lists stay on one line, so that differences between versions can be read.

    Raises:
        BenchbedError: the file cannot be written.
    """
    data = {
        "schema": SCHEMA,
        "request": baseline.request,
        "history": baseline.history,
        "devices": {kind: _part_to_json(part) for kind, part in baseline.parts.items()},
    }
    try:
        with replacing(path) as temporary:
            temporary.write_text(_readable(data) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchbedError(f"cannot write the baseline to '{path}': {error.strerror}") from error


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file.

    Raises:
        BenchbedError: it is missing, no baseline, or of another version.
    """
    if not path.is_file():
        raise BenchbedError(
            f"baseline '{path}' does not exist; write one with "
            f"`benchbed check --update --reason TEXT --baseline {path}`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = data["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchbedError(f"'{path}' is no baseline file of benchbed; give another one") from error
    if schema != SCHEMA:
        raise BenchbedError(
            f"baseline '{path}' has format {schema}, this version reads {SCHEMA}; write it anew with --update"
        )
    try:
        parts = {kind: _part_from_json(kind, part) for kind, part in data["devices"].items()}
        return Baseline(data["request"], parts, data["history"])
    except (KeyError, TypeError, ValueError) as error:
        raise BenchbedError(f"baseline '{path}' is damaged; take it from the repository again") from error


def _part_to_json(part: Part) -> dict[str, Any]:
    return {
        "provenance": part.provenance,
        "arithmetic": {name: list(values) for name, values in part.arithmetic.items()},
        "sections": {
            name: {
                "cases": list(section.cases),
                "identities": list(section.identities),
                "partners": list(section.partners),
                "evaluators": section.evaluators,
                "keys": section.keys,
                "methods": {
                    method: _method_to_json(own, part.floors[name][method])
                    for method, own in section.methods.items()
                },
            }
            for name, section in part.measured.sections.items()
        },
    }


def _method_to_json(measured: MethodMeasurement, floor: MethodFloor) -> dict[str, Any]:
    scores = {}
    for variant, own in measured.scores.items():
        noise = floor.scores.get(variant, Floor())
        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(own).items()}
        scores[variant] = {**kept, "floor": [noise.case, noise.mean, noise.count]}
    stages = {
        "/".join(stage): {
            "floor": floor.stages.get(stage, 0.0),
            "cases": {
                str(index): [digest.digest, *(float(f"{number:.{DIGITS}g}") for number in digest.summary)]
                for index, digest in enumerate(digests)
                if digest is not None
            },
        }
        for stage, digests in measured.stages.items()
    }
    return {"scores": scores, "stages": stages}


def _part_from_json(kind: str, data: dict[str, Any]) -> Part:
    sections, floors = {}, {}
    for name, section in data["sections"].items():
        read = {
            method: _method_from_json(own, len(section["cases"]))
            for method, own in section["methods"].items()
        }
        floors[name] = {method: floor for method, (_, floor) in read.items()}
        sections[name] = SectionMeasurement(
            cases=tuple(section["cases"]),
            identities=tuple(section["identities"]),
            partners=tuple(section["partners"]),
            keys=section["keys"],
            evaluators=section["evaluators"],
            methods={method: measured for method, (measured, _) in read.items()},
        )
    arithmetic = {name: tuple(values) for name, values in data["arithmetic"].items()}
    return Part(data["provenance"], Measurement(kind, sections, data["provenance"]), floors, arithmetic)


def _method_from_json(data: dict[str, Any], cases: int) -> tuple[MethodMeasurement, MethodFloor]:
    scores: dict[str, Scores] = {}
    noise: dict[str, Floor] = {}
    own: dict[str, Any]
    for variant, kept in data["scores"].items():
        case, mean, count = kept.pop("floor")
        noise[variant] = Floor(case, mean, count)
        own = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
        scores[variant] = Scores(**own)
    stages: dict[tuple[str, str], tuple[StageDigest | None, ...]] = {}
    stage_noise = {}
    for text, kept in data["stages"].items():
        stage, _, name = text.partition("/")
        digests: list[StageDigest | None] = [None] * cases
        for index, (digest, *summary) in kept["cases"].items():
            digests[int(index)] = StageDigest(stage, name, digest, tuple(summary))
        stages[stage, name] = tuple(digests)
        stage_noise[stage, name] = kept["floor"]
    return MethodMeasurement(scores, stages), MethodFloor(noise, stage_noise)


def _readable(value: Any, depth: int = 0) -> str:
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = ",\n".join(
        f"{' ' * (depth + 1)}{json.dumps(key)}: {_readable(own, depth + 1)}" for key, own in value.items()
    )
    return f"{{\n{inner}\n{' ' * depth}}}"


def without_methods(baseline: Part, keep: Sequence[str]) -> Part:
    """The part with some methods only, for a check of these."""
    sections = {
        name: replace(section, methods={m: own for m, own in section.methods.items() if m in keep})
        for name, section in baseline.measured.sections.items()
    }
    return replace(baseline, measured=replace(baseline.measured, sections=sections))
