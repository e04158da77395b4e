"""A sweep as one table: the rows of all numbers of references, method by method; and what the references leak."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchbed.plots import Point
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import decimals_for, fixed

if TYPE_CHECKING:
    import pandas as pd

_COUNT = re.compile(r"^(?P<kind>.*?) ?(?P<count>N_ref=\d+)$")
BEST_OF = "(in parentheses): best over the source and the references as sources, per clip; FID per data set"


def merge_sweeps(tables: Sequence[Table]) -> list[Table]:
    """Tables whose settings differ in `N_ref=k` alone become one, with a row per method and k; others stay."""
    families: dict[tuple[str, ...], list[Table]] = {}
    result: list[Table | tuple[str, ...]] = []
    for table in tables:
        match = _COUNT.match(table.setting)
        if match is None:
            result.append(table)
            continue
        family = (table.protocol, table.dataset, table.transfer, match["kind"])
        if family not in families:
            result.append(family)
        families.setdefault(family, []).append(table)
    return [one if isinstance(one, Table) else _merged(families[one], one[3]) for one in result]


def _merged(tables: list[Table], kind: str) -> Table:
    footnotes: list[str] = []
    by_method: dict[str, list[Row]] = {}
    for table in tables:
        numbers = {}
        for old, text in enumerate(table.footnotes, start=1):
            if text not in footnotes:
                footnotes.append(text)
            numbers[old] = footnotes.index(text) + 1
        match = _COUNT.match(table.setting)
        count = match["count"] if match else table.setting
        for row in table.rows:
            cells = tuple(
                replace(cell, footnotes=tuple(numbers[mark] for mark in cell.footnotes)) for cell in row.cells
            )
            by_method.setdefault(row.method, []).append(Row(count, cells, group=row.method))
    first = tables[0]
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    if any(cell.text.startswith("(") for rows in by_method.values() for row in rows for cell in row.cells):
        notes = {BEST_OF: None, **notes}
    return replace(
        first,
        title=first.title.replace(first.setting, kind),
        setting=kind,
        rows=tuple(row for rows in by_method.values() for row in rows),
        footnotes=tuple(footnotes),
        daggers=tuple(dict.fromkeys(text for table in tables for text in table.daggers)),
        # What a column can resolve differs from setting to setting: the tables in tables/ say it.
        notes=tuple(notes),
        stub="N_ref",
        group_stub="method",
    )


def sweep_points(tables: Sequence[Table]) -> dict[str, dict[str, dict[str, list[Point]]]]:
    """Of merged tables: setting -> metric header -> method -> (N_ref, value, low, high)."""
    found: dict[str, dict[str, dict[str, list[Point]]]] = {}
    for table in tables:
        if table.stub != "N_ref":
            continue
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if column.direction and math.isfinite(cell.value):
                    point = (float(row.method.removeprefix("N_ref=")), cell.value, cell.low, cell.high)
                    panels = found.setdefault(table.setting, {})
                    panels.setdefault(column.header, {}).setdefault(row.group, []).append(point)
    return found


def leak_table(cases: pd.DataFrame, frames: pd.DataFrame) -> Table | None:
    """Reconstruction with references: frames that served as references beside all others; None without any.

    A method that has seen a frame may repeat it: where the first of two columns is much better than the second, the
    plain mean flatters. Source: DiME's protocol draws references from the very clip that is scored.
    """
    served = cases[(cases["references"] != "") & cases["setting"].str.startswith("reconstruction")]
    if served.empty:
        return None
    keys = ["method", "dataset", "setting", "case", "variant"]
    joined = frames.merge(served[[*keys, "references"]], on=keys)
    numbers = joined["references"].str.split(",")
    inside = [str(frame) in listed for frame, listed in zip(joined["frame"], numbers, strict=True)]
    joined = joined.assign(inside=inside)
    variants = list(dict.fromkeys(joined["variant"]))
    means = joined.groupby(["method", "setting", "variant", "inside"], sort=False)["value"].mean()
    decimals = {variant: decimals_for(means.xs(variant, level="variant").tolist()) for variant in variants}
    rows = []
    for method, setting in dict.fromkeys(zip(joined["method"], joined["setting"], strict=True)):
        cells = []
        for variant in variants:
            for part in (True, False):
                value = float(means.get((method, setting, variant, part), math.nan))
                text = "-" if math.isnan(value) else fixed(value, decimals[variant])
                cells.append(Cell(text, value=value))
        rows.append(Row(setting.rpartition(" ")[2], tuple(cells), group=method))
    columns = tuple(
        Column(f"{variant}-{part}", part, group=variant.split("/")[0].upper(), variant=variant)
        for variant in variants
        for part in ("references", "others")
    )
    methods = list(dict.fromkeys(row.group for row in rows))
    rows.sort(key=lambda row: methods.index(row.group))
    return Table(
        dataset=str(joined["dataset"].iloc[0]),
        protocol="reference-sweep",
        transfer="absolute",
        setting="leak",
        title="Leak check: reconstruction of the frames that served as references, and of all others",
        columns=columns,
        rows=tuple(rows),
        notes=("plain means over frames", BEST_OF),
        stub="N_ref",
        group_stub="method",
    )
