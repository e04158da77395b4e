"""From aggregated scores to tables: columns, shown numbers, ranks and footnotes."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchbed.ranking import UNRANKED
from benchbed.tables.model import NAN, Cell, Column, Row, Table
from benchbed.tables.numbers import bytes_text, counted, decimals_for, fixed, half_width, significant
from benchbed.tables.rank import SEPARATION, best_positions, separation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cell", "Column", "Row", "Table", "build_tables"]

COSTS = (
    Column("frames_per_second", "frames/s", unit="frames/s"),
    Column("parameters", "params"),
    Column("peak_memory_bytes", "peak mem", unit="bytes"),
)
Record = dict[str, Any]
Line = tuple[str, str]  # method and run
Section = tuple[str, str, str, str]  # dataset, protocol, transfer and setting


def build_tables(aggregate: pd.DataFrame, costs: pd.DataFrame, notes: list[str]) -> list[Table]:
    """One table per dataset, protocol, transfer and setting of the protocol, in order of appearance.

    Args:
        aggregate: a row per method, dataset, protocol, transfer and metric variant, with the columns of
            `benchbed.aggregate.aggregate`; rows of several runs need a column `run` to be told apart.
        costs: a row per method and dataset: `fps parameters peak_memory_bytes device status reason`.
        notes: sentences shown below every table.

    Returns:
        Tables whose rows and metric columns keep the order given. Only values with equal comparability keys
        are ranked together, and `oracle` never is.
    """
    groups: dict[Section, list[Record]] = {}
    for record in _records(aggregate):
        groups.setdefault(_section(record), []).append(record)
    spent = _records(costs)
    return [_table(group, records, spent, notes) for group, records in groups.items()]


def _records(frame: pd.DataFrame) -> list[Record]:
    """The frame's rows; rows of one method and variant that come again count as another run."""
    records: list[Record] = [
        {str(name): value for name, value in record.items()} for record in frame.to_dict("records")
    ]
    seen: Counter[tuple[Any, ...]] = Counter()
    for record in records:
        identity = tuple(
            record.get(name)
            for name in ("method", "dataset", "protocol", "transfer", "setting", "variant", "run")
        )
        seen[identity] += 1
        repeated = f"#{seen[identity]}" if seen[identity] > 1 else ""
        record["run"] = " ".join(part for part in (record.get("run") or "", repeated) if part)
    return records


