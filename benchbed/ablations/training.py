"""Training the arms of a study: every preset with every seed, in processes of their own, each of which can be resumed."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchbed.ablations.arms import Arm
from benchbed.errors import BenchbedError
from benchbed.tensor_files import read_metadata

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How all arms of a study are trained.

    Args:
        dataset: name or path.
        seeds: one training per arm and seed.
        steps: instead of the presets' own; None: as each preset says.
        precision, device: as `benchbed train` takes them.
        start: weights that all start from where names and shapes are equal; None: random ones.
    """

    dataset: str
    seeds: tuple[int, ...]
    steps: int | None = None
    precision: str = "fp32"
    device: str = "auto"
    start: Path | None = None


def weights_file(folder: Path, arm: Arm, seed: int) -> Path:
    """Where the weights of an arm and a seed are written."""
    return folder / arm.method / f"{arm.preset}-seed{seed}" / f"{arm.method}.safetensors"


def train_arms(
    arms: Sequence[Arm],
    recipe: Recipe,
    folder: Path,
    *,
    jobs: int = 1,
    advance: Callable[[str], None] = lambda text: None,
) -> None:
    """Train what is not trained to its last step yet.

    Args:
        jobs: trainings at a time.
        advance: called for every training that is done, with its name.

    Raises:
        BenchbedError: a training failed; the others are carried out, and the same call goes on with what is missing.
    """
    wanted = [(arm, seed) for seed in recipe.seeds for arm in arms]

    def one(place: tuple[Arm, int]) -> str:
        arm, seed = place
        reason = "" if is_trained(folder, arm, seed, recipe) else _train(arm, seed, recipe, folder)
        advance(f"{arm.method} {arm.preset}, seed {seed}")
        return reason

    with ThreadPoolExecutor(jobs, thread_name_prefix="train") as pool:
        failed = [reason for reason in pool.map(one, wanted) if reason]
    if failed:
        raise BenchbedError(f"{len(failed)} of {len(wanted)} trainings failed; the first: {failed[0]}")


def is_trained(folder: Path, arm: Arm, seed: int, recipe: Recipe) -> bool:
    """Whether the weights are there and of the last step.

    Raises:
        BenchbedError: they are of another number of steps than is asked for now.
    """
    path = weights_file(folder, arm, seed)
    if not path.is_file():
        return False
    known = read_metadata(path)
    planned = known.get("planned_steps", "")
    if recipe.steps is not None and planned != str(recipe.steps):
        raise BenchbedError(
            f"{path} was trained for {planned} steps, asked for are {recipe.steps}; choose another --out, or delete it"
        )
    return known.get("steps", "") == planned


def _train(arm: Arm, seed: int, recipe: Recipe, folder: Path) -> str:
    """Empty, or why there are no weights."""
    out = weights_file(folder, arm, seed).parent
    command = [
        sys.executable, "-m", "benchbed", "train", "--method", arm.method, "--dataset", recipe.dataset,
        "--preset", arm.preset, "--seed", str(seed), "--precision", recipe.precision, "--device", recipe.device,
        "--out", str(out),
    ]  # fmt: skip
    if recipe.steps is not None:
        command += ["--steps", str(recipe.steps)]
    if recipe.start is not None:
        command += ["--start", str(recipe.start)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    log.debug("%s", done.stderr)
    last = (done.stderr.strip() or "no message").splitlines()[-1].removeprefix("benchbed: ")
    return f"{arm.method} {arm.preset}, seed {seed}: {last}"
