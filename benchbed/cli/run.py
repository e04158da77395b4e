"""`benchbed run`: methods through protocols, to a table."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbed.cli.options import (
    alpha_option,
    device_option,
    parse_assignments,
    parse_checkpoints,
    precision_option,
    transfer_option,
)

if TYPE_CHECKING:
    from benchbed.plan import RunPlan
    from benchbed.run import RunResult


@click.command("run")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    required=True,
    metavar="P",
    help="See `benchbed list protocols`; may be repeated.",
)
@click.option(
    "--method", "methods", multiple=True, metavar="M", help="See `benchbed list methods`; may be repeated."
)
@click.option("--all-methods", is_flag=True, help="Every method that is installed.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="D|PATH",
    help="A registered name, or a folder of videos; may be repeated. Default: puppets, for zero-shot puppets-creatures.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric (akd) or one of its variants (akd/euclidean-frames); may be repeated. Default: the protocol's.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="METHOD=FILE",
    help="Weights to use instead of the bundled ones.",
)
@click.option(
    "--configuration",
    "configurations",
    multiple=True,
    metavar="METHOD=NAME",
    help="Network configuration, where the checkpoint does not tell.",
)
@click.option(
    "--evaluator",
    "evaluators",
    multiple=True,
    metavar="METRIC=NAME",
    help="Network to measure a metric with instead of the default one; see `benchbed list evaluators`.",
)
@transfer_option
@click.option("--split", default="test", show_default=True)
@click.option(
    "--resolution", type=int, help="Frames are square, this many pixels. Default: the dataset's own."
)
@click.option(
    "--domain",
    type=click.Choice(["face", "body", "robot", "animal", "other"]),
    help="What a folder of videos shows: decides which evaluators apply.",
)
@alpha_option
@device_option
@precision_option
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Driving frames per call of a method.",
)
@click.option(
    "--limit",
    type=int,
    metavar="N",
    help="Only the first N cases: for trying out; the table is marked partial.",
)
@click.option(
    "--pairs",
    metavar="N|FILE",
    help="Source and driving pairs of cross-identity cases: how many to draw, or a list (CSV: source,driving).",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs.",
)
@click.option("--fresh", is_flag=True, help="Forget what an earlier run of the same command stored.")
@click.option(
    "--save-samples",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    metavar="N",
    help="Sample grids of the first N cases.",
)
@click.option(
    "--mlflow",
    "mlflow_uri",
    metavar="URI",
    help="Tracking server. Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db here.",
)
@click.option("--no-mlflow", is_flag=True, help="Do not log to MLflow.")
@click.option("--dry-run", is_flag=True, help="Show what would be done and stop.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run_command(
    protocols, methods, all_methods, datasets, metrics, checkpoints, configurations, evaluators, transfer, split,
    resolution, domain, alpha, device, precision, batch_size, limit, pairs, seed, out, fresh, save_samples, mlflow_uri, no_mlflow,
    dry_run, quiet,
) -> int:  # fmt: skip
    """Run methods through protocols on datasets and print the table.

    The same command, run again, finishes what is unfinished and does nothing where all is done. Exit status 1
    when a method or case failed; its row says why.
    """
    if bool(methods) == all_methods:
        raise click.UsageError("name methods with --method, or take them all with --all-methods")
    from benchbed.registry import card

    # A typing mistake is answered before torch is imported.
    for kind, names in (
        ("protocol", protocols),
        ("method", methods),
        ("metric", [m.split("/")[0] for m in metrics]),
    ):
        for name in names:
            card(kind, name)
    from benchbed.plan import RunRequest, build_plan

    plan = build_plan(
        RunRequest(
            protocols=protocols,
            methods=methods,
            datasets=tuple(dict.fromkeys(datasets)),
            metrics=metrics,
            checkpoints=parse_checkpoints(checkpoints),
            configurations=parse_assignments(configurations, "--configuration"),
            evaluators=parse_assignments(evaluators, "--evaluator", "METRIC=NAME"),
            transfer=transfer,
            split=split,
            resolution=resolution,
            domain=domain,
            alpha=alpha,
            device=device,
            precision=precision,
            batch_size=batch_size,
            limit=limit,
            pairs=_pairs(pairs),
            seed=seed,
            save_samples=save_samples,
        )
    )
    if dry_run:
        click.echo(_describe(plan, out))
        return 0
    from benchbed.run import run

    result = run(plan, out, command=sys.argv, fresh=fresh, quiet=quiet)
    _print(result, plan)
    if not no_mlflow:
        _log_to_mlflow(result, plan, mlflow_uri)
    return 1 if result.failures else 0


def _pairs(text: str | None) -> Path | int | None:
    if text is None:
        return None
    if not text.isdigit():
        return Path(text)
    if int(text) < 1:
        raise click.BadParameter("give at least 1 pair, or a file", param_hint="--pairs")
    return int(text)


def _describe(plan: RunPlan, out: Path) -> str:
    lines = [f"run {plan.run_id} on {plan.device}, results in {out / plan.run_id}"]
    for section in plan.sections:
        lines.append(
            f"  {section.name}: {len(section.cases)} cases x {len(section.methods)} methods "
            f"({', '.join(method.name for method in section.methods)})"
        )
        for measure in section.measures:
            lines.append(
                f"    {measure.variant}" + (f": skipped, {measure.reason}" if measure.reason else "")
            )
    return "\n".join(lines)


def _print(result: RunResult, plan: RunPlan) -> None:
    from benchbed.tables.render import render

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((160, 24)).columns
    for table in result.tables:
        click.echo(render(table, "terminal", width=width, color=terminal))
        click.echo("")
    done = result.summary
    click.echo(
        f"run {plan.run_id}: {done.computed} cases computed, {done.reused} reused, {result.failures} failed"
    )
    click.echo(f"results: {result.folder}")
    for paths in result.samples.values():
        for path in paths:
            click.echo(f"samples: {path}")


def _log_to_mlflow(result: RunResult, plan: RunPlan, uri: str | None) -> None:
    from benchbed.tracking.mlflow_log import RunSummary, log_run

    request = plan.request
    log_run(
        RunSummary(
            run_id=plan.run_id,
            command=" ".join(sys.argv),
            protocol=",".join(request.protocols),
            parameters={
                "transfer": request.transfer,
                "split": request.split,
                "seed": str(request.seed),
                "device": plan.device,
                "precision": request.precision,
                "batch_size": str(request.batch_size),
                "limit": str(request.limit or ""),
            },
            tags={f"method.{method.name}.fingerprint": method.fingerprint for method in plan.methods},
            aggregate=result.aggregate,
            costs=result.costs,
            tables=result.tables,
            tables_dir=result.folder / "tables",
            samples=[path for paths in result.samples.values() for path in paths],
        ),
        uri=uri,
    )
