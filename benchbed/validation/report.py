"""The validation of the metrics as tables, files and a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from benchbed.registry import card
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import half_width
from benchbed.tracking.store import Store
from benchbed.validation.damage import LADDER
from benchbed.validation.ladder import Answer
from benchbed.validation.proxies import Agreement

LEVELS = {"cases": "over all cases", "within": "over the cases of a method", "methods": "over methods"}


def ladder_table(answers: Sequence[Answer], dataset: str) -> Table:
    """A row per kind of damage, a column per metric: the answer to the strongest level."""
    variants = list(dict.fromkeys(answer.variant for answer in answers))
    by_cell = {(answer.damage, answer.variant): answer for answer in answers}
    footnotes = (
        "not seen: the 95 % interval of the change does not exclude zero on the worse side",
        "not in order: a stronger level does not always score worse (rank correlation of level and value below 1)",
    )
    rows = tuple(
        Row(
            f"{damage.title} ({damage.levels[0]:g} to {damage.levels[-1]:g} {damage.unit})",
            tuple(_answer_cell(by_cell.get((damage.name, variant))) for variant in variants),
        )
        for damage in LADDER
    )
    return Table(
        dataset=dataset,
        protocol="validate-metrics",
        transfer="absolute",
        title=f"What each metric sees: change from undamaged truth to the strongest damage, {dataset}",
        columns=tuple(_column(variant) for variant in variants),
        rows=rows,
        footnotes=footnotes,
        notes=(
            "positive: the metric calls it worse; frame metrics in standard deviations of the change over cases, FID "
            "in its standard errors",
            "metrics against the source (source-...) can be right not to see what leaves the identity alone",
        ),
        stub="damage",
    )


def _column(variant: str) -> Column:
    name, _, detail = variant.split("@")[0].partition("/")
    label = card("metric", name).data["title"]
    return Column(variant, f"{label} {detail}" if detail.startswith("source") else label, variant=variant)


def _answer_cell(answer: Answer | None) -> Cell:
    if answer is None:
        return Cell("-", status="absent", reason="this damage is done to landmarks alone")
    marks = []
    if not answer.seen:
        marks.append(1)
    if not answer.order > 0.999:
        marks.append(2)
    text = "perfect" if math.isinf(answer.effect) else f"{answer.effect:+.1f}"
    return Cell(text, footnotes=tuple(marks), value=answer.change, low=answer.low, high=answer.high)


def agreement_table(found: Sequence[Agreement], dataset: str) -> Table:
    """A row per proxy metric, a column per true error and kind of ranking."""
    variants = list(dict.fromkeys(one.variant for one in found))
    columns = list(dict.fromkeys((one.truth, one.level) for one in sorted(found, key=_place)))
    by_cell = {(one.variant, one.truth, one.level): one for one in found}
    counts = {one.level: one.n for one in found}
    return Table(
        dataset=dataset,
        protocol="validate-metrics",
        transfer="absolute",
        title=f"How metrics rank what is known to be wrong: Spearman correlation with the true error, {dataset}",
        columns=tuple(
            Column(f"{truth}-{level}", f"{truth.upper()} {LEVELS[level]}", "higher")
            for truth, level in columns
        ),
        rows=tuple(
            Row(
                variant.split("@")[0],
                tuple(_agreement_cell(by_cell.get((variant, *place))) for place in columns),
            )
            for variant in variants
        ),
        notes=(
            "1: orders everything as the true error does, 0: knows nothing of it, negative: prefers what is wrong",
            "intervals resample identities; FID has one value per method and no interval",
            "ranked items: " + ", ".join(f"{LEVELS[level]} {count}" for level, count in counts.items()),
        ),
        stub="proxy",
    )


def _place(one: Agreement) -> tuple[str, int]:
    return one.truth, list(LEVELS).index(one.level)


def _agreement_cell(one: Agreement | None) -> Cell:
    if one is None or math.isnan(one.rho):
        return Cell("-", status="absent", reason="too few to rank")
    return Cell(
        f"{one.rho:+.2f}",
        half_width(one.low, one.high, 2),
        value=one.rho,
        low=one.low,
        high=one.high,
        n=one.n,
    )


def write_report(store: Store, answers: Sequence[Answer], found: Sequence[Agreement]) -> Any:
    """Everything in full precision below the run's folder: two CSV files and the ladder as curves.

    Returns:
        Path of the figure.
    """
    from benchbed.plots import curves

    rows = [
        {
            **{k: v for k, v in asdict(answer).items() if k not in ("levels", "values")},
            "level": level,
            "value": value,
        }
        for answer in answers
        for level, value in zip(answer.levels, answer.values, strict=True)
    ]
    store.write_text("validation/ladder.csv", pd.DataFrame(rows).to_csv(index=False))
    store.write_text(
        "validation/agreement.csv", pd.DataFrame([asdict(one) for one in found]).to_csv(index=False)
    )
    nan = float("nan")
    panels: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
    for answer in answers:
        scale = answer.spread if answer.spread > 0 else 1.0
        worse = 1.0 if card("metric", answer.metric).data["direction"] == "lower" else -1.0
        title = next(damage for damage in LADDER if damage.name == answer.damage)
        panels.setdefault(f"{title.title} ({title.unit})", {})[answer.variant.split("@")[0]] = [
            (level, worse * (value - answer.values[0]) / scale, nan, nan)
            for level, value in zip(answer.levels, answer.values, strict=True)
        ]
    path = store.folder / "validation" / "ladder.png"
    store.write_figure(path, curves(panels, x_label="level"))
    return path
