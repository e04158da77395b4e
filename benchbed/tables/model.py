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
    """

    id: str
    label: str
    direction: str = ""
    dagger: bool = False
    unit: str = ""
    variant: str = ""

    @property
    def arrow(self) -> str:
        return {"lower": "↓", "higher": "↑"}.get(self.direction, "")

    @property
    def header(self) -> str:
        """The header as text: `FID† ↓`."""
        return f"{self.label}{'†' if self.dagger else ''} {self.arrow}".strip()


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
    """One method; a cell per column."""

    method: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Methods over metrics on one dataset under one protocol and transfer.

    Args:
        title: says what was measured, and marks a partial run.
        footnotes: numbered from 1; cells refer to them.
        daggers: what the † in a header means, a sentence per column.
        notes: what else a reader has to know; the variant ids come first.
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

    @property
    def name(self) -> str:
        """A file name for the table, without ending."""
        text = f"{self.protocol}-{self.dataset}-{self.transfer}"
        return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)
