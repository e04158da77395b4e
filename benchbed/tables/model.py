"""What a table is, before it becomes text."""

from __future__ import annotations

from dataclasses import dataclass

NAN = float("nan")


@dataclass(frozen=True)
class Column:
    """One metric variant, or one cost.

    Args:
        id: unique in the table: the metric's name, or the variant's where the metric has several columns.
        label: the header, without arrow and dagger.
        direction: `lower`, `higher`, or empty for a cost, which is not ranked.
        dagger: the evaluator is not the one published values use.
        unit: of the values, may be empty.
        variant: id and version of the metric variant, empty for costs.
        group: header over this column and its neighbours of the same group, may be empty.
    """

    id: str
    label: str
    direction: str = ""
    dagger: bool = False
    unit: str = ""
    variant: str = ""
    group: str = ""

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑"}.get(self.direction, "")

    @property
    def header(self) -> str:
        """The header as text: `FID† ↓`."""
        return f"{self.label}{'†' if self.dagger else ''} {self.arrow}".strip()

    @property
    def full_header(self) -> str:
        """The header with its group's, for formats with one line of headers."""
        return f"{self.group} {self.header}".strip()


@dataclass(frozen=True)
class Cell:
    """One value as shown and in full.

    Args:
        text: the shown number, `-` where there is none.
        interval: `± half-width` as shown, may be empty.
        best: the best of its column among the rows that may be ranked together.
        footnotes: numbers into the table's footnotes, from 1.
        value, low, high: full precision, NaN where there is none.
        n, n_missing: what was scored and what could not be.
        status: `ok`, `skipped`, `failed` or `absent`.
        reason: why there is no value.
        key: comparability key.
    """

    text: str
    interval: str = ""
    best: bool = False
    footnotes: tuple[int, ...] = ()
    value: float = NAN
    low: float = NAN
    high: float = NAN
    n: int = 0
    n_missing: int = 0
    status: str = "ok"
    reason: str = ""
    key: str = ""

    @property
    def marks(self) -> str:
        """The footnote numbers as text: `[1] [3]`."""
        return " ".join(f"[{number}]" for number in self.footnotes)


@dataclass(frozen=True)
class Row:
    """One method; a cell per column.

    Args:
        group: what several rows belong to (a data set), shown before the method; may be empty.
    """

    method: str
    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class Table:
    """Methods over metrics on one dataset under one protocol and transfer.

    Args:
        title: says what was measured, and marks a partial run.
        footnotes: numbered from 1; cells refer to them.
        daggers: what the † in a header means, a sentence per column.
        notes: what else a reader has to know; the variant ids come first.
        stub: header of the row names.
        group_stub: header of the row groups; empty where there are none.
        setting: of the protocol (`reconstruction N_ref=3`), empty where it has one only.
        verbatim: cells are shown as they are in every format, CSV too (published tables keep printed digits).
    """

    dataset: str
    protocol: str
    transfer: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    footnotes: tuple[str, ...] = ()
    daggers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stub: str = "method"
    group_stub: str = ""
    verbatim: bool = False
    setting: str = ""

    @property
    def stubs(self) -> tuple[str, ...]:
        """Headers of what stands before the cells: the group where there is one, and the row's name."""
        return (self.group_stub, self.stub) if self.group_stub else (self.stub,)

    def names(self, row: Row) -> tuple[str, ...]:
        """What stands before a row's cells."""
        return (row.group, row.method) if self.group_stub else (row.method,)

    @property
    def name(self) -> str:
        """A file name for the table, without ending."""
        text = "-".join(part for part in (self.protocol, self.dataset, self.transfer, self.setting) if part)
        return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
