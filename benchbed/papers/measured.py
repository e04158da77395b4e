"""A published table with what runs measured below each printed row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchbed.papers.layout import Layout, LayoutRow, PrintedCell
from benchbed.papers.matching import Measured, match
from benchbed.papers.printed import CellKey, PrintedValue
from benchbed.papers.regenerate import Footnotes, assemble, printed_rows
from benchbed.tables.model import Cell, Row, Table
from benchbed.tracking.runs import StoredRun


def measured_table(layout: Layout, runs: Sequence[StoredRun]) -> Table:
    """The printed table; below each row what was measured and by how much it differs from the print.

    Measured values have one digit more than the print, and footnotes for all that differs (resolution, evaluator,
    split, data set, weights). `-` where nothing comparable was measured.
    """
    footnotes = Footnotes()
    printed, notes = printed_rows(layout, footnotes)
    rows: list[Row] = []
    for row, shown in zip(layout.rows, printed, strict=True):
        rows.append(shown)
        cells = [layout.cell(row, column) for column in layout.columns]
        answers = [(run, _answers(cells, run)) for run in runs]
        telling = [(run, found) for run, found in answers if any(m.record for m in found.values())]
        if not telling:
            rows.append(_empty_row(row, cells, [found for _, found in answers], footnotes))
        for run, found in telling:
            name = f" ({run.id})" if len(runs) > 1 else ""
            rows.append(_measured_row(row, f"  measured{name}", cells, found, footnotes))
            rows.append(_difference_row(row, cells, found))
    return assemble(layout, rows, footnotes, [*_run_notes(runs), *notes])


def _answers(cells: Sequence[PrintedCell], run: StoredRun) -> dict[CellKey, Measured]:
    return {value.key: match(value.key, run) for cell in cells for value in cell.values}


def _empty_row(
    row: LayoutRow, cells: Sequence[PrintedCell], found: list[dict[CellKey, Measured]], footnotes: Footnotes
) -> Row:
    """Nothing measured; where the method was run in another way, why that does not count."""
    shown = []
    for cell in cells:
        reasons = [answers[value.key].reason for answers in found for value in cell.values]
        shown.append(Cell("-", footnotes=footnotes.numbers(filter(None, reasons)), status="absent"))
    return Row("  measured", tuple(shown), row.group)


def _measured_row(
    row: LayoutRow,
    label: str,
    cells: Sequence[PrintedCell],
    found: dict[CellKey, Measured],
    footnotes: Footnotes,
) -> Row:
    shown = []
    for cell in cells:
        answers = [found[value.key] for value in cell.values]
        texts = {
            value.key: number_text(found[value.key].value, value)
            for value in cell.values
            if found[value.key].record is not None
        }
        remarks = [text for answer in answers for text in (*answer.differences, answer.reason) if text]
        value = answers[0].value if len(answers) == 1 else math.nan
        shown.append(Cell(cell.text(texts), footnotes=footnotes.numbers(remarks), value=value))
    return Row(label, tuple(shown), row.group)


def _difference_row(row: LayoutRow, cells: Sequence[PrintedCell], found: dict[CellKey, Measured]) -> Row:
    shown = []
    for cell in cells:
        texts = {
            value.key: difference_text(found[value.key].value, value)
            for value in cell.values
            if found[value.key].record is not None and value.digits
        }
        shown.append(Cell(cell.text(texts)))
    return Row("  difference", tuple(shown), row.group)


def number_text(value: float, printed: PrintedValue) -> str:
    """A measured number with one decimal more than the print."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:.{(printed.decimals or 3) + 1}f}"


def difference_text(value: float, printed: PrintedValue) -> str:
    """Measured minus printed, signed, with one decimal more than the print."""
    if not math.isfinite(value):
        return "-"
    text = f"{value - printed.value:+.{printed.decimals + 1}f}"
    return text[1:] if float(text) == 0 else text


def _run_notes(runs: Sequence[StoredRun]) -> list[str]:
    notes = []
    for run in runs:
        for dataset in run.unpublished:
            notes.append(
                f"{run.id}: data set '{dataset}' is in no paper's table: its values measure none of the printed cells"
            )
    notes.append(
        f"measured in {', '.join(run.id for run in runs)}; difference: measured minus printed; '-': nothing comparable "
        "was measured"
    )
    return notes
