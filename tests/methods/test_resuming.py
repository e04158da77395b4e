"""What every trainable method promises of an interrupted training: resumed, it ends as one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbed.datasets.puppets.dataset import open_puppets
from benchbed.interfaces.dataset import Clip
from benchbed.interfaces.training import TrainingRequest, TrainingTask
from benchbed.registry import card, cards
from benchbed.training.loop import TrainingRun, train
from benchbed.training.progress import TrainingProgress
from benchbed.weights import load_tensors

TRAININGS = sorted(
    (one.name, preset)
    for one in cards("method")
    if "training" in one.data
    for preset in ("tiny", "tiny-avd")
    if preset in one.data["presets"]
)
STEPS, BROKEN_OFF_IN = 4, 3
SCRIPT = Path(__file__).parents[1] / "killed_training.py"


class FewPuppets:
    """Eight clips of the puppets."""

    name, domain, resolution, decoder, fingerprint = "puppets", "body", (64, 64), "drawn", "8" * 64
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._all = open_puppets()
        self._clips = self._all.clips("train")[:8]
        self.frames = cache(self._all.frames)

    def clips(self, split: str) -> list[Clip]:
        return self._clips

    def clip(self, clip_id: str) -> Clip:
        return self._all.clip(clip_id)

    def keypoints(self, clip_id: str) -> None:
        return None


@pytest.fixture(scope="module")
def puppets() -> FewPuppets:
    return FewPuppets()


class Taps(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, nn.functional.avg_pool2d(frames, 2)]


class BrokenOff(Exception):
    pass


def break_off(progress: TrainingProgress) -> None:
    if progress.step == BROKEN_OFF_IN:
        raise BrokenOff


def tiny(name: str, preset: str, seed: int) -> TrainingTask:
    torch.manual_seed(seed)
    return card("method", name).load("training")(TrainingRequest(preset, Taps(), steps=STEPS, identities=8))


@pytest.mark.parametrize(("name", "preset"), TRAININGS)
def test_a_training_broken_off_and_resumed_ends_with_the_same_weights_and_losses(
    name, preset, puppets, tmp_path
):
    run = TrainingRun(name, device="cpu", precision="bf16", workers=0, log_every=1, save_every=0)
    whole, first, second = (tiny(name, preset, seed) for seed in (0, 0, 1))
    train(whole, puppets, run, out=tmp_path / "whole")
    with pytest.raises(BrokenOff):
        train(first, puppets, run, out=tmp_path / "parts", progress=break_off)
    # the first weights of the task that goes on are others: all of the state comes from the file
    train(second, puppets, run, out=tmp_path / "parts")
    resumed = second.networks.state_dict()
    different = [
        key for key, value in whole.networks.state_dict().items() if not torch.equal(value, resumed[key])
    ]
    assert different == []
    assert_alike(tmp_path, name)


def assert_alike(folder: Path, name: str) -> None:
    """Both trainings left the same losses, one row per step, and the same weights."""
    losses = (folder / "whole" / "losses.csv").read_text()
    assert len(losses.splitlines()) == 1 + STEPS
    assert (folder / "parts" / "losses.csv").read_text() == losses
    wanted, made = (
        load_tensors(folder / part / f"{name}.safetensors").tensors for part in ("whole", "parts")
    )
    assert [key for key, value in wanted.items() if not torch.equal(value, made[key])] == []


def call(name: str, out: Path, *, killed_in: int = 0) -> int:
    """`benchbed train` in a process of its own, on the smaller split; its exit code."""
    options = [
        "--steps",
        str(STEPS),
        "--precision",
        "bf16",
        "--device",
        "cpu",
        "--perceptual",
        "puppet-features",
    ]
    words = [
        "train",
        "--method",
        name,
        "--dataset",
        "puppets",
        "--split",
        "test",
        *options,
        "--out",
        str(out),
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "KILLED_IN": str(killed_in)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


# a discriminator beside the networks and epochs within the steps; a latent one whose flows have no key points
@pytest.mark.parametrize("name", ["mofd", "lia"])
def test_a_training_killed_and_called_again_ends_with_the_same_weights_and_losses(name, tmp_path):
    assert call(name, tmp_path / "whole") == 0
    assert call(name, tmp_path / "parts", killed_in=BROKEN_OFF_IN) == -signal.SIGKILL
    assert not (tmp_path / "parts" / f"{name}.safetensors").exists()
    assert call(name, tmp_path / "parts") == 0
    assert_alike(tmp_path, name)
