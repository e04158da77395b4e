"""What commands do with a finished run: print its tables, copy it to MLflow."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchbed.plan import RunPlan
    from benchbed.run import RunResult


def print_result(result: RunResult, plan: RunPlan) -> None:
    """Print the tables of a finished run, what was computed, and where everything lies."""
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


def log_to_mlflow(result: RunResult, plan: RunPlan, uri: str | None) -> None:
    """Copy a finished run to the tracking store."""
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
