"""What a finished run measured, in the form that baselines keep: values per case, means, stages, keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbed.errors import BenchbedError
from benchbed.tracking.stages import METRIC, SUMMARY, StageDigest

if TYPE_CHECKING:
    import pandas as pd

FILES = ("run.json", "cases.parquet", "aggregate.parquet", "stages.parquet")
SECTION_COLUMNS = ("protocol", "dataset", "transfer", "setting")


@dataclass(frozen=True)
class Scores:
    """One metric variant of one method.

    Args:
        status, reason: of the mean, see `benchbed.tracking.record.ScoreRow`.
        mean: the value in the table; NaN where there is none.
        values: per case, in the section's order; empty for set metrics, which have none.
        n, n_missing: per case.
    """

    status: str
    reason: str
    mean: float
    values: tuple[float, ...] = ()
    n: tuple[int, ...] = ()
    n_missing: tuple[int, ...] = ()


@dataclass(frozen=True)
class MethodMeasurement:
    """One method: scores by variant id, and per stage the digests of all cases (None where a case has none)."""

    scores: dict[str, Scores]
    stages: dict[tuple[str, str], tuple[StageDigest | None, ...]]

    @property
    def scored(self) -> bool:
        """Whether there is any value."""
        return any(score.status == "ok" for score in self.scores.values())


@dataclass(frozen=True)
class SectionMeasurement:
    """Cases of one protocol on one data set.

    Args:
        cases, identities, partners: ids of the cases, with the identities of source and driving clip.
        keys: the comparability key of every variant, spelled out.
        evaluators: names of the evaluators of every variant, comma-separated.
    """

    cases: tuple[str, ...]
    identities: tuple[str, ...]
    partners: tuple[str, ...]
    keys: dict[str, dict[str, str]]
    evaluators: dict[str, str]
    methods: dict[str, MethodMeasurement]


@dataclass(frozen=True)
class Measurement:
    """A run: sections by name, the kind of its device, and its provenance as `run.json` has it."""

    device_kind: str
    sections: dict[str, SectionMeasurement]
    provenance: dict[str, Any]


def device_kind(provenance: dict[str, Any]) -> str:
    """`cpu`, or the name of the GPU: what noise floors are measured for."""
    if not provenance["device"].startswith("cuda"):
        return str(provenance["device"])
    index = int(provenance["device"].partition(":")[2] or 0)
    return str(provenance["environment"]["devices"][index])


def read_measurement(folder: Path) -> Measurement:
    """What a run's folder holds.

    Raises:
        BenchbedError: it is no finished run, or a partial one, or was made before stages were recorded.
    """
    import pandas as pd

    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise BenchbedError(
            f"'{folder}' is not a finished run of this version ({missing[0]} is missing); "
            "give a folder that `benchbed run` printed after 'results:'"
        )
    provenance = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if provenance.get("state") != "finished":
        raise BenchbedError(f"run '{folder}' did not finish; run the same command again")
    aggregated = pd.read_parquet(folder / "aggregate.parquet")
    if aggregated["partial"].any():
        raise BenchbedError(
            f"run '{folder}' holds a part of the cases (--limit, or a partial split): neither a baseline nor to be compared with one"
        )
    cases = pd.read_parquet(folder / "cases.parquet")
    stages = pd.read_parquet(folder / "stages.parquet")
    cases, aggregated = _with_section(cases), _with_section(aggregated)
    return Measurement(
        device_kind(provenance),
        {
            str(name): _section(
                part, aggregated[aggregated["section"] == name], stages[stages["section"] == name], provenance
            )
            for name, part in cases.groupby("section", sort=False)
        },
        provenance,
    )


def _with_section(frame: pd.DataFrame) -> pd.DataFrame:
    names = [
        "/".join(part for part in parts if part)
        for parts in zip(*(frame[column] for column in SECTION_COLUMNS), strict=True)
    ]
    return frame.assign(section=names)


def _section(
    cases: pd.DataFrame, aggregated: pd.DataFrame, stages: pd.DataFrame, provenance: dict[str, Any]
) -> SectionMeasurement:
    every = cases.drop_duplicates("case")
    order = {case: index for index, case in enumerate(every["case"])}
    variants = aggregated.drop_duplicates("variant")
    # A mean over some cases has a key of its own, `<key>-<cases>`; what decides comparability comes before.
    keys = {
        str(variant): provenance["keys"][str(key).partition("-")[0]]
        for variant, key in zip(variants["variant"], variants["key"], strict=True)
    }
    return SectionMeasurement(
        cases=tuple(every["case"]),
        identities=tuple(every["identity"]),
        partners=tuple(every["driving_identity"]),
        keys=keys,
        evaluators=dict(zip(variants["variant"], variants["evaluator"], strict=True)),
        methods={
            str(method): MethodMeasurement(
                {
                    str(row.variant): _scores(
                        row, cases[(cases["method"] == method) & (cases["variant"] == row.variant)]
                    )
                    for row in rows.itertuples()
                },
                _stages(stages[stages["method"] == method], order),
            )
            for method, rows in aggregated.groupby("method", sort=False)
        },
    )


def _scores(row: Any, cases: pd.DataFrame) -> Scores:
    if row.status != "ok" or cases["value"].isna().all():
        return Scores(row.status, row.reason, float(row.value))
    return Scores(
        row.status,
        row.reason,
        float(row.value),
        tuple(cases["value"].tolist()),
        tuple(cases["n"].tolist()),
        tuple(cases["n_missing"].tolist()),
    )


def _stages(
    rows: pd.DataFrame, order: dict[str, int]
) -> dict[tuple[str, str], tuple[StageDigest | None, ...]]:
    found: dict[tuple[str, str], list[StageDigest | None]] = {}
    row: Any
    for row in rows.itertuples():
        if row.stage == METRIC:
            continue  # the values themselves are there
        summary = tuple(float(getattr(row, name)) for name in SUMMARY)
        own = found.setdefault((row.stage, row.name), [None] * len(order))
        own[order[row.case]] = StageDigest(row.stage, row.name, row.digest, summary)
    return {name: tuple(own) for name, own in found.items()}
