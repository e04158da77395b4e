"""Timings, for `nox -s bench`: nothing here passes or fails on a time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchbed.datasets.catalog import open_dataset
from benchbed.frames import to_float
from benchbed.plan import metric_variants
from benchbed.registry import card, cards, load_entry


@pytest.fixture(scope="module")
def puppets():
    return open_dataset("puppets")


@pytest.fixture(scope="module")
def clip(puppets):
    return to_float(puppets.frames(puppets.clips("test")[0].id))


@pytest.mark.parametrize("words", [["--help"], ["list", "methods"]], ids=["help", "list-methods"])
def test_starting_the_command(benchmark, words):
    benchmark(
        lambda: subprocess.run([sys.executable, "-m", "benchbed", *words], check=True, capture_output=True)
    )


@pytest.mark.parametrize("resolution", [64, 128, 256])
def test_drawing_a_clip(benchmark, resolution):
    dataset = open_dataset("puppets", resolution=resolution)
    ids = iter([f"test/c{i % 24:03d}-m{i % 23:03d}" for i in range(1000)])
    benchmark.extra_info["frames"] = 16
    benchmark(lambda: dataset.frames(next(ids)))


@pytest.mark.parametrize("method", ["static", "flow", "fomm"])
def test_animating_16_frames_with_the_bundled_checkpoint(benchmark, clip, method):
    from benchbed.plan import RunRequest, plan_method

    planned = plan_method(method, RunRequest(protocols=()))
    built = planned.card.load()(checkpoint=planned.checkpoint, configuration=None).eval()
    with torch.inference_mode():
        encoding = built.encode(clip[:1])
        benchmark(lambda: built.animate(encoding, clip, initial_driving=clip[:1]))


PUPPET_EVALUATORS = [
    c.name for c in cards("evaluator") if any("puppets" in table["datasets"] for table in c.data["serves"])
]


@pytest.mark.parametrize("name", PUPPET_EVALUATORS)
def test_evaluating_16_puppet_frames(benchmark, clip, name):
    found = card("evaluator", name)
    evaluator = found.load()(device=torch.device("cpu"), **found.data.get("params", {}))
    with torch.inference_mode():
        benchmark(lambda: evaluator(clip))


@pytest.mark.parametrize("metric", ["l1", "psnr", "ssim"])
def test_scoring_16_frames(benchmark, clip, metric):
    from benchbed.interfaces.metric import Sample

    ((_, variant),) = metric_variants((metric,))
    scorer = load_entry(variant["entry"], owner=metric)(**variant.get("params", {}))
    shifted = torch.roll(clip, 1, dims=-1)
    scores = benchmark(lambda: scorer.per_frame(Sample(shifted), Sample(clip)))
    assert np.isfinite(scores).all()
