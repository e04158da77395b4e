"""A table for the terminal: aligned, cut into blocks where it is too wide."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from benchbed.tables.model import Table

GAP = "  "
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def terminal_text(table: Table, *, width: int | None, color: bool) -> str:
    """Aligned columns of plain text; see `benchbed.tables.render.render`."""
    methods = _names(table)
    first = max(len(name) for name in methods)
    columns = [_lines(position, table) for position in range(len(table.columns))]
    widths = [max(len(text) for text, _ in column) for column in columns]
    blocks = []
    for positions in _blocks(first, widths, width):
        lines = []
        for index, name in enumerate(methods):
            cells = [_aligned(*columns[position][index], widths[position], color) for position in positions]
            lines.append(GAP.join([name.ljust(first), *cells]).rstrip())
        lines.insert(
            1, GAP.join("-" * size for size in (first, *(widths[position] for position in positions)))
        )
        blocks.append("\n".join(lines))
    notes = [f"[{number}] {text}" for number, text in enumerate(table.footnotes, start=1)]
    notes += [f"† {text}" for text in table.daggers]
    notes += table.notes
    body = "\n\n".join(blocks)
    return "\n".join(
        [table.title, "", body, *([""] if notes else []), *(_wrapped(note, width) for note in notes)]
    )


def _names(table: Table) -> list[str]:
    """Header and names of the rows, the group's name in a column of its own where there are groups."""
    names = [table.stubs, *(table.names(row) for row in table.rows)]
    widths = [max(len(parts[index]) for parts in names) for index in range(len(table.stubs))]
    return [
        GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in names
    ]


def _lines(position: int, table: Table) -> list[tuple[str, bool]]:
    """Header and cells of a column, aligned at the numbers: text, and whether it is the best."""
    cells = [row.cells[position] for row in table.rows]
    number = max((len(cell.text) for cell in cells), default=0)
    interval = max((len(cell.interval) for cell in cells), default=0)
    noted = max((len(cell.marks) for cell in cells), default=0)
    lines = [(table.columns[position].full_header, False)]
    for cell in cells:
        parts = [cell.text.rjust(number)]
        parts += [cell.interval.ljust(interval)] if interval else []
        parts += [cell.marks.ljust(noted)] if noted else []
        lines.append((" ".join(parts), cell.best))
    return lines


def _aligned(text: str, best: bool, width: int, color: bool) -> str:
    padded = text.rjust(width)
    if not (best and color):
        return padded
    stripped = padded.lstrip()
    return f"{padded[: len(padded) - len(stripped)]}{BOLD}{stripped}{PLAIN}"


def _blocks(first: int, widths: Sequence[int], width: int | None) -> list[list[int]]:
    """Positions of the columns of each block; a block has at least one column."""
    blocks: list[list[int]] = [[]]
    used = first
    for position, size in enumerate(widths):
        if width is not None and blocks[-1] and used + len(GAP) + size > width:
            blocks.append([])
            used = first
        blocks[-1].append(position)
        used += len(GAP) + size
    return blocks


def _wrapped(note: str, width: int | None) -> str:
    if width is None or len(note) <= width:
        return note
    # Commands in a note are copied by the reader: no breaks inside words or at hyphens.
    return textwrap.fill(
        note, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
