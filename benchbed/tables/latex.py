"""A table for a paper: LaTeX with booktabs."""

from __future__ import annotations

from benchbed.tables.model import Cell, Column, Table

ARROWS = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}


def latex_text(table: Table) -> str:
    """A `table` environment that needs only the package booktabs."""
    heads = " & ".join(["method", *(_header(column) for column in table.columns)])
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        rf"{heads} \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = " & ".join([escape(row.method), *(_cell(cell) for cell in row.cells)])
        lines.append(rf"{cells} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [rf"\textsuperscript{{{n}}} {escape(text)}" for n, text in enumerate(table.footnotes, start=1)]
    notes += [rf"$^\dagger$ {escape(text)}" for text in table.daggers]
    notes += [escape(text) for text in table.notes]
    if notes:
        lines += [r"\par\footnotesize\raggedright", *(rf"{note}\par" for note in notes)]
    lines.append(r"\end{table}")
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(SPECIAL.get(letter, letter) for letter in text.replace("\n", " "))


def _header(column: Column) -> str:
    dagger = r"$^\dagger$" if column.dagger else ""
    return f"{escape(column.label)}{dagger} {ARROWS.get(column.direction, '')}".strip()


def _cell(cell: Cell) -> str:
    number = rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    interval = f" {escape(cell.interval)}" if cell.interval else ""
    noted = ",".join(str(number) for number in cell.footnotes)
    return f"{number}{interval}" + (rf"\textsuperscript{{{noted}}}" if noted else "")
