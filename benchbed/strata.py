"""Results by how hard the frames are: every metric by motion magnitude and by distance from the source frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import SetFeatures
from benchbed.registry import card, load_entry
from benchbed.scoring import set_features_name
from benchbed.statistics import identity_groups, jackknife_interval, weighted_mean_interval
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import decimals_for, fixed, half_width
from benchbed.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

STRATA = 4
GROUPS = 24  # of the delete-a-group jackknife of set metrics
SECTION = ["dataset", "protocol", "transfer", "setting"]
# Below this a stratum's own frames are too few for a distribution.
FEWEST_ROWS = 64


@dataclass(frozen=True)
class Difficulty:
    """What frames are sorted by.

    Args:
        name: `motion` or `distance`.
        title: for headings.
        unit: of the edges.
        column: of `frames.parquet`.
    """

    name: str
    title: str
    unit: str
    column: str


DIFFICULTIES = {
    "motion": Difficulty("motion", "motion from the source frame", "px", "motion"),
    "distance": Difficulty("distance", "distance from the first driving frame", "frames", "frame"),
}


@dataclass(frozen=True)
class StratumValue:
    """One method's value of one metric variant on one stratum.

    Args:
        stratum: 0 is the easiest quarter.
        middle: mean of what frames were sorted by, over the stratum's frames.
        n: frames scored.
    """

    section: tuple[str, ...]
    metric: str
    variant: str
    method: str
    stratum: int
    middle: float
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Stratified:
    """All values of one run, and the edges between the strata of every section."""

    by: Difficulty
    values: tuple[StratumValue, ...]
    edges: dict[tuple[str, ...], np.ndarray]
    notes: tuple[str, ...]


def stratify(folder: Path, by: str) -> Stratified:
    """Every metric of a finished run, by quartiles of motion or of distance.

    The quartiles are over the frames of all cases of a section, the same for every method. Frame metrics are means
    over the stratum's frames with identity intervals; set metrics of single frames (FID, KID) compare the
    stratum's generated frames with the true frames of the same numbers (with all frames of the source's clips where
    the variant compares with the source).

    Args:
        folder: of the run.
        by: `motion` or `distance`.

    Raises:
        BenchbedError: no such run, or nothing is known of the motion in it.
    """
    import pandas as pd

    difficulty = DIFFICULTIES[by]
    if not (folder / "frames.parquet").is_file():
        raise BenchbedError(f"'{folder}' holds no finished run; give a folder below runs/")
    store = Store(folder)  # says so where another version wrote it
    frames = pd.read_parquet(folder / "frames.parquet")
    cases = pd.read_parquet(folder / "cases.parquet")
    frames = frames[np.isfinite(frames["value"])]
    values: list[StratumValue] = []
    edges: dict[tuple[str, ...], np.ndarray] = {}
    notes: list[str] = []
    for section, rows in frames.groupby(SECTION, sort=False):
        at = _positions(rows, difficulty)
        if at.empty:
            notes.append(
                f"{'/'.join(part for part in section if part)}: nothing there knows key points, so motion is unknown"
            )
            continue
        edges[section] = np.quantile(at.to_numpy(), np.linspace(0, 1, STRATA + 1)[1:-1])
        own = cases[(cases[SECTION] == list(section)).all(axis=1)]
        values += _frame_values(section, rows, own, edges[section], difficulty)
        values += _set_values(store, section, own, at, edges[section])
    if not values:
        raise BenchbedError(
            f"'{folder.name}' cannot be sorted by {by}: {'; '.join(notes) or 'it has no frames'}"
        )
    return Stratified(difficulty, tuple(values), edges, tuple(notes))


def _positions(rows: pd.DataFrame, difficulty: Difficulty) -> pd.Series:
    """What every frame of every case is sorted by, once per frame, whatever the methods and metrics."""
    once = rows.drop_duplicates(["case", "frame"]).set_index(["case", "frame"], drop=False)[difficulty.column]
    return once[np.isfinite(once)].astype(float)


def _stratum(at: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges, at, side="left")


def _frame_values(
    section: tuple[str, ...], rows: pd.DataFrame, cases: pd.DataFrame, edges: np.ndarray, by: Difficulty
) -> Iterator[StratumValue]:
    identities = cases.drop_duplicates("case").set_index("case")["identity"]
    known = rows[np.isfinite(rows[by.column])]
    known = known.assign(stratum=_stratum(known[by.column].to_numpy(float), edges))
    for (metric, variant, method, stratum), group in known.groupby(
        ["metric", "variant", "method", "stratum"], sort=False
    ):
        per_case = group.groupby("case", sort=False)["value"].agg(["mean", "count"])
        estimate = weighted_mean_interval(
            per_case["mean"].to_numpy(), per_case["count"].to_numpy(), identities[per_case.index].to_numpy()
        )
        yield StratumValue(
            section, metric, variant, method, int(stratum), float(group[by.column].mean()),
            estimate.value, estimate.low, estimate.high, len(group),
        )  # fmt: skip


def _set_values(
    store: Store, section: tuple[str, ...], cases: pd.DataFrame, at: pd.Series, edges: np.ndarray
) -> Iterator[StratumValue]:
    positions = {case: part.droplevel(0) for case, part in at.groupby(level="case")}
    name = "/".join(part for part in (section[1], section[0], section[2], section[3]) if part)
    row: Any
    for group, rows in cases[cases["status"] == "ok"].groupby(
        ["metric", "variant", "evaluator", "method"], sort=False
    ):
        metric, variant, evaluator, method = map(str, group)
        chosen = card("metric", metric)
        if chosen.data["level"] != "set":
            continue
        words = next(v for v in chosen.data["variant"] if f"{v['id']}@{v['version']}" == variant)
        if words["needs"] != ["pooled"] or words.get("frames", "all") != "all":
            continue
        against_source = words.get("against", "target") == "source"
        scorer = load_entry(words["entry"], owner=f"metric variant '{variant}'")(**words.get("params", {}))
        kept = set_features_name(evaluator, words["quantisation"], against_source)
        for stratum in range(STRATA):
            by_identity: dict[str, list[Any]] = {}
            middles, count, seen = [], 0, set()
            for row in rows.itertuples():
                record = store.read(name, method, row.case)
                if record is None or row.case not in positions:
                    continue
                where = positions[row.case]
                inside = where.index.to_numpy()[_stratum(where.to_numpy(), edges) == stratum]
                if not inside.size:
                    continue
                pair = record.set_features[kept]
                target = pair.target.vectors if against_source else pair.target.vectors[inside]
                if against_source and pair.target_clip in seen:
                    target = target[:0]
                seen.add(pair.target_clip)
                generated = pair.generated.vectors[inside]
                middles.append(where[inside].to_numpy())
                count += len(inside)
                by_identity.setdefault(row.identity, []).append(
                    scorer.statistics(
                        SetFeatures(generated, len(generated)), SetFeatures(target, len(target))
                    )
                )
            if count < FEWEST_ROWS:
                continue
            groups = [scorer.merge(parts) for parts in identity_groups(by_identity, groups=GROUPS)]
            value = scorer.finish(scorer.merge(groups))
            replicates = scorer.finish_without_each(groups) if len(groups) > 1 else []
            estimate = jackknife_interval(value, replicates, n_identities=len(by_identity))
            yield StratumValue(
                section, metric, variant, method, stratum, float(np.concatenate(middles).mean()),
                estimate.value, estimate.low, estimate.high, count,
            )  # fmt: skip


def strata_tables(result: Stratified) -> list[Table]:
    """A table per section and metric variant: a row per method, a column per stratum, easiest first."""
    tables = []
    keys = dict.fromkeys((value.section, value.metric, value.variant) for value in result.values)
    for section, metric, variant in keys:
        own = [v for v in result.values if (v.section, v.metric, v.variant) == (section, metric, variant)]
        words = card("metric", metric).data
        decimals = decimals_for([value.value for value in own])
        by_cell = {(value.method, value.stratum): value for value in own}
        columns = tuple(
            Column(
                f"{variant}-{stratum}", _header(result, section, stratum), words["direction"], variant=variant
            )
            for stratum in range(STRATA)
        )
        rows = tuple(
            Row(method, tuple(_cell(by_cell.get((method, stratum)), decimals) for stratum in range(STRATA)))
            for method in dict.fromkeys(value.method for value in own)
        )
        place = ", ".join(
            part for part in (section[1], section[0], section[3], f"{section[2]} transfer") if part
        )
        tables.append(
            Table(
                dataset=section[0],
                protocol=section[1],
                transfer=section[2],
                title=f"{words['title']} by {result.by.title}, {place}",
                columns=columns,
                rows=rows,
                footnotes=(),
                daggers=(),
                notes=(f"variant: {variant}; quarters of all frames of all cases", *result.notes),
            )
        )
    return tables


def _header(result: Stratified, section: tuple[str, ...], stratum: int) -> str:
    edges = [f"{edge:.3g}" for edge in result.edges[section]]
    if stratum == 0:
        return f"up to {edges[0]} {result.by.unit}"
    if stratum == STRATA - 1:
        return f"above {edges[-1]} {result.by.unit}"
    return f"{edges[stratum - 1]} to {edges[stratum]} {result.by.unit}"


def _cell(value: StratumValue | None, decimals: int) -> Cell:
    if value is None:
        return Cell("-", status="absent", reason="too few frames")
    return Cell(
        fixed(value.value, decimals), half_width(value.low, value.high, decimals), n=value.n,
        value=value.value, low=value.low, high=value.high,
    )  # fmt: skip


def strata_plot(result: Stratified, path: Path, write: Callable[[Path, Any], None]) -> None:
    """Curves over the strata, a panel per metric variant of the first section, error bars from the intervals.

    Args:
        path: of the PNG.
        write: saves a figure at a path.
    """
    from benchbed.plots import curves

    section = result.values[0].section
    panels: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for value in result.values:
        if value.section == section:
            panel = panels.setdefault(value.variant.split("@")[0], {})
            panel.setdefault(value.method, []).append((value.middle, value.value, value.low, value.high))
    write(path, curves(panels, x_label=f"{result.by.title} ({result.by.unit})"))
