"""Training pairs per second of one loading process at 256 pixels: what has to keep up with a GPU.

From frames in memory, and from mp4 clips that do not fit the memory budget (random access to two frames a pair); with and
without the colour jitter of the published recipes. The loop takes eight such processes beside a GPU.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from benchbed.datasets.catalog import open_dataset
from benchbed.interfaces.training import TrainingSchedule
from benchbed.training.pairs import PairBatches

SIDE, BATCH, STEPS = 256, 28, 6
JITTER = (0.1, 0.1, 0.1, 0.1)


@pytest.mark.parametrize("jitter", [(0.0,) * 4, JITTER], ids=["plain", "jitter"])
@pytest.mark.parametrize("budget", [4 << 30, 0], ids=["memory", "mp4"])
def test_pairs_per_second(shared: Path, capsys, budget, jitter):
    dataset = open_dataset(str(shared / "data/clips/vox"), resolution=SIDE)
    schedule = TrainingSchedule(SIDE, BATCH, STEPS, jitter=jitter)
    batches = PairBatches(dataset, schedule, split="test", seed=0, memory_budget=budget)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a process that loads
    try:
        batches[0]
        started = time.perf_counter()
        for step in range(1, STEPS):
            batches[step]
        seconds = time.perf_counter() - started
    finally:
        torch.set_num_threads(threads)
    with capsys.disabled():
        print(
            f"\n{BATCH * (STEPS - 1) / seconds:.0f} pairs/s of {SIDE} px "
            f"{'in memory' if budget else 'from mp4'}, {'with' if any(jitter) else 'without'} colour jitter"
        )
