"""`benchbed run`: methods through protocols, to a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbed.cli.options import (
    alpha_option,
    device_option,
    domain_option,
    evaluator_option,
    fresh_option,
    limit_option,
    metric_option,
    mlflow_option,
    no_mlflow_option,
    out_option,
    pairs_option,
    parse_assignments,
    parse_checkpoints,
    parse_pairs,
    precision_option,
    quiet_option,
    resolution_option,
    samples_option,
    seed_option,
    split_option,
    transfer_option,
)
from benchbed.cli.results import log_to_mlflow, print_result

if TYPE_CHECKING:
    from benchbed.plan import RunPlan


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
    help="A registered name, a prepared root, a folder of videos or a CSV of clips; may be repeated. Default: puppets, for zero-shot puppets-creatures.",
)
@metric_option
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
@evaluator_option
@transfer_option
@split_option
@resolution_option
@domain_option
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
@limit_option
@pairs_option
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="TEXT",
    help="Only this setting of a protocol that has several ('reconstruction N_ref=3'); may be repeated.",
)
@seed_option
@out_option
@fresh_option
@samples_option
@mlflow_option
@no_mlflow_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Methods at a time, each in a process.  [default: one per core for many small frames on a CPU, else 1]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done and stop.")
@quiet_option
def run_command(
    protocols, methods, all_methods, datasets, metrics, checkpoints, configurations, evaluators, transfer, split,
    resolution, domain, alpha, device, precision, batch_size, limit, pairs, settings, seed, out, fresh, save_samples, mlflow_uri, no_mlflow,
    workers, dry_run, quiet,
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
            pairs=parse_pairs(pairs),
            seed=seed,
            save_samples=save_samples,
            settings=settings,
        )
    )
    if dry_run:
        click.echo(_describe(plan, out))
        return 0
    from benchbed.run import run

    result = run(plan, out, command=sys.argv, fresh=fresh, quiet=quiet, workers=workers)
    print_result(result, plan)
    if not no_mlflow:
        log_to_mlflow(result, plan, mlflow_uri)
    return 1 if result.failures else 0


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
