"""A table for a page: plain HTML."""

from __future__ import annotations

from html import escape
from itertools import groupby

from benchbed.tables.model import Cell, Table


def html_text(table: Table) -> str:
    """A `table` element and its notes; every text is escaped."""
    heads = "".join(
        f'<th scope="col">{escape(text)}</th>'
        for text in [*table.stubs, *(column.header for column in table.columns)]
    )
    lines = [
        '<table class="benchbed">',
        f"<caption>{escape(table.title)}</caption>",
        f"<thead>{_group_headers(table)}<tr>{heads}</tr></thead>",
        "<tbody>",
    ]
    for row in table.rows:
        cells = "".join(f"<td>{_cell(cell)}</td>" for cell in row.cells)
        names = "".join(f'<th scope="row">{escape(name)}</th>' for name in table.names(row))
        lines.append(f"<tr>{names}{cells}</tr>")
    lines += ["</tbody>", "</table>"]
    notes = [f"<sup>{number}</sup> {escape(text)}" for number, text in enumerate(table.footnotes, start=1)]
    notes += [f"† {escape(text)}" for text in table.daggers]
    notes += [escape(text) for text in table.notes]
    return "\n".join([*lines, *(f'<p class="note">{note}</p>' for note in notes)])


def _group_headers(table: Table) -> str:
    """The row of headers over groups of columns, empty where there are no groups."""
    if not any(column.group for column in table.columns):
        return ""
    heads = "".join(
        f'<th scope="colgroup" colspan="{len(list(columns))}">{escape(group)}</th>'
        for group, columns in groupby(table.columns, key=lambda column: column.group)
    )
    return f"<tr>{'<td></td>' * len(table.stubs)}{heads}</tr>"


def _cell(cell: Cell) -> str:
    number = f"<strong>{escape(cell.text)}</strong>" if cell.best else escape(cell.text)
    interval = f" {escape(cell.interval)}" if cell.interval else ""
    noted = ",".join(str(number) for number in cell.footnotes)
    return f"{number}{interval}" + (f"<sup>{noted}</sup>" if noted else "")
