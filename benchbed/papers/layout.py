"""How each published table is laid out: rows, columns, header words, values that share a cell."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from benchbed.errors import UnknownNameError
from benchbed.papers.printed import TITLES, CellKey, PrintedValue, printed_values, published_file
from benchbed.registry import unknown_name


@dataclass(frozen=True)
class LayoutColumn:
    """One printed column.

    Args:
        group: header over several columns, may be empty.
        head: its own header word.
        metrics: whose values stand in its cells, in this order.
        form: how they share a cell (`({}, {})`).
        dataset, protocol: what they are of; empty where the row says it.
    """

    group: str
    head: str
    metrics: tuple[str, ...]
    form: str
    dataset: str
    protocol: str


@dataclass(frozen=True)
class LayoutRow:
    """One printed row.

    Args:
        group: what several rows belong to as printed (`VoxCeleb (507)`), may be empty.
        label: as printed (`Ours`).
        entries: (method, variant) whose values stand in its cells, in this order.
        form: how they share a cell (`{} ({})`).
        dataset: what they are of; empty where the column says it.
    """

    group: str
    label: str
    entries: tuple[tuple[str, str], ...]
    form: str
    dataset: str


@dataclass(frozen=True)
class PrintedCell:
    """One cell of the print.

    Args:
        entries: per entry of the row the values of the column's metrics; entries without values on record are
            left out.
        metric_form, entry_form: how values, and entries, share the cell.
    """

    entries: tuple[tuple[PrintedValue, ...], ...]
    metric_form: str
    entry_form: str

    @property
    def values(self) -> tuple[PrintedValue, ...]:
        return tuple(value for entry in self.entries for value in entry)

    def text(self, shown: dict[CellKey, str] | None = None) -> str:
        """The cell as printed, or with other texts in the values' places (`-` where there is none)."""
        texts = [
            _joined(self.metric_form, [_shown(value, shown) for value in entry]) for entry in self.entries
        ]
        return _joined(self.entry_form, texts) if len(texts) > 1 else texts[0]


@dataclass(frozen=True)
class Layout:
    """One published table without its values."""

    paper: str
    number: str
    title: str
    columns: tuple[LayoutColumn, ...]
    rows: tuple[LayoutRow, ...]
    exceptions: dict[tuple[str, str, str], str]

    def cell(self, row: LayoutRow, column: LayoutColumn) -> PrintedCell:
        """The cell where a row and a column meet.

        Raises:
            KeyError: the layout names a value that is not on record.
        """
        values = printed_values(self.paper)
        entries: list[tuple[PrintedValue, ...]] = []
        for method, variant in row.entries:
            keys = [
                CellKey(
                    self.paper,
                    self.number,
                    column.protocol,
                    row.dataset or column.dataset,
                    method,
                    variant,
                    metric,
                )
                for metric in column.metrics
            ]
            if entries and not any(key in values for key in keys):
                continue  # beside the plain value no second one is printed
            entries.append(tuple(values[key] for key in keys))
        form = self.exceptions.get((row.group, row.label, column.head), column.form)
        return PrintedCell(tuple(entries), form, row.form)


def layouts(paper: str) -> list[Layout]:
    """The tables of a paper, in printed order.

    Raises:
        UnknownNameError: no such paper.
    """
    if paper not in TITLES:
        raise UnknownNameError(unknown_name("paper", paper, list(TITLES)))
    return [layout for layout in _all_layouts() if layout.paper == paper]


def layout_of(paper: str, number: str) -> Layout:
    """One table of a paper.

    Raises:
        UnknownNameError: no such paper, or no such table in it.
    """
    found = {layout.number: layout for layout in layouts(paper)}
    if number not in found:
        raise UnknownNameError(
            f"paper '{paper}' has no quantitative table '{number}'; known: {', '.join(found)}"
        )
    return found[number]


@lru_cache(maxsize=1)
def _all_layouts() -> tuple[Layout, ...]:
    data = tomllib.loads(published_file("layouts.toml").read_text(encoding="utf-8"))
    return tuple(_layout(entry, data["forms"]) for entry in data["table"])


def _layout(entry: dict[str, Any], forms: dict[str, Any]) -> Layout:
    columns = [
        LayoutColumn(
            group=group.get("head", ""),
            head=head,
            metrics=tuple(forms[head]["metrics"]) if head in forms else (head,),
            form=forms[head]["form"] if head in forms else "{}",
            dataset=group.get("dataset", ""),
            protocol=group.get("protocol", "reconstruction"),
        )
        for group in entry["column_group"]
        for head in group["columns"]
    ]
    rows = [
        LayoutRow(
            group=group.get("head", ""),
            label=row["label"],
            entries=tuple((method, variant) for method, variant in row["entries"])
            if "entries" in row
            else ((row["method"], row.get("variant", "")),),
            form=row.get("form", "{}"),
            dataset=group.get("dataset", ""),
        )
        for group in entry["row_group"]
        for row in group["rows"]
    ]
    exceptions = {
        (cell["row_group"], cell["row"], cell["column"]): cell["form"] for cell in entry.get("exception", ())
    }
    return Layout(entry["paper"], entry["number"], entry["title"], tuple(columns), tuple(rows), exceptions)


def _shown(value: PrintedValue, shown: dict[CellKey, str] | None) -> str:
    return value.text if shown is None else shown.get(value.key, "-")


def _joined(form: str, texts: list[str]) -> str:
    """Texts in their form; where all of them are the same placeholder, that alone."""
    if set(texts) in ({"-"}, {"N/A"}):
        return texts[0]
    return form.format(*texts)
