"""The parity runner itself: a wrong number, a wrong shape and an unknown stage are seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from .fixtures import Fixture, find_fixtures
from .stages import check_stage


def written(folder: Path) -> Path:
    stored = np.arange(8, dtype=np.float32).reshape(1, 8)
    np.savez(folder / "one.npz", image=stored, **{"double.value": (2 * stored)[:, ::2]})
    record = {
        "method": "example",
        "fixture": "one",
        "config": {},
        "seed": 1,
        "gain": 1.0,
        "gains": {},
        "constants": [],
        "parameter_counts": {},
        "parameters": {},
        "stages": [{"name": "double", "kind": "double", "inputs": ["image"], "outputs": ["double.value"]}],
        "outputs": {"double.value": {"stride": [1, 2], "atol": 1e-3, "rtol": 0.0}},
    }
    (folder / "one.json").write_text(json.dumps(record), encoding="utf-8")
    return folder / "one.json"


def test_fixtures_are_found_in_the_folder_and_one_below(tmp_path):
    written(tmp_path)
    below = tmp_path / "example"
    below.mkdir()
    written(below)
    assert len(list(find_fixtures(tmp_path, "example"))) == 2
    assert list(find_fixtures(tmp_path, "other")) == []


def test_right_outputs_pass_and_report_their_error(tmp_path):
    reported = {}
    stages = {"double": lambda fixture, stage, inputs: {"value": 2 * inputs["image"] + 5e-4}}
    check_stage(stages, written(tmp_path), "double", lambda name, value: reported.update({name: value}))
    assert reported["parity"][:4] == ("example", "one", "double", "double.value")
    assert reported["parity"][4] == pytest.approx(5e-4, rel=1e-2)


@pytest.mark.parametrize("wrong", [2e-3, float("nan")])
def test_outputs_beyond_the_bound_fail(tmp_path, wrong):
    comparison = Fixture(written(tmp_path)).compare("double.value", 2 * torch.arange(8.0)[None] + wrong)
    assert not comparison.within


def test_another_shape_fails(tmp_path):
    with pytest.raises(AssertionError, match="shape"):
        Fixture(written(tmp_path)).compare("double.value", torch.zeros(1, 4))


def test_an_unknown_stage_kind_fails_with_its_name(tmp_path):
    with pytest.raises(pytest.fail.Exception, match="unknown stage kind 'double'"):
        check_stage({}, written(tmp_path), "double", lambda name, value: None)
