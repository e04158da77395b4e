"""Comparisons as tables: what differs by how much, how sure that is, and what is merely side by side."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace

from benchbed.comparing import SECTION, Comparison, Margins, Side
from benchbed.statistics import EXACT_UP_TO
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import decimals_for, fixed, half_width

CSV_HEADS = (
    *("method", *SECTION, "metric", "variant", "unit", "first", "second", "difference", "low", "high"),
    *("p", "p_holm", "margin", "verdict", "test", "n_identities", "frames_paired"),
    *("n_first", "n_missing_first", "n_second", "n_missing_second", "comparable", "reason"),
)


def comparison_tables(found: Sequence[Comparison], margins: Margins, labels: tuple[str, str]) -> list[Table]:
    """A table of differences per protocol, dataset, transfer and setting; then one of what is not comparable.

    Args:
        labels: what the first and the second side are called (`A` and `B`, or `first` and `second`).
    """
    sections: dict[tuple[str, ...], list[Comparison]] = {}
    for each in found:
        if not each.apart:
            sections.setdefault(_section(each.first), []).append(each)
    tables = [_differences(section, own, margins, labels) for section, own in sections.items()]
    apart = [each for each in found if each.apart]
    return [*tables, _side_by_side(apart)] if apart else tables


def comparison_csv(found: Sequence[Comparison]) -> str:
    """One line per comparison in full precision, without a final line break."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADS)
    for each in found:
        first, second = each.first.record, each.second.record
        line = [each.method, *_section(each.first), first["metric"], first["variant"], first["unit"]]
        line += [_full(value) for value in each.values]
        difference = each.difference
        if difference is None:
            line += [""] * 9
        else:
            line += [_full(value) for value in (difference.value, difference.low, difference.high)]
            line += [_full(value) for value in (difference.p, each.adjusted_p, each.margin)]
            line += [each.verdict, difference.method, str(difference.n_identities)]
        line += [str(each.frames)]
        line += [str(int(record[name])) for record in (first, second) for name in ("n", "n_missing")]
        line += ["no" if each.apart else "yes", each.reason]
        writer.writerow(line)
    return text.getvalue().removesuffix("\n")


def _section(side: Side) -> tuple[str, ...]:
    return tuple(str(side.record[name]) for name in SECTION)


def _differences(
    section: tuple[str, ...], found: list[Comparison], margins: Margins, labels: tuple[str, str]
) -> Table:
    footnotes: list[str] = []
    names = ("B - A", "A", "B") if labels == ("A", "B") else ("difference", *labels)
    columns = (
        *(Column(name, name) for name in (names[1], names[2], names[0])),
        *(Column(name, name) for name in ("p", "p (Holm)", "verdict", "identities", "paired")),
        *(Column(f"frames {name}", f"{name} n+missing") for name in labels),
    )
    rows = tuple(Row(_label(each), _cells(each, footnotes), group=each.method) for each in found)
    protocol, dataset, transfer, setting = section
    return Table(
        dataset=dataset,
        protocol=protocol,
        transfer=transfer,
        title=", ".join(part for part in (protocol, dataset, f"{transfer} transfer", setting) if part),
        columns=columns,
        rows=rows,
        footnotes=tuple(footnotes),
        notes=_notes(found, margins, names),
        stub="metric",
        group_stub="method",
    )


def _label(each: Comparison) -> str:
    record = each.first.record
    arrow = {"lower": "↓", "higher": "↑"}[record["direction"]]
    unit = f" ({record['unit']})" if record["unit"] else ""
    return f"{record['metric'].upper()}{'' if record['canonical'] else '†'} {arrow}{unit}"


