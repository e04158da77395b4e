"""The metrics are put to the test: damage is what it says, and proxies are ranked against the truth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError
from benchbed.frames import to_float
from benchbed.plan import RunRequest, build_plan
from benchbed.validation.damage import LADDER, Scene, delayed, dropped, mixed
from benchbed.validation.ladder import climb
from benchbed.validation.proxies import agreements
from benchbed.validation.report import agreement_table, ladder_table


@pytest.fixture(scope="module")
def scene() -> Scene:
    dataset = open_dataset("puppets")
    return Scene(
        to_float(dataset.frames("test/c001-m002")), to_float(dataset.frames("test/c002-m002")), seed=5
    )


@pytest.mark.parametrize("damage", [one for one in LADDER if one.apply], ids=lambda one: one.name)
def test_every_level_of_damage_is_further_from_the_truth_and_keeps_the_frames_shape(damage, scene):
    errors = []
    for level in damage.levels:
        frames = damage.apply(scene, level)
        assert frames.shape == scene.frames.shape
        assert frames.min() >= -1e-6 and frames.max() <= 1 + 1e-6
        assert torch.equal(frames, damage.apply(scene, level))
        errors.append((frames - scene.frames).abs().mean().item())
    assert errors[0] > 0
    assert errors == sorted(errors)


def test_time_is_delayed_frames_repeat_and_the_stranger_is_another_in_the_same_pose(scene):
    assert torch.equal(delayed(scene, 3)[3:], scene.frames[:-3])
    lost = dropped(scene, 0.5)
    # every frame shown is a true one, at its own time or later
    assert all(any(torch.equal(frame, scene.frames[t]) for t in range(i + 1)) for i, frame in enumerate(lost))
    assert torch.allclose(mixed(scene, 1.0), scene.stranger)


@pytest.fixture(scope="module")
def answers():
    request = RunRequest(
        ("animation",), ("static",), metrics=("l1", "akd", "csim/source-frames", "fid/source-frames"), pairs=6,
        device="cpu",
    )  # fmt: skip
    return {(one.metric, one.damage): one for one in climb(build_plan(request))}


def test_akd_reads_the_landmark_noise_that_was_added(answers):
    noise = answers["akd", "landmark-noise"]
    assert noise.values[0] == 0
    for sigma, value in zip(noise.levels[1:], noise.values[1:], strict=True):
        # the mean of |N(0, sigma)|; 10 %: some 1,500 points
        assert value == pytest.approx(sigma * math.sqrt(2 / math.pi), rel=0.1)
    assert noise.order == pytest.approx(1) and noise.seen


def test_pixels_see_a_time_shift_that_identity_against_the_source_hardly_sees(answers):
    assert answers["l1", "time-shift"].seen
    assert answers["l1", "identity-mix"].seen and answers["csim", "identity-mix"].seen
    assert abs(answers["csim", "time-shift"].effect) < answers["csim", "identity-mix"].effect
    assert ("l1", "landmark-noise") not in answers


def test_without_exact_answers_nothing_is_validated(fakes):
    request = RunRequest(("animation",), ("dimmed",), ("squares",), ("l1",), pairs=4, device="cpu")
    with pytest.raises(BenchbedError, match="squares has no exact answers"):
        climb(build_plan(request))


def simulated(folder, proxy) -> None:
    """A run of five methods, six identities, two cases each; `proxy` maps true error to the proxy's value."""
    generator = np.random.default_rng(2)
    rows, means = [], []
    for number in range(5):
        errors = generator.uniform(0.01, 0.02, 12) + 0.01 * number
        for case, error in enumerate(errors):
            for metric, value in (("l1", error), ("csim", proxy(error))):
                rows.append(
                    {
                        "method": f"m{number}", "protocol": "animation", "case": f"case-{case}", "status": "ok",
                        "identity": f"person-{case // 2}", "metric": metric, "variant": f"{metric}/some@1", "value": value,
                    }
                )  # fmt: skip
        means.append(
            {
                "method": f"m{number}", "protocol": "animation", "metric": "fid", "variant": "fid/some@1",
                "value": 5.0 - number, "status": "ok",
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "cases.parquet")
    pd.DataFrame(means).to_parquet(folder / "aggregate.parquet")


def test_a_proxy_that_follows_the_truth_agrees_and_one_that_runs_against_it_does_not(tmp_path):
    simulated(tmp_path, lambda error: 1 - error)  # CSIM: higher is better
    found = {(one.metric, one.level): one for one in agreements(tmp_path)}
    for level in ("cases", "within", "methods"):
        assert found["csim", level].rho == pytest.approx(1)
        assert found["csim", level].low == pytest.approx(1)
    # the simulated FID falls where the error rises
    assert found["fid", "methods"].rho == pytest.approx(-1)
    assert math.isnan(found["fid", "methods"].low)
    table = agreement_table(list(found.values()), "puppets")
    assert [row.method for row in table.rows] == ["csim/some", "fid/some"]


def test_a_proxy_that_knows_nothing_has_an_interval_around_zero(tmp_path):
    generator = np.random.default_rng(4)
    simulated(tmp_path, lambda error: generator.uniform())
    found = {(one.metric, one.level): one for one in agreements(tmp_path)}
    assert found["csim", "cases"].low < 0 < found["csim", "cases"].high


def test_a_run_without_truth_is_refused(tmp_path):
    simulated(tmp_path, lambda error: error)
    cases = pd.read_parquet(tmp_path / "cases.parquet")
    cases[cases["metric"] != "l1"].to_parquet(tmp_path / "cases.parquet")
    with pytest.raises(BenchbedError, match="has no true errors"):
        agreements(tmp_path)


def test_the_ladder_marks_what_is_not_seen(answers):
    table = ladder_table(list(answers.values()), "puppets")
    cells = {
        (row.method.split(" (")[0], column.label): cell
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }
    assert 1 not in cells["identity mix", "L1"].footnotes
    assert cells["landmark noise", "L1"].text == "-"
