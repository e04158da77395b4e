"""A table for a paper: LaTeX with booktabs."""

from __future__ import annotations

from itertools import groupby

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
    heads = " & ".join(
        [*(escape(stub) for stub in table.stubs), *(_header(column) for column in table.columns)]
    )
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.stubs)}{'r' * len(table.columns)}}}",
        r"\toprule",
        *_group_headers(table),
        rf"{heads} \\",
        r"\midrule",
    ]
    above = table.rows[0].group if table.rows else ""
    for index, row in enumerate(table.rows):
        if row.group != above:
            lines.append(r"\midrule")
        names = [escape(name) for name in table.names(row)]
        if table.group_stub and index > 0 and row.group == above:
            names[0] = ""  # the group is named in its first row
        above = row.group
        cells = " & ".join([*names, *(_cell(cell) for cell in row.cells)])
        lines.append(rf"{cells} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [rf"\textsuperscript{{{n}}} {escape(text)}" for n, text in enumerate(table.footnotes, start=1)]
    notes += [rf"$^\dagger$ {escape(text)}" for text in table.daggers]
    notes += [escape(text) for text in table.notes]
    if notes:
        lines += [r"\par\footnotesize\raggedright", *(rf"{note}\par" for note in notes)]
    lines.append(r"\end{table}")
    return "\n".join(lines)


def _group_headers(table: Table) -> list[str]:
    """The line of headers over groups of columns and the rules below them; nothing where there are no groups."""
    if not any(column.group for column in table.columns):
        return []
    heads, rules = ["" for _ in table.stubs], []
    first = len(table.stubs) + 1
    for group, columns in groupby(table.columns, key=lambda column: column.group):
        width = len(list(columns))
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{first}-{first + width - 1}}}"] if group else []
        first += width
    return [rf"{' & '.join(heads)} \\", " ".join(rules)]


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
