"""`benchbed evaluate`: frames that any other program generated, scored as those of the bundled methods."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

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
    parse_pairs,
    quiet_option,
    resolution_option,
    samples_option,
    seed_option,
    split_option,
    transfer_option,
)
from benchbed.cli.results import log_to_mlflow, print_result


@click.command("evaluate")
@click.option(
    "--generated",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with the frames of every case: a folder of images, a video, a gif, or one wide image of square frames.",
)
@click.option("--protocol", metavar="P", required=True, help="See `benchbed list protocols`.")
@click.option(
    "--dataset",
    metavar="D|PATH",
    help="A registered name, a prepared root, a folder of videos or a CSV of clips. Default: puppets, for zero-shot puppets-creatures.",
)
@click.option("--name", help="What the rows are called. Default: the folder's name.")
@click.option(
    "--paths",
    metavar="CSV",
    type=click.Path(path_type=Path),
    help="Columns case,path (and setting) for files with other names; paths start at DIR.",
)
@click.option(
    "--pair-order",
    type=click.Choice(["source-driving", "driving-source"]),
    help="Order of the clips in names with a single dash; scripts of FOMM and its descendants save driving-source.",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="S",
    help="Only this setting of a sweep (reconstruction_N_ref=3); may be repeated. Default: all, each in a folder called so.",
)
@click.option(
    "--few-shot",
    is_flag=True,
    help="In a sweep: all N_ref views were given at once. Default: the last one, in place of the source.",
)
@click.option(
    "--first-frame",
    type=click.Choice(["present", "skipped"]),
    default="present",
    show_default=True,
    help="skipped: clips have one frame fewer, for scripts that leave the source frame out.",
)
@click.option("--resize", is_flag=True, help="Resize frames of another size instead of refusing them.")
@click.option(
    "--trained-on",
    metavar="D",
    default="unknown",
    show_default=True,
    help="Data set the method was trained on, or none: zero-shot needs to know.",
)
@click.option(
    "--list-expected", is_flag=True, help="Print a CSV of cases and the names looked for, and stop."
)
@metric_option
@evaluator_option
@transfer_option
@split_option
@resolution_option
@domain_option
@alpha_option
@device_option
@limit_option
@pairs_option
@seed_option
@out_option
@fresh_option
@samples_option
@mlflow_option
@no_mlflow_option
@quiet_option
def evaluate_command(
    folder, protocol, dataset, name, paths, pair_order, settings, few_shot, first_frame, resize, trained_on,
    list_expected, metrics, evaluators, transfer, split, resolution, domain, alpha, device, limit, pairs, seed, out, fresh,
    save_samples, mlflow_uri, no_mlflow, quiet,
) -> int:  # fmt: skip
    """Score frames made by any other program, in the tables, statistics and experiment of the bundled methods.

    A case of one clip is looked for under the clip's name, one of two clips under SOURCE--DRIVING, with / written as
    _ ; a suffix and folders above (reconstruction/png/CLIP.png) do not matter. What is there is scored, and everything
    missing, misnamed or of a wrong size or length is listed; exit status 1 where a case could not be scored.

    \b
    benchbed evaluate --protocol reconstruction --list-expected
    benchbed evaluate --protocol reconstruction --generated DIR --name mine
    benchbed table runs/A runs/B                                   its run beside another's
    """
    from benchbed.registry import card

    # A typing mistake is answered before torch is imported.
    card("protocol", protocol)
    for metric in metrics:
        card("metric", metric.split("/")[0])
    if folder is None and not list_expected:
        raise click.UsageError("give the folder of generated frames with --generated DIR")
    from benchbed.external.plan import External, expected_cases, plan_evaluation
    from benchbed.plan import RunRequest

    request = RunRequest(
        protocols=(protocol,),
        datasets=(dataset,) if dataset else (),
        metrics=metrics,
        evaluators=parse_assignments(evaluators, "--evaluator", "METRIC=NAME"),
        transfer=transfer,
        split=split,
        resolution=resolution,
        domain=domain,
        alpha=alpha,
        device=device,
        limit=limit,
        pairs=parse_pairs(pairs),
        seed=seed,
        save_samples=save_samples,
    )
    external = External(
        folder=folder or Path(),
        name=name or (folder.resolve().name if folder is not None else "expected"),
        paths=paths,
        pair_order=pair_order,
        settings=settings,
        resize=resize,
        first_frame=first_frame == "present",
        few_shot=few_shot,
        trained_on=trained_on,
    )
    if list_expected:
        _list_expected(*expected_cases(request, external), external.few_shot)
        return 0
    plan, match = plan_evaluation(request, external)
    from benchbed.run import run

    result = run(plan, out, command=sys.argv, fresh=fresh, quiet=quiet)
    print_result(result, plan)
    _report(result.folder, external.name, external.folder, match)
    if not no_mlflow:
        log_to_mlflow(result, plan, mlflow_uri)
    return 1 if result.failures or match.refused else 0


def _list_expected(dataset, cases, few_shot: bool) -> None:
    from benchbed.external.listing import expected_rows

    rows = expected_rows(dataset, cases, few_shot=few_shot)
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _report(run_folder: Path, name: str, folder: Path, match) -> None:
    import pandas as pd

    from benchbed.external.report import REPORT, SHOWN, frames_report
    from benchbed.tracking.store import Store

    cases = pd.read_parquet(run_folder / "cases.parquet")
    notes = (run_folder / "tables" / "notes.txt").read_text(encoding="utf-8").splitlines()
    whole = frames_report(cases, match, notes, name, folder, most=None)
    path = Store(run_folder).write_text(REPORT, whole)
    shown = frames_report(cases, match, notes, name, folder, most=SHOWN)
    click.echo("\n" + shown, nl=False)
    if shown != whole:
        click.echo(f"the whole list: {path}")
