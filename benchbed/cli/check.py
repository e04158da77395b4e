"""`benchbed check`: has any number moved since the baseline was written?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchbed.cli.options import device_option, parse_checkpoints

if TYPE_CHECKING:
    from benchbed.drift.comparison import Report


@click.command("check")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Default: the bundled one, of reconstruction on puppets.",
)
@click.option(
    "--method", "methods", multiple=True, metavar="M", help="Check this method only; may be repeated."
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="METHOD=FILE",
    help="Weights to check instead of the bundled ones.",
)
@device_option
@click.option(
    "--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Moves noise, nothing else."
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the CPU; moves noise, nothing else.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the run in this folder.")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML."
)
@click.option("--github", is_flag=True, help="Print annotations for GitHub Actions.")
@click.option("--update", is_flag=True, help="Measure and write the baseline instead of checking it.")
@click.option("--reason", metavar="TEXT", help="With --update: why the numbers may move; kept in the file.")
@click.option(
    "--protocol", "protocols", multiple=True, metavar="P", help="With --update: of the new baseline."
)
@click.option("--dataset", "datasets", multiple=True, metavar="D", help="With --update: of the new baseline.")
@click.option("--all-methods", is_flag=True, help="With --update: every method that is installed.")
@click.option("--quiet", is_flag=True, help="No progress.")
def check_command(
    run, baseline, methods, checkpoints, device, batch_size, threads, out, junit, github, update, reason,
    protocols, datasets, all_methods, quiet,
) -> int:  # fmt: skip
    """Compare RUN, or a new run of the same work, with a baseline, in three tiers.

    Metric arithmetic has to give the baseline's numbers exactly, every case has to stay within the noise that
    was measured by repeats on this kind of device, and no mean may move beyond its noise by the paired test.
    Exit status 1 with a table of what moved and the first stage that moved; 2 where the baseline does not fit.
    """
    # Read when torch is loaded, below: threads that spin while they wait slow down on a machine that is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if update:
        # A user's setting would hide the noise of this machine's own number of threads from the baseline.
        os.environ.pop("OMP_NUM_THREADS", None)
    _require_sense(run, update, reason, methods, all_methods, protocols or datasets)
    if run is not None and (checkpoints or threads or out):
        raise click.UsageError(
            "a finished run is compared as it is: leave out --checkpoint, --threads and --out"
        )
    from benchbed.drift.baseline import default_path

    path = baseline or default_path()
    if update:
        _update(path, reason, protocols, datasets, methods, all_methods, checkpoints, device, quiet)
        return 0
    from benchbed.drift.baseline import read_baseline
    from benchbed.drift.check import check_again, check_run
    from benchbed.drift.rerun import Way

    known = read_baseline(path)
    if run is not None:
        report = check_run(known, run, methods=methods)
    else:
        report = check_again(
            known,
            methods=methods,
            device=device,
            checkpoints=parse_checkpoints(checkpoints),
            way=Way(batch_size, threads),
            out=out,
            quiet=quiet,
        )
    _show(report, junit, github)
    return 0 if report.clean else 1


def _require_sense(run, update, reason, methods, all_methods, of_update) -> None:
    if update and not (reason and reason.strip()):
        raise click.UsageError("--update needs --reason TEXT: why may the numbers move?")
    if update and run is not None:
        raise click.UsageError("--update measures anew, with repeats: leave out the run")
    if not update and (reason or all_methods or of_update):
        raise click.UsageError("--reason, --protocol, --dataset and --all-methods go with --update")
    if methods and all_methods:
        raise click.UsageError("name methods with --method, or take them all with --all-methods")


def _show(report: Report, junit: Path | None, github: bool) -> None:
    from benchbed.drift.report import github_annotations, junit_xml, report_text
    from benchbed.tracking.store import write_atomically

    click.echo(report_text(report))
    if junit is not None:
        text = junit_xml(report)
        write_atomically(junit, lambda stream: stream.write(text))
    if github:
        for line in github_annotations(report):
            click.echo(line)


def _update(
    path: Path,
    reason: str,
    protocols: tuple[str, ...],
    datasets: tuple[str, ...],
    methods: tuple[str, ...],
    all_methods: bool,
    checkpoints: tuple[str, ...],
    device: str,
    quiet: bool,
) -> None:
    from benchbed.drift.baseline import measure_part, read_baseline, updated, write_baseline
    from benchbed.drift.rerun import restored_request
    from benchbed.plan import RunRequest, pick_device

    if checkpoints:
        raise click.UsageError("a baseline is of the bundled weights: leave out --checkpoint")
    old = read_baseline(path) if path.exists() else None
    chosen = pick_device(device)
    changes: dict[str, Any] = {"device": chosen, "save_samples": 0}
    if protocols:
        changes["protocols"] = protocols
    if datasets:
        changes["datasets"] = datasets
    if methods or all_methods:
        changes["methods"] = methods
    if old is not None:
        request = restored_request(old.request, **changes)
    else:
        if not (methods or all_methods):
            raise click.UsageError("name methods with --method, or take them all with --all-methods")
        request = RunRequest(**{"protocols": ("reconstruction",), **changes})
    part = measure_part(request, reason.strip(), chosen, quiet=quiet)
    write_baseline(updated(old, request, part), path)
    names = {method for section in part.measured.sections.values() for method in section.methods}
    click.echo(
        f"baseline of {len(names)} methods for {part.measured.device_kind}, its noise measured in "
        f"{len(part.provenance['ways'])} ways: {path}"
    )
