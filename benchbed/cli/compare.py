"""`benchbed compare`: paired differences between two runs, or between methods of one."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchbed.comparing import Margin, Margins


@click.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME|A=B",
    help="Of two runs: only these methods; A=B compares method A of the first with B of the second. Of one run: the methods to compare, each with the first. Repeatable.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Only these metrics (a name, or the id of a variant). Repeatable.",
)
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="[METRIC=]SIZE",
    help="Differences that do not matter: 0.002 in the metric's unit, or 2% of the first value; akd=0.1 for one metric. "
    "Repeatable.  [default: 1%]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Show numbers that are not comparable as well, side by side, without differences and tests.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["terminal", "markdown", "csv"]),
    default="terminal",
    show_default=True,
)
def compare(
    runs: tuple[str, ...],
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    margins: tuple[str, ...],
    force: bool,
    format_: str,
) -> None:
    """Paired differences: RUN_A RUN_B (folders, or ids below runs/), or several --method of one RUN.

    Pairs the frames that both sides scored, and resamples identities. Says per metric whether B is better, worse,
    equivalent to A within a margin, or whether that cannot be told. Runs whose numbers are not comparable (other
    evaluators, splits, resolutions, cases) are refused with the list of what differs.

    \b
    benchbed compare runs/OLD runs/NEW
    benchbed compare runs/ID --method fomm --method lia --metric lpips --metric akd
    """
    if len(runs) > 2:
        raise click.UsageError(f"two runs at most are compared, not {len(runs)}")
    chosen = _margins(margins)

    from benchbed.comparing import between, circumstances, within
    from benchbed.tables.comparison import comparison_csv, comparison_tables
    from benchbed.tables.render import render
    from benchbed.tracking.runs import open_run

    opened = [open_run(name) for name in runs]
    named, wanted = list(dict.fromkeys(methods)), [metric.lower() for metric in metrics]
    heading = []
    if len(opened) == 1:
        found = within(opened[0], named, wanted, chosen)
        labels = ("first", "second")
        heading.append(f"{opened[0].id}: each method with {named[0]}")
    else:
        first, second = opened
        found = between(first, second, named, wanted, chosen, force=force)
        labels = ("A", "B")
        heading.append(f"A: {first.id}, B: {second.id}")
        both = list(dict.fromkeys(each.method for each in found if " -> " not in each.method))
        heading += [f"also different: {text}" for text in circumstances(first, second, both)]
    if format_ == "csv":
        click.echo(comparison_csv(found))
        return
    width = shutil.get_terminal_size((160, 24)).columns
    click.echo(("\n\n" if format_ == "markdown" else "\n").join(heading))
    for table in comparison_tables(found, chosen, labels):
        click.echo()
        click.echo(render(table, format_, width=width, color=sys.stdout.isatty()))


def _margins(texts: tuple[str, ...]) -> Margins:
    from benchbed.comparing import DEFAULT_MARGIN, Margins

    general, own = DEFAULT_MARGIN, {}
    for text in texts:
        metric, separator, size = text.rpartition("=")
        if separator:
            own[metric.lower()] = _margin(text, size)
        else:
            general = _margin(text, size)
    return Margins(general, own)


def _margin(text: str, size: str) -> Margin:
    from benchbed.comparing import Margin

    number = size.strip()
    try:
        margin = Margin(float(number.removesuffix("%")), percent=number.endswith("%"))
    except ValueError:
        margin = None
    # A comparison with NaN is false, so NaN and infinity are refused here as well.
    if margin is None or not 0 <= margin.size < float("inf"):
        raise click.BadParameter(f"--margin wants a size such as 0.002, 2% or akd=0.1, got '{text}'")
    return margin
