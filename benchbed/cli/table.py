"""`benchbed table`: the tables of stored runs, in any format."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from benchbed.errors import BenchbedError


@click.command("table")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["terminal", "markdown", "csv", "latex", "html"]),
    default="terminal",
    show_default=True,
)
def table_command(runs: tuple[Path, ...], format_: str) -> None:
    """Print the tables of RUNS (folders below `runs/`).

    Rows of several runs meet in one table; numbers whose comparability keys differ are shown apart.
    """
    import pandas as pd

    from benchbed.tables.build import build_tables
    from benchbed.tables.render import render

    aggregates, costs, notes = [], [], []
    for folder in runs:
        if not (folder / "aggregate.parquet").exists():
            raise BenchbedError(
                f"'{folder}' is not a finished run; give a folder that `benchbed run` printed after 'results:'"
            )
        # With several runs the tables name the run beside the method.
        label = {"run": folder.name} if len(runs) > 1 else {}
        aggregates.append(pd.read_parquet(folder / "aggregate.parquet").assign(**label))
        costs.append(pd.read_parquet(folder / "costs.parquet").assign(**label))
        notes += _notes(folder)
    tables = build_tables(
        pd.concat(aggregates, ignore_index=True),
        pd.concat(costs, ignore_index=True),
        list(dict.fromkeys(notes)),
    )
    width = shutil.get_terminal_size((160, 24)).columns
    for table in tables:
        click.echo(render(table, format_, width=width, color=format_ == "terminal" and sys.stdout.isatty()))


def _notes(folder: Path) -> list[str]:
    path = folder / "tables" / "notes.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
