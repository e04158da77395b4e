"""`benchbed ablate`: train a method's published ablations with several seeds and say which directions hold."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from benchbed.cli.options import device_option


@click.command("ablate")
@click.option("--method", required=True, metavar="M", help="One whose card names ablations.")
@click.option("--dataset", default="puppets", show_default=True, metavar="D|PATH")
@click.option(
    "--seeds", type=click.IntRange(2), default=3, show_default=True, help="Trainings of every variant."
)
@click.option(
    "--steps", type=click.IntRange(1), help="Optimisation steps of every training; default: the presets' own."
)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Trainings at a time.")
@device_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for trainings, runs and the table.  [default: runs/ablate-METHOD-DATASET]",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def ablate(
    method: str,
    dataset: str,
    seeds: int,
    steps: int | None,
    precision: str,
    jobs: int,
    device: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Do a method's published ablations have the same direction here?

    Trains the full method and every variant that its card names, preset `tiny`, with several seeds, scores all of them on the test
    split and prints, for every metric that a paper printed, the change with an interval over seeds and identities:
    reproduced, not reproduced or undecided. Called again, it goes on with what is missing.
    """
    from benchbed.ablations.arms import starting_method, study_arms
    from benchbed.ablations.directions import effects
    from benchbed.ablations.published import printed_changes
    from benchbed.ablations.report import Study, study_table, write_study
    from benchbed.ablations.scores import score_arms
    from benchbed.ablations.training import Recipe, train_arms, weights_file
    from benchbed.errors import BenchbedError
    from benchbed.registry import card
    from benchbed.tables.render import render
    from benchbed.tensor_files import read_metadata
    from benchbed.tracking.progress import Progress

    arms = study_arms(method)
    printed = printed_changes(method, arms)
    if not printed:
        raise BenchbedError(f"no published table holds an ablation of '{method}'; see benchbed table --help")
    begun = starting_method(card("method", method))
    start = None
    if begun is not None:
        other = card("method", begun)
        start = other.folder / other.data["checkpoints"]["puppets"]
    recipe = Recipe(dataset, tuple(range(seeds)), steps, precision, device, start)
    folder = out or Path("runs") / f"ablate-{method}-{Path(dataset).name}"
    count = len(arms) * seeds
    with Progress(2 * count, quiet=quiet) as progress:
        train_arms(arms, recipe, folder, jobs=jobs, advance=progress.advance)
        protocols = tuple(dict.fromkeys(change.protocol for change in printed))
        scores = score_arms(arms, protocols, recipe, folder, command=sys.argv, advance=progress.advance)
    taken = tuple(
        int(read_metadata(weights_file(folder, arm, seed))["steps"]) for arm in arms for seed in recipe.seeds
    )
    study = Study(method, arms, recipe, taken, tuple(effects(arms, printed, scores, recipe.seeds)))
    width = shutil.get_terminal_size((160, 24)).columns
    click.echo(render(study_table(study), "terminal", width=width, color=sys.stdout.isatty()))
    click.echo(f"\nresults: {write_study(study, folder)}")