class _Footnotes:
    """Numbered footnotes; the same text keeps its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def _table(section: Section, records: list[Record], costs: list[Record], notes: list[str]) -> Table:
    dataset, protocol, transfer, setting = section
    lines: list[Line] = list(dict.fromkeys((record["method"], record["run"]) for record in records))
    by_column: dict[tuple[str, str], dict[Line, Record]] = {}
    for record in records:
        column = by_column.setdefault((record["metric"], record["variant"]), {})
        column[record["method"], record["run"]] = record
    several = {metric for metric, count in Counter(m for m, _ in by_column).items() if count > 1}
    columns = tuple(_column(*ids, entries, ids[0] in several) for ids, entries in by_column.items())
    footnotes = _Footnotes()
    repeated = {method for method, count in Counter(method for method, _ in lines).items() if count > 1}
    cells = [
        _cells(column, entries, lines, footnotes)
        for column, entries in zip(columns, by_column.values(), strict=True)
    ]
    told = [
        text
        for column, entries in zip(columns, by_column.values(), strict=True)
        if (text := _separation(column, entries, repeated))
    ]
    own = [cost for cost in costs if _same_section(cost, section)]
    cells += _cost_cells(own, lines, footnotes)
    rows = tuple(
        Row(_name(line, repeated), row) for line, row in zip(lines, zip(*cells, strict=True), strict=True)
    )
    return Table(
        dataset=dataset,
        protocol=protocol,
        transfer=transfer,
        title=_title(section, records),
        columns=(*columns, *COSTS),
        rows=rows,
        footnotes=tuple(footnotes.texts),
        daggers=tuple(dict.fromkeys(_daggers(columns, by_column))),
        setting=setting,
        notes=(*([SEPARATION, *told] if told else []), _variants(columns), *_devices(own), *notes),
    )


def _name(line: Line, repeated: set[str]) -> str:
    method, run = line
    return f"{method} ({run})" if method in repeated and run else method


def _section(record: Record) -> Section:
    return record["dataset"], record["protocol"], record["transfer"], _text(record.get("setting"))


def _same_section(cost: Record, section: Section) -> bool:
    names = ("dataset", "protocol", "transfer", "setting")
    return all(cost.get(name, value) == value for name, value in zip(names, section, strict=True))


def _title(section: Section, records: list[Record]) -> str:
    dataset, protocol, transfer, setting = section
    sizes = " and ".join(dict.fromkeys(str(record["resolution"]) for record in records))
    parts = (protocol, setting, dataset, sizes, f"{transfer} transfer")
    title = ", ".join(part for part in parts if part)
    partial = [bool(record["partial"]) for record in records]
    return f"{title} (partial: {_what_is_missing(records)})" if all(partial) else title


def _what_is_missing(records: list[Record]) -> str:
    """`n = 471 of 495 clips` where the split lacks some; else the run left cases out."""
    counts = dict.fromkeys(filter(None, (_text(record.get("incomplete")) for record in records)))
    return f"n = {' and '.join(counts)} clips" if counts else "not all cases were run"


def _column(metric: str, variant: str, entries: dict[Line, Record], several: bool) -> Column:
    first = next(iter(entries.values()))
    detail = variant.partition("/")[2] or variant
    return Column(
        id=variant if several else metric,
        label=f"{metric.upper()} {detail}" if several else metric.upper(),
        direction=first["direction"],
        dagger=any(not record["canonical"] or _text(record.get("unverified")) for record in entries.values()),
        unit=_text(first["unit"]),
        variant=variant,
    )


def _cells(
    column: Column, entries: dict[Line, Record], lines: list[Line], footnotes: _Footnotes
) -> list[Cell]:
    found = [entries.get(line) for line in lines]
    shown = [_shown(record) for record in found]
    main = _main_group(found, shown)
    sizes = [record["value"] for record, show in zip(found, shown, strict=True) if record and show]
    competing = [
        record["value"]
        for record, show, (method, _) in zip(found, shown, lines, strict=True)
        if record and show and method not in UNRANKED
    ]
    decimals = decimals_for(competing or sizes)
    ranked = [
        float(fixed(record["value"], decimals))
        if record and show and method not in UNRANKED and _group(record) == main
        else None
        for record, show, (method, _) in zip(found, shown, lines, strict=True)
    ]
    groups = {_group(record) for record, show in zip(found, shown, strict=True) if record and show}
    alone = len(groups) > 1 and sum(value is not None for value in ranked) < 2
    if alone:
        best: frozenset[int] = frozenset()
    elif any(_tested(record) for record in found):
        competes = [value is not None for value in ranked]
        best = frozenset(
            position
            for position, (record, able) in enumerate(zip(found, competes, strict=True))
            if able and record is not None and record["best_set"]
        )
    else:
        best = best_positions(ranked, column.direction)
    reference = next(
        (r for r, show in zip(found, shown, strict=True) if r and show and _group(r) == main), None
    )
    return [
        _cell(column, record, reference, decimals, position in best, footnotes)
        for position, record in enumerate(found)
    ]


def _tested(record: Record | None) -> bool:
    """Whether paired tests have said which values are best; aggregates of older runs do not."""
    return record is not None and isinstance(record.get("best_set"), bool)


def _separation(column: Column, entries: dict[Line, Record], repeated: set[str]) -> str:
    """What a column can tell apart, as a line below the table."""
    main = _main_group(list(entries.values()), [_shown(record) for record in entries.values()])
    ranked = [
        (line, record)
        for line, record in entries.items()
        if _shown(record) and _tested(record) and line[0] not in UNRANKED and _group(record) == main
    ]
    ranked.sort(key=lambda item: item[1]["value"], reverse=column.direction == "higher")
    return separation(
        column.label,
        column.unit,
        [_name(line, repeated) for line, _ in ranked],
        [record["best_set"] for _, record in ranked],
        [_number(record["resolvable"]) for _, record in ranked],
    )


def _shown(record: Record | None) -> bool:
    return record is not None and record["status"] == "ok" and not math.isnan(_number(record["value"]))


def _group(record: Record) -> tuple[str, bool]:
    return _text(record["key"]), bool(record["partial"])


def _main_group(found: list[Record | None], shown: list[bool]) -> tuple[str, bool] | None:
    """The key that most rows of a column share (the first such): the one that is ranked."""
    groups = Counter(_group(record) for record, show in zip(found, shown, strict=True) if record and show)
    return groups.most_common(1)[0][0] if groups else None


def _cell(
    column: Column,
    record: Record | None,
    reference: Record | None,
    decimals: int,
    best: bool,
    footnotes: _Footnotes,
) -> Cell:
    if record is None:
        return Cell("-", footnotes=(footnotes.number(f"{column.label}: not measured"),), status="absent")
    value, low, high = (_number(record[name]) for name in ("value", "low", "high"))
    full: dict[str, Any] = {
        "n": int(record["n"]),
        "n_missing": int(record["n_missing"]),
        "status": record["status"],
        "reason": _text(record["reason"]),
        "key": _text(record["key"]),
    }
    if not _shown(record):
        text = _why_missing(column, record)
        return Cell("-", footnotes=(footnotes.number(text),), **full)
    marks = []
    if reference is not None and _group(record) != _group(reference):
        marks.append(footnotes.number(f"not ranked with its column: {_difference(record, reference)}"))
    elif full["reason"]:
        marks.append(footnotes.number(f"{column.label}: {full['reason']}"))
    if full["n_missing"] > 0:
        marks.append(footnotes.number(_coverage(column, record, decimals)))
    if _text(record.get("note")):
        marks.append(footnotes.number(f"{column.label}: {_text(record['note'])}"))
    return Cell(
        text=f"({fixed(value, decimals)})" if _number(record.get("best_of")) > 0 else fixed(value, decimals),
        interval=half_width(low, high, decimals),
        best=best,
        footnotes=tuple(marks),
        value=value,
        low=low,
        high=high,
        **full,
    )


def _why_missing(column: Column, record: Record) -> str:
    reason = _text(record["reason"]) or "no frame could be scored"
    if record["status"] == "failed":
        return f"failed: {reason}"
    if record.get("not_run") is True:
        # Of the method and not of the metric: said once for the whole row.
        return f"not run, {reason}"
    # "weights missing: <command>" says all there is to say, and the command can be copied.
    if reason.startswith("weights missing"):
        return f"{column.label}: {reason}"
    return f"{column.label}: skipped, {reason}"


def _coverage(column: Column, record: Record, decimals: int) -> str:
    n, n_missing = int(record["n"]), int(record["n_missing"])
    text = f"{column.label}: {100 * n / (n + n_missing):.1f} % of {n + n_missing} frames scored"
    worst = _number(record["worst_case"])
    if math.isnan(worst):
        return text
    unit = f" {column.unit}" if column.unit else ""
    return f"{text}; {fixed(worst, decimals)}{unit} if the others were as bad as can be"


def _difference(record: Record, reference: Record) -> str:
    """Why two values may not be compared, from what their records say."""
    if _text(record["reason"]):
        return _text(record["reason"])
    if bool(record["partial"]) != bool(reference["partial"]):
        missing = _text(record.get("incomplete"))
        if record["partial"] and missing:
            return f"from a partial split, n = {missing} clips"
        return "from a partial run" if record["partial"] else "from a full run, the others are partial"
    for name in ("resolution", "evaluator", "variant"):
        if record[name] != reference[name]:
            return f"{name} {record[name]}, the others {reference[name]}"
    return (
        "dataset version, split, precision or decoder differ "
        f"(comparability key {_text(record['key'])}, the others {_text(reference['key'])})"
    )


def _daggers(columns: tuple[Column, ...], by_column: dict[tuple[str, str], dict[Line, Record]]) -> list[str]:
    labels: dict[str, list[str]] = {}
    for column, entries in zip(columns, by_column.values(), strict=True):
        for text in dict.fromkeys(_standing(record) for record in entries.values()):
            if text:
                labels.setdefault(text, []).append(column.label)
    return [f"{', '.join(of)}: {text}" for text, of in labels.items()]


def _standing(record: Record) -> str:
    """Why a value does not stand beside published ones, empty where it does."""
    unverified = _text(record.get("unverified"))
    if unverified:
        return (
            f"measured with weights that are not the published ones ({unverified.replace(',', ', ')}, "
            "added with --unverified); not comparable with any other value"
        )
    if record["canonical"]:
        return ""
    return (
        f"measured with {_text(record['evaluator'])}, not with the evaluator of published values; "
        "comparable only with values of the same evaluator"
    )


def _variants(columns: tuple[Column, ...]) -> str:
    return "variants: " + ", ".join(
        f"{column.variant} ({column.unit})" if column.unit else column.variant for column in columns
    )


def _devices(costs: list[Record]) -> list[str]:
    devices = list(dict.fromkeys(_text(cost["device"]) for cost in costs if _text(cost["device"])))
    return [f"frames/s and peak memory measured on {' and '.join(devices)}"] if devices else []


def _cost_cells(costs: list[Record], lines: list[Line], footnotes: _Footnotes) -> list[list[Cell]]:
    spent = {(cost["method"], cost["run"]): cost for cost in costs}
    fields = (("fps", significant), ("parameters", counted), ("peak_memory_bytes", bytes_text))
    return [[_cost_cell(spent.get(line), name, show, footnotes) for line in lines] for name, show in fields]


def _cost_cell(cost: Record | None, name: str, show: Any, footnotes: _Footnotes) -> Cell:
    value = NAN if cost is None else _number(cost[name])
    if not math.isnan(value):
        return Cell(show(value), value=value)
    reason = "" if cost is None else _text(cost["reason"])
    status = "absent" if cost is None else cost["status"]
    marks = (footnotes.number(f"costs: {reason}"),) if reason else ()
    return Cell("-", footnotes=marks, status=status, reason=reason)


def _number(value: Any) -> float:
    return NAN if value is None else float(value)


def _text(value: Any) -> str:
    """Pandas turns absent texts into NaN."""
    return value if isinstance(value, str) else ""
