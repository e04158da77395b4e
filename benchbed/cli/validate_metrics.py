"""`benchbed validate-metrics`: do the metrics measure what they claim?"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from benchbed.cli.options import device_option


@click.command("validate-metrics")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="M",
    help="Whose frames are ranked; default: all. May be repeated.",
)
@click.option("--dataset", default="puppets", show_default=True, help="One that knows exact answers.")
@click.option(
    "--pairs", type=click.IntRange(4), metavar="N", help="Pairs to draw; default: as the protocol does."
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Metrics or variants; default: the protocol's."
)
@click.option("--seed", type=int, default=0, show_default=True)
@device_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def validate_metrics_command(methods, dataset, pairs, metrics, seed, device, out, quiet) -> int:
    """Test the metrics themselves where the truth is known.

    Animates across identities on a drawn data set, whose exact answers are known, and prints two tables: how well every
    metric that needs no truth ranks the generated frames by their true error, and how every metric answers to damage
    of known strength (blur, jitter, time shift, identity mix, dropped frames, compression, landmark noise).
    """
    from benchbed.plan import RunRequest, build_plan
    from benchbed.run import run
    from benchbed.tables.render import render
    from benchbed.tracking.progress import Progress
    from benchbed.tracking.store import Store
    from benchbed.validation.damage import LADDER
    from benchbed.validation.ladder import climb
    from benchbed.validation.proxies import agreements
    from benchbed.validation.report import agreement_table, ladder_table, write_report

    request = RunRequest(
        protocols=("animation",), methods=methods, datasets=(dataset,), metrics=metrics, pairs=pairs, seed=seed,
        device=device,
    )  # fmt: skip
    plan = build_plan(request)
    with Progress(len(plan.sections[0].cases) * len(LADDER), quiet=quiet) as progress:
        answers = climb(plan, advance=progress.advance)
    result = run(plan, out, command=sys.argv, quiet=quiet)
    found = agreements(result.folder, seed=seed)
    figure = write_report(Store(result.folder), answers, found)
    width = shutil.get_terminal_size((160, 24)).columns
    for table in (agreement_table(found, dataset), ladder_table(answers, dataset)):
        click.echo(render(table, "terminal", width=width, color=sys.stdout.isatty()))
        click.echo("")
    click.echo(f"results: {result.folder / 'validation'}")
    click.echo(f"curves: {figure}")
    return 1 if result.failures else 0
