"""`benchbed table`: the tables of stored runs, and the papers' tables with what was measured beside them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbed.errors import BenchbedError

if TYPE_CHECKING:
    from benchbed.tables.model import Table

FORMATS = ["terminal", "markdown", "csv", "latex", "html"]


@click.command("table")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--paper", help="A paper's tables instead: mofd, anytime, dime, lia. Alone it lists them.")
@click.option("--table", "number", help="Number of the paper's table.")
@click.option(
    "--measured",
    multiple=True,
    metavar="RUN",
    help="Show below each printed row what this run measured and the difference; a folder, or an id below runs/. "
    "Repeatable.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="With --measured: average the run's per-frame rows in every known way and name the smallest set of switches "
    "that gives the printed value.",
)
@click.option(
    "--coverage",
    is_flag=True,
    help="Count which printed values could be reproduced with the data and weights present; of one paper or table "
    "with --paper and --table.",
)
@click.option("-v", "--verbose", is_flag=True, help="With --coverage: what each value lacks.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="PATH",
    help="With --coverage: a folder of a papers' data set, known by its name (voxceleb, taichi-hd, ...). Repeatable.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="METHOD=FILE",
    help="With --coverage: weights of a method, as released or trained here. Repeatable.",
)
@click.option(
    "--by",
    type=click.Choice(["motion", "distance"]),
    help="Of one run: every metric by quarters of the frames, from little motion to much, or from near the first frame "
    "to far; and the curves as a figure.",
)
@click.option("--format", "format_", type=click.Choice(FORMATS), default="terminal", show_default=True)
def table_command(
    runs: tuple[Path, ...],
    paper: str | None,
    number: str | None,
    measured: tuple[str, ...],
    explain: bool,
    coverage: bool,
    verbose: bool,
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    by: str | None,
    format_: str,
) -> None:
    """Print the tables of RUNS (folders below `runs/`), or a paper's.

    Rows of several runs meet in one table; numbers whose comparability keys differ are shown apart.

    \b
    benchbed table runs/ID                                   a run's tables
    benchbed table runs/ID --by motion                       where the large displacements are
    benchbed table --paper dime                              the tables of a paper
    benchbed table --paper dime --table 1                    one of them, as printed
    benchbed table --paper dime --table 1 --measured RUN     with what was measured below each row
    benchbed table --paper dime --table 1 --measured RUN --explain
    benchbed table --coverage -v                             what could be reproduced here, and what is missing
    """
    _check(runs, paper, number, measured, explain, coverage, verbose, bool(datasets or checkpoints))
    if by is not None:
        _by_difficulty(runs, by, format_)
    elif coverage:
        _coverage(paper, number, datasets, checkpoints, verbose, format_)
    elif paper is not None and number is not None:
        _published(paper, number, measured, explain, format_)
    elif paper is not None:
        _list(paper)
    else:
        _stored(runs, format_)


def _check(
    runs: tuple[Path, ...],
    paper: str | None,
    number: str | None,
    measured: tuple[str, ...],
    explain: bool,
    coverage: bool,
    verbose: bool,
    named: bool,
) -> None:
    """Options that belong together, before anything is read."""
    if number is not None and paper is None:
        raise click.UsageError("--table is a paper's; add --paper PAPER")
    if not runs and paper is None and not coverage:
        raise click.UsageError("give RUNS (folders below runs/), --paper PAPER, or --coverage")
    if runs and (paper is not None or coverage):
        raise click.UsageError("RUNS have their own tables; put a run beside a paper's with --measured RUN")
    if measured and (number is None or coverage):
        raise click.UsageError("--measured goes with one table; add --paper PAPER --table NUMBER")
    if explain and not measured:
        raise click.UsageError("--explain compares with a run; add --measured RUN")
    if (verbose or named) and not coverage:
        raise click.UsageError("-v, --dataset and --checkpoint belong to --coverage; add it")


def _list(paper: str) -> None:
    from benchbed.papers.layout import layouts
    from benchbed.papers.printed import TITLES, printed_values

    found = layouts(paper)
    click.echo(f"{paper}: {TITLES[paper]}")
    for layout in found:
        values = [value for key, value in printed_values(paper).items() if key.table == layout.number]
        empty = sum(not value.digits for value in values)
        counts = f"{len(values) - empty} values" + (f", {empty} printed as - or N/A" if empty else "")
        click.echo(f"  table {layout.number}  {layout.title} ({counts})")


def _published(paper: str, number: str, measured: tuple[str, ...], explain: bool, format_: str) -> None:
    from benchbed.papers.explaining import explanation_table
    from benchbed.papers.layout import layout_of
    from benchbed.papers.measured import measured_table
    from benchbed.papers.regenerate import published_table
    from benchbed.tracking.runs import open_run

    layout = layout_of(paper, number)
    if not measured:
        _show([published_table(layout)], format_)
        return
    found = [open_run(name) for name in dict.fromkeys(measured)]
    tables = [measured_table(layout, found)]
    explanation = explanation_table(layout, found) if explain else None
    if explanation is not None and explanation.rows:
        tables.append(explanation)
    _show(tables, format_)
    if explanation is not None and not explanation.rows:
        names = ", ".join(run.id for run in found)
        click.echo(f"nothing to explain: {names} measured none of the values of this table", err=True)


def _coverage(
    paper: str | None,
    number: str | None,
    datasets: tuple[str, ...],
    checkpoints: tuple[str, ...],
    verbose: bool,
    format_: str,
) -> None:
    from benchbed.cli.options import parse_checkpoints
    from benchbed.papers.coverage import coverage_lines, coverage_table, present
    from benchbed.papers.layout import layout_of, layouts
    from benchbed.papers.printed import TITLES

    if paper is None:
        chosen = [layout for name in TITLES for layout in layouts(name)]
    else:
        chosen = layouts(paper) if number is None else [layout_of(paper, number)]
    here = present(datasets, parse_checkpoints(checkpoints))
    _show([coverage_table(chosen, here)], format_)
    if verbose:
        # Values by the hundred: lines and no table, whatever the format of the counts above.
        for line in coverage_lines(chosen, here):
            click.echo(line, err=format_ != "terminal")


def _by_difficulty(runs: tuple[Path, ...], by: str, format_: str) -> None:
    from benchbed.strata import strata_plot, strata_tables, stratify
    from benchbed.tracking.store import Store

    if len(runs) != 1:
        raise click.UsageError("--by sorts the frames of one run; give one folder below runs/")
    result = stratify(runs[0], by)
    _show(strata_tables(result), format_)
    figure = runs[0] / "tables" / f"by-{by}.png"
    strata_plot(result, figure, Store(runs[0]).write_figure)
    click.echo(f"curves: {figure}", err=format_ != "terminal")


def _stored(runs: tuple[Path, ...], format_: str) -> None:
    import pandas as pd

    from benchbed.comparing import ranked_together
    from benchbed.tables.build import build_tables
    from benchbed.tables.sweep import merge_sweeps
    from benchbed.tracking.runs import open_run

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
    together = pd.concat(aggregates, ignore_index=True)
    if len(runs) > 1:
        together = ranked_together(together, [open_run(folder) for folder in runs])
    tables = build_tables(
        together,
        pd.concat(costs, ignore_index=True),
        list(dict.fromkeys(notes)),
    )
    _show(merge_sweeps(tables), format_)


def _show(tables: list[Table], format_: str) -> None:
    from benchbed.tables.render import render

    width = shutil.get_terminal_size((160, 24)).columns
    for table in tables:
        click.echo(render(table, format_, width=width, color=format_ == "terminal" and sys.stdout.isatty()))


def _notes(folder: Path) -> list[str]:
    path = folder / "tables" / "notes.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
