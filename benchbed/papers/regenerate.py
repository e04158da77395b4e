"""A published table as it is printed, with the notes its cells need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchbed.papers.disagreements import causes, contradictions, table_contradictions
from benchbed.papers.layout import Layout, LayoutColumn, LayoutRow, PrintedCell
from benchbed.papers.printed import TITLES, CellKey, PrintedValue
from benchbed.tables.model import Cell, Column, Row, Table

Cells = dict[tuple[LayoutRow, LayoutColumn], PrintedCell]


class Footnotes:
    """Numbered footnotes; the same text keeps its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def numbers(self, texts: Iterable[str]) -> tuple[int, ...]:
        found = []
        for text in dict.fromkeys(texts):
            if text not in self.texts:
                self.texts.append(text)
            found.append(self.texts.index(text) + 1)
        return tuple(found)


def published_table(layout: Layout) -> Table:
    """The table with its printed rows, columns, digits and parentheses.

    A note of all cells of the table, or of all cells of a row or column, is said once below; a note of single cells is
    a footnote. Cells that contradict another paper or themselves carry it too.
    """
    footnotes = Footnotes()
    rows, notes = printed_rows(layout, footnotes)
    return assemble(layout, rows, footnotes, notes)


def printed_rows(layout: Layout, footnotes: Footnotes) -> tuple[list[Row], list[str]]:
    """The printed rows, and the notes below them."""
    cells = {(row, column): layout.cell(row, column) for row in layout.rows for column in layout.columns}
    common = _common_remarks(layout, cells)
    rows = [
        Row(
            row.label,
            tuple(
                _printed_cell(cells[row, column], _own_remarks(cells[row, column], common), footnotes)
                for column in layout.columns
            ),
            row.group,
        )
        for row in layout.rows
    ]
    return rows, _notes(layout, cells, common)


def assemble(layout: Layout, rows: list[Row], footnotes: Footnotes, notes: list[str]) -> Table:
    """The table of given rows under the layout's columns."""
    return Table(
        dataset="",
        protocol=layout.paper,
        transfer=layout.number,
        title=f"{layout.paper}, table {layout.number}: {layout.title}",
        columns=tuple(
            Column(f"{column.group} {column.head}".strip(), column.head, group=column.group)
            for column in layout.columns
        ),
        rows=tuple(rows),
        footnotes=tuple(footnotes.texts),
        notes=tuple(notes),
        group_stub="data set" if any(row.group for row in layout.rows) else "",
        verbatim=True,
    )


def _printed_cell(cell: PrintedCell, remarks: Iterable[str], footnotes: Footnotes) -> Cell:
    """A cell as printed, with its remarks as footnotes."""
    single = cell.values[0].value if len(cell.values) == 1 else float("nan")
    return Cell(cell.text(), footnotes=footnotes.numbers(remarks), value=single)


@dataclass(frozen=True)
class CommonRemark:
    """A remark that all values of a table, row or column share: said once, and not again at the cells.

    Args:
        places: rows and columns where it holds; empty: everywhere.
        keys: the values it was taken from.
    """

    text: str
    places: tuple[str, ...]
    keys: frozenset[CellKey]

    def __str__(self) -> str:
        return f"{'; '.join(self.places)}: {self.text}" if self.places else self.text


def _common_remarks(layout: Layout, cells: Cells) -> dict[str, CommonRemark]:
    slices: list[tuple[str, list[PrintedValue]]] = [("", [v for cell in cells.values() for v in cell.values])]
    for row in layout.rows:
        name = f"{row.group} {row.label}".strip()
        slices.append((name, [v for column in layout.columns for v in cells[row, column].values]))
    for column in layout.columns:
        name = f"{column.group} {column.head}".strip()
        slices.append((name, [v for row in layout.rows for v in cells[row, column].values]))
    common: dict[str, CommonRemark] = {}
    for place, values in slices:
        keys = frozenset(value.key for value in values)
        shared = set.intersection(*(set(value.remarks) for value in values)) if len(values) > 2 else set()
        for text in sorted(shared):
            known = common.get(text, CommonRemark(text, (), frozenset()))
            if not keys <= known.keys:
                places = (*known.places, place) if place else known.places
                common[text] = CommonRemark(text, places, known.keys | keys)
    return common


def _own_remarks(cell: PrintedCell, common: dict[str, CommonRemark]) -> list[str]:
    """A sentence per remark of the cell; the metric is named where only one of several has it."""
    holders: dict[str, list[str]] = {}
    metrics = list(dict.fromkeys(value.key.metric for value in cell.values))
    for value in cell.values:
        own = [r for r in value.remarks if r not in common or value.key not in common[r].keys]
        # Parts of one note refer to each other: they stay one footnote.
        for text in ["; ".join(own)] if own else []:
            holders.setdefault(text, []).append(value.key.metric)
    remarks = [
        text if set(names) == set(metrics) else f"{' and '.join(names)}: {text}"
        for text, names in holders.items()
    ]
    return remarks + [text for value in cell.values for text in contradictions(value.key)]


def _notes(layout: Layout, cells: Cells, common: dict[str, CommonRemark]) -> list[str]:
    notes = [f"values as printed in: {TITLES[layout.paper]}"]
    notes += [str(remark) for remark in common.values()]
    notes += table_contradictions(layout.paper, layout.number)
    if any(contradictions(value.key) for cell in cells.values() for value in cell.values):
        notes.append(f"papers disagree because of {causes()}")
    return notes
