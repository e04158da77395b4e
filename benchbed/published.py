"""Which metric variant and evaluator each column of the papers' tables used, as far as it can be known."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

CERTAINTIES = {
    "stated": "stated in the paper",
    "script": "the paper follows the field's released script",
    "assumed": "partly assumed",
}


@dataclass(frozen=True)
class PublishedColumn:
    """One metric's column in some tables of one paper.

    Args:
        paper: as in the published CSV files (`dime`).
        tables: numbers of the tables.
        protocols: protocols of the rows (`reconstruction`, `animation`, ...).
        datasets: normalised dataset names; empty where all of the table's.
        printed: the metric as printed (`AKD`).
        metric: registered name (`akd`).
        variant: id of the metric variant, without version.
        evaluator: registered evaluator; empty where the metric needs none or benchbed has none like it.
        certainty: a key of `CERTAINTIES`.
        note: what else is known, may be empty.
    """

    paper: str
    tables: tuple[str, ...]
    protocols: tuple[str, ...]
    datasets: tuple[str, ...]
    printed: str
    metric: str
    variant: str
    evaluator: str
    certainty: str
    note: str

    def __str__(self) -> str:
        where = f" ({', '.join(self.datasets)})" if self.datasets else ""
        by = f" by {self.evaluator}" if self.evaluator else ""
        note = f"; {self.note}" if self.note else ""
        tables = ", ".join(self.tables)
        return (
            f"{self.paper} table {tables}, {', '.join(self.protocols)}{where}: {self.printed} = "
            f"{self.variant}{by}, {CERTAINTIES[self.certainty]}{note}"
        )


def column_of(paper: str, table: str, protocol: str, dataset: str, printed: str) -> PublishedColumn | None:
    """The column that a printed value stands in; None where no metric is printed (a user study)."""
    for column in published_columns():
        if (
            column.paper == paper
            and table in column.tables
            and protocol in column.protocols
            and printed == column.printed
            and (not column.datasets or dataset in column.datasets)
        ):
            return column
    return None


@lru_cache(maxsize=1)
def published_columns() -> tuple[PublishedColumn, ...]:
    """All columns of the published tables, in the order of the data file."""
    text = files("benchbed.results").joinpath("published", "columns.toml").read_text(encoding="utf-8")
    return tuple(
        PublishedColumn(
            paper=entry["paper"],
            tables=tuple(entry["tables"]),
            protocols=tuple(entry["protocols"]),
            datasets=tuple(entry.get("datasets", ())),
            printed=entry["printed"],
            metric=entry["variant"].partition("/")[0],
            variant=entry["variant"],
            evaluator=entry["evaluator"],
            certainty=entry["certainty"],
            note=entry.get("note", ""),
        )
        for entry in tomllib.loads(text)["column"]
    )
