"""Results by motion and by distance: the strata are quarters of the same frames for all, and add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError
from benchbed.motion import displacement
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.strata import STRATA, strata_plot, strata_tables, stratify
from benchbed.tracking.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    request = RunRequest(
        ("reconstruction",),
        ("static", "flow"),
        metrics=("l1", "psnr", "fid"),
        limit=6,
        device="cpu",
        save_samples=0,
    )
    return run(build_plan(request), tmp_path_factory.mktemp("runs"), command=["test"], quiet=True).folder


def test_motion_is_the_exact_displacement_from_the_source_frame(folder):
    frames = pd.read_parquet(folder / "frames.parquet")
    dataset = open_dataset("puppets")
    clip = frames["case"].iloc[0]
    points = dataset.keypoints(clip)
    both = points.visible[5] & points.visible[0]
    expected = np.linalg.norm(points.positions[5] - points.positions[0], axis=1)[both].mean()
    found = frames[(frames["case"] == clip) & (frames["frame"] == 5)]["motion"]
    assert np.allclose(found, expected, rtol=1e-6)
    assert (frames[frames["frame"] == 0]["motion"] == 0).all()


def test_frames_that_share_no_point_have_no_motion():
    start, known = np.zeros((2, 2)), np.array([True, False])
    positions = np.array([[[3.0, 4.0], [9.0, 9.0]], [[1.0, 0.0], [0.0, 2.0]]])
    found = displacement(start, known, positions, np.array([[True, True], [False, True]]))
    assert found[0] == 5 and math.isnan(found[1])


@pytest.mark.parametrize("by", ["motion", "distance"])
def test_the_strata_hold_all_frames_and_average_to_the_whole(folder, by):
    result = stratify(folder, by)
    frames = pd.read_parquet(folder / "frames.parquet")
    for method in ("static", "flow"):
        own = [v for v in result.values if v.method == method and v.metric == "l1"]
        assert [value.stratum for value in own] == list(range(STRATA))
        assert [value.middle for value in own] == sorted(value.middle for value in own)
        whole = frames[(frames["method"] == method) & (frames["metric"] == "l1")]["value"]
        assert sum(value.n for value in own) == len(whole) == 96
        assert sum(value.value * value.n for value in own) / len(whole) == pytest.approx(
            whole.mean(), rel=1e-9
        )
    # the further the puppet has moved, the worse is a picture that stands still
    still = [v.value for v in result.values if v.method == "static" and v.metric == "l1"]
    assert still[0] < still[-1]


def test_too_few_frames_give_no_distribution_and_say_so(folder):
    table = next(table for table in strata_tables(stratify(folder, "motion")) if table.title.startswith("L1"))
    assert len(table.columns) == STRATA and {row.method for row in table.rows} == {"static", "flow"}
    # 24 frames in a stratum: no FID
    assert not any(value.metric == "fid" for value in stratify(folder, "motion").values)


def test_the_curves_are_a_picture(folder, tmp_path):
    strata_plot(stratify(folder, "motion"), tmp_path / "curves.png", Store(folder).write_figure)
    assert (tmp_path / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_folder_that_is_no_run_is_answered_with_a_sentence(tmp_path):
    with pytest.raises(BenchbedError, match="holds no finished run; give a folder below runs/"):
        stratify(tmp_path, "motion")


def test_unknown_motion_is_said_and_distance_still_works(fakes, tmp_path):
    request = RunRequest(
        ("reconstruction",), ("dimmed",), ("squares",), ("l1",), device="cpu", save_samples=0
    )
    folder = run(build_plan(request), tmp_path, command=["test"], quiet=True).folder
    with pytest.raises(BenchbedError, match="nothing there knows key points, so motion is unknown"):
        stratify(folder, "motion")
    assert len(stratify(folder, "distance").values) == STRATA
