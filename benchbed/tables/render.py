"""Tables as text: terminal, Markdown, CSV, LaTeX, HTML."""

from __future__ import annotations

import csv
import io
import math

from benchbed.tables.html import html_text
from benchbed.tables.latex import latex_text
from benchbed.tables.model import Cell, Table
from benchbed.tables.terminal import terminal_text

FORMATS = ("terminal", "markdown", "csv", "latex", "html")


def render(table: Table, format: str, *, width: int | None = None, color: bool = False) -> str:
    """The table as text, without a final line break.

    Args:
        format: `terminal`, `markdown`, `csv`, `latex` or `html`.
        width: columns of the terminal; a wider table is cut into blocks that repeat the methods; None: no limit.
        color: mark the best values in bold by ANSI codes (terminal only).

    Raises:
        ValueError: another format.
    """
    if format == "terminal":
        return terminal_text(table, width=width, color=color)
    writers = {"markdown": _markdown, "csv": _csv, "latex": latex_text, "html": html_text}
    if format not in writers:
        raise ValueError(f"unknown table format '{format}'; known: {', '.join(FORMATS)}")
    return writers[format](table)


def _markdown(table: Table) -> str:
    heads = [*table.stubs, *(column.full_header for column in table.columns)]
    lines = [f"**{_escape(table.title)}**", "", _markdown_row([_escape(head) for head in heads])]
    lines.append(_markdown_row([*(":--" for _ in table.stubs), *("--:" for _ in table.columns)]))
    for row in table.rows:
        names = [_escape(name) for name in table.names(row)]
        lines.append(_markdown_row([*names, *(_markdown_cell(cell) for cell in row.cells)]))
    notes = [f"[{number}] {text}" for number, text in enumerate(table.footnotes, start=1)]
    notes += [f"† {text}" for text in table.daggers]
    notes += table.notes
    for note in notes:
        lines += ["", _escape(note)]
    return "\n".join(lines)


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: Cell) -> str:
    number = f"**{cell.text}**" if cell.best else cell.text
    return " ".join(part for part in (number, cell.interval, _escape(cell.marks)) if part)


def _escape(text: str) -> str:
    for letter in "\\|*_`<[]":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("\n", " ")


def _csv(table: Table) -> str:
    """One line per method, in full precision; per metric its value, bounds, counts, status, reason, variant, key."""
    if table.verbatim:
        return _verbatim_csv(table)
    heads = ["method", "dataset", "protocol", "transfer"]
    for column in table.columns:
        heads.append(column.id)
        if column.variant:
            heads += [f"{column.id}.{part}" for part in ("low", "high", "n", "n_missing")]
            heads += [f"{column.id}.{part}" for part in ("status", "reason", "variant", "key")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in table.rows:
        line = [row.method, table.dataset, table.protocol, table.transfer]
        for column, cell in zip(table.columns, row.cells, strict=True):
            line.append(_full(cell.value))
            if column.variant:
                line += [_full(cell.low), _full(cell.high), str(cell.n), str(cell.n_missing)]
                line += [cell.status, cell.reason, column.variant, cell.key]
        writer.writerow(line)
    return text.getvalue().removesuffix("\n")


def _verbatim_csv(table: Table) -> str:
    """One line per row, cells as shown; a column with footnotes is followed by their texts."""
    noted = [
        any(row.cells[position].footnotes for row in table.rows) for position in range(len(table.columns))
    ]
    heads = [*table.stubs]
    for column, notes in zip(table.columns, noted, strict=True):
        heads += [column.full_header, f"{column.full_header}.notes"] if notes else [column.full_header]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in table.rows:
        line = [*table.names(row)]
        for cell, notes in zip(row.cells, noted, strict=True):
            texts = "; ".join(table.footnotes[number - 1] for number in cell.footnotes)
            line += [cell.text, texts] if notes else [cell.text]
        writer.writerow(line)
    return text.getvalue().removesuffix("\n")


def _full(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
