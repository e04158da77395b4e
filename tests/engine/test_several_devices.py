"""Training on several devices, shown with two processes on the CPU: what one step makes, and going on after a kill."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor

from benchbed.datasets.puppets.dataset import open_puppets
from benchbed.interfaces.training import TrainingRequest
from benchbed.registry import card
from benchbed.training.loop import _pair, _step_seed
from benchbed.training.pairs import PairBatches
from benchbed.training.perceptual import perceptual_network

STEPS, KILLED_IN = 4, 3
SCRIPT = Path(__file__).parents[1] / "killed_training.py"


def call(out: Path, *, steps: int = STEPS, killed_in: int = 0) -> subprocess.CompletedProcess[str]:
    """`benchbed train` on two devices."""
    options = {
        "--method": "fomm",
        "--split": "test",
        "--steps": str(steps),
        "--device": "cpu",
        "--devices": "2",
        "--perceptual": "puppet-features",
        "--out": str(out),
    }
    return subprocess.run(
        [sys.executable, str(SCRIPT), "train", *(word for pair in options.items() for word in pair)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "KILLED_IN": str(killed_in)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def networks(out: Path) -> dict[str, Tensor]:
    return torch.load(out / "last.ckpt", weights_only=True)["networks"]


def test_a_step_on_two_devices_takes_the_mean_of_both_gradients_and_goes_on_with_as_many_only(tmp_path):
    done = call(tmp_path / "out", steps=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1:] == [
        f"{tmp_path / 'out' / 'fomm.safetensors'} written after 1 of 1 steps"
    ]
    assert done.stdout.count("written after") == 1

    dataset = open_puppets()
    features, _ = perceptual_network("puppet-features", "puppets")
    torch.manual_seed(0)
    task = card("method", "fomm").load("training")(TrainingRequest("tiny", features, steps=1, identities=8))
    gradients = []
    for rank in range(2):
        one = copy.deepcopy(task)
        batches = PairBatches(dataset, task.schedule, split="test", seed=0, rank=rank, ranks=2)
        torch.manual_seed(_step_seed(0, 0, rank))

        def backward(loss: Tensor, one=one) -> None:
            loss.backward()
            gradients.append([p.grad.clone() for p in one.networks.parameters()])

        one.step(_pair(batches[0], torch.device("cpu")), one.optimizers(), backward)
    optimizers = task.optimizers()
    task.schedulers(optimizers)  # a schedule that begins slowly has set its first rate
    assert not all(torch.equal(*parts) for parts in zip(*gradients, strict=True))  # each has its own frames
    for parameter, *parts in zip(task.networks.parameters(), *gradients, strict=True):
        parameter.grad = torch.stack(parts).mean(0)
    for optimizer in optimizers.values():
        optimizer.step()
    made = networks(tmp_path / "out")
    for name, value in task.networks.named_parameters():
        # Adam's first step is the rate times the sign: a flipped sign would be off by twice the rate
        assert torch.allclose(made[name], value, atol=1e-7), name

    # on one device it would be another training
    words = "train --method fomm --split test --steps 1 --device cpu --perceptual puppet-features --out"
    alone = subprocess.run(
        [sys.executable, "-m", "benchbed", *words.split(), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert alone.returncode == 2
    assert "belongs to a training with another number of devices (2 instead of 1)" in alone.stderr


def test_killed_and_called_again_it_ends_as_one_that_was_not(tmp_path):
    assert call(tmp_path / "whole").returncode == 0
    assert call(tmp_path / "parts", killed_in=KILLED_IN).returncode == -signal.SIGKILL
    assert not (tmp_path / "parts" / "fomm.safetensors").exists()
    again = call(tmp_path / "parts")
    assert again.returncode == 0, again.stderr
    whole, parts = networks(tmp_path / "whole"), networks(tmp_path / "parts")
    assert [name for name, value in whole.items() if not torch.equal(value, parts[name])] == []
    assert (tmp_path / "whole" / "losses.csv").read_text() == (tmp_path / "parts" / "losses.csv").read_text()