def _cells(each: Comparison, footnotes: list[str]) -> tuple[Cell, ...]:
    difference = each.difference
    decimals = decimals_for(value for value in each.values if not math.isnan(value))
    values = [Cell(_shown(value, decimals)) for value in each.values]
    sides = (each.first, each.second)
    counts = [Cell(f"{int(side.record['n'])}+{int(side.record['n_missing'])}") for side in sides]
    for index, side in enumerate(sides):
        # Missing frames are counted beside; whole cases that failed are not among them.
        if side.usable and side.record["reason"]:
            failed = _number(f"{side.label}: {side.record['reason']}", footnotes)
            values[index] = replace(values[index], footnotes=(failed,))
    if difference is None:
        mark = (_number(f"{each.metric.upper()}: {each.reason}", footnotes),)
        return (*values, Cell("-", footnotes=mark), *(Cell("-") for _ in range(4)), _count(each), *counts)
    # As many decimals as show two digits of the interval.
    finer = max(decimals, decimals_for([(difference.high - difference.low) / 2]) - 1)
    interval = f"[{fixed(difference.low, finer)}, {fixed(difference.high, finer)}]"
    return (
        *values,
        Cell(fixed(difference.value, finer), interval=interval),
        Cell(_probability(difference.p)),
        Cell(_probability(each.adjusted_p)),
        Cell(each.verdict),
        Cell(str(difference.n_identities)),
        _count(each),
        *counts,
    )


def _count(each: Comparison) -> Cell:
    """Frames that entered the comparison."""
    whole = min(int(side.record["n"]) for side in (each.first, each.second))
    return Cell(str(each.frames or whole))


def _number(text: str, footnotes: list[str]) -> int:
    if text not in footnotes:
        footnotes.append(text)
    return footnotes.index(text) + 1


def _shown(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else fixed(value, decimals)


def _probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _notes(found: list[Comparison], margins: Margins, names: tuple[str, str, str]) -> tuple[str, ...]:
    tests = sum(each.difference is not None for each in found)
    own = "".join(f", {metric} {margin}" for metric, margin in margins.own.items())
    return (
        f"{names[0]}: on the paired frames, with its 95 % interval over identities; verdicts are on {names[2]}",
        "paired: frames that both sides scored; n+missing: frames scored, and frames that could not be",
        f"p: sign flips of identities (all of them up to {EXACT_UP_TO}, else 20,000); set metrics: t of the jackknife "
        "over groups of identities, the same real frames left out on both sides",
        f"p (Holm): corrected for all tests of this command, {tests} in this table",
        "better, worse: p (Holm) below 0.05 and zero outside the interval",
        f"equivalent: the 90 % interval lies within the margin, {margins.general}{own}"
        f"{'' if own or margins.general != Margins().general else ' (the default; --margin)'}",
    )


def _side_by_side(found: list[Comparison]) -> Table:
    """Numbers that may not be compared: a column per metric and run, neither ranked nor tested."""
    metrics: dict[tuple[str, ...], dict[str, Comparison]] = {}
    for each in found:
        variants = (each.first.record["variant"], each.second.record["variant"])
        metrics.setdefault((*_section(each.first), *_section(each.second), *variants), {})[each.method] = each
    methods = list(dict.fromkeys(each.method for each in found))
    footnotes: list[str] = []
    columns, cells = [], []
    for by_method in metrics.values():
        any_one = next(iter(by_method.values()))
        mark = _number(f"{any_one.metric.upper()}: {any_one.reason}", footnotes)
        sides = [[(each.first, each.second)[index] for each in by_method.values()] for index in (0, 1)]
        decimals = decimals_for(side.record["value"] for own in sides for side in own if side.usable)
        for index, own in enumerate(sides):
            label = own[0].label
            columns.append(Column(f"{any_one.metric} {label}", f"{any_one.metric.upper()} {label}"))
            shown = dict(zip(by_method, own, strict=True))
            cells.append(
                [_value(shown.get(method), decimals, mark if not index else 0) for method in methods]
            )
    rows = tuple(Row(method, row) for method, row in zip(methods, zip(*cells, strict=True), strict=True))
    return Table("", "", "", "not comparable, side by side", tuple(columns), rows, tuple(footnotes))


def _value(side: Side | None, decimals: int, mark: int) -> Cell:
    marks = (mark,) if mark else ()
    if side is None or not side.usable:
        return Cell("-", footnotes=marks)
    record = side.record
    return Cell(
        fixed(record["value"], decimals),
        interval=half_width(record["low"], record["high"], decimals),
        footnotes=marks,
    )


def _full(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
