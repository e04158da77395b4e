"""`benchbed train`: train a method or an evaluator on any dataset."""

from __future__ import annotations

import shlex
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbed.errors import BenchbedError
from benchbed.registry import Card, card, cards

if TYPE_CHECKING:
    from benchbed.training.progress import TrainingProgress

LINE_EVERY_SECONDS = 15.0


@click.command()
@click.option("--method", metavar="NAME", help="Train this method.")
@click.option("--evaluator", metavar="NAME", help="Train this evaluator instead of a method.")
@click.option("--dataset", "dataset_name", metavar="NAME|PATH", default="puppets", show_default=True)
@click.option("--split", default="train", show_default=True, help="Clips to train on.")
@click.option("--preset", metavar="tiny|paper|NAME", default="tiny", show_default=True)
@click.option(
    "--resolution", type=click.IntRange(min=8), help="Frame side in pixels, instead of the preset's."
)
@click.option("--steps", type=click.IntRange(min=1), help="Optimisation steps, instead of the preset's.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for everything written.  [default: runs/train-NAME-DATASET]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="Number of GPUs.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option(
    "--perceptual",
    type=click.Choice(["auto", "vgg19", "puppet-features"]),
    default="auto",
    show_default=True,
    help="Network of the perceptual loss.",
)
@click.option(
    "--start",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Weights to start from where names and shapes are equal.",
)
@click.option(
    "--resume/--fresh",
    default=True,
    show_default=True,
    help="Go on from the last checkpoint, or start again.",
)
@click.option(
    "--limit-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after this time, save and export.",
)
def train(
    method: str | None,
    evaluator: str | None,
    dataset_name: str,
    split: str,
    preset: str,
    resolution: int | None,
    steps: int | None,
    seed: int,
    out: Path | None,
    device: str,
    devices: int,
    precision: str,
    perceptual: str,
    start: Path | None,
    resume: bool,
    limit_minutes: float | None,
) -> None:
    """Train a method (--method) or an evaluator (--evaluator).

    Killed and called again with the same options, a method's training goes on from its last checkpoint.
    """
    if (method is None) == (evaluator is None):
        raise BenchbedError("say what to train: either --method NAME or --evaluator NAME")
    chosen = card("method", method) if method else card("evaluator", str(evaluator))
    if "training" not in chosen.data:
        known = ", ".join(c.name for c in cards(chosen.kind) if "training" in c.data) or "none"
        raise BenchbedError(f"{chosen.kind} '{chosen.name}' has nothing to train; trainable: {known}")
    if chosen.kind == "evaluator" and start is not None:
        raise BenchbedError("evaluators are trained from random weights only; leave out --start")
    if chosen.kind == "evaluator":
        train_evaluator(chosen, dataset_name, resolution, out, seed=seed, minutes=limit_minutes)
        return

    if find_spec("lightning_fabric") is None:
        raise BenchbedError(
            "training needs Lightning Fabric, which is not installed: pip install 'benchbed[train]'"
        )
    import torch

    from benchbed.datasets.catalog import open_dataset
    from benchbed.interfaces.training import TrainingRequest
    from benchbed.training.loop import TrainingRun
    from benchbed.training.loop import train as run_training
    from benchbed.training.pairs import identities_of
    from benchbed.training.perceptual import perceptual_network
    from benchbed.training.start import start_from

    dataset = open_dataset(dataset_name, resolution=resolution)
    network, label = perceptual_network(perceptual, dataset.name)
    if label != "vgg19" and dataset.name.split("-")[0] != "puppets":
        click.echo(
            f"perceptual loss on {label}; for VGG-19: benchbed weights pull vgg19, then train with --fresh",
            err=True,
        )
    torch.manual_seed(seed)
    request = TrainingRequest(preset, network, resolution, steps, len(identities_of(dataset, split)))
    task = chosen.load("training")(request)
    if task.frozen and start is None:
        raise BenchbedError(
            f"preset '{preset}' of {chosen.name} does not train {', '.join(task.frozen)}; "
            "give their trained weights with --start FILE"
        )
    started = None if start is None else start_from(task.networks, start, whole=task.frozen)
    if started is not None:
        click.echo(f"starting from {started}", err=True)
    side = task.schedule.resolution
    if tuple(dataset.resolution) != (side, side):
        dataset = open_dataset(dataset_name, resolution=side)
    for note in dataset.notes:
        click.echo(f"{dataset.name}: {note}", err=True)
    run = TrainingRun(
        method=chosen.name,
        seed=seed,
        device=device,
        precision=precision,
        devices=devices,
        limit_minutes=limit_minutes,
        perceptual=label,
        command=command_line(),
        start=started,
    )
    folder = out or Path("runs") / f"train-{chosen.name}-{dataset.name}"
    result = run_training(
        task, dataset, run, out=folder, split=split, resume=resume, progress=ProgressLines().report
    )
    if not result.main:
        return
    unfinished = "" if result.step == result.steps else "; the same command goes on"
    click.echo(f"{result.weights} written after {result.step} of {result.steps} steps{unfinished}")


def train_evaluator(
    chosen: Card,
    dataset_name: str,
    resolution: int | None,
    out: Path | None,
    *,
    seed: int,
    minutes: float | None,
) -> None:
    """Call an evaluator's own training, which writes its weights and measured figures into `out`."""
    from benchbed.datasets.catalog import open_dataset

    dataset = open_dataset(dataset_name, resolution=resolution)
    folder = out or Path("runs") / f"train-{chosen.name}-{dataset.name}"
    chosen.load("training")(dataset, out=folder, seed=seed, minutes=minutes, progress=ProgressLines().write)
    click.echo(f"{chosen.name}: trained on {dataset.name}, written to {folder}")


def command_line() -> str:
    """The command as it was typed, for the weights' metadata."""
    return shlex.join(["benchbed", *sys.argv[1:]])


class ProgressLines:
    """Progress on standard error: a line that renews itself on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._spoke = float("-inf")

    def report(self, progress: TrainingProgress) -> None:
        """One report of the training loop."""
        self.write(progress.line(), last=progress.step == progress.steps)

    def write(self, line: str, *, last: bool = False) -> None:
        """One line of text."""
        now = time.monotonic()
        if self._terminal:
            click.echo(f"\r\x1b[2K{line}", nl=last, err=True)
        elif last or now - self._spoke >= LINE_EVERY_SECONDS:
            self._spoke = now
            click.echo(line, err=True)
