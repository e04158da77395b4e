"""A small world for the drift check: three puppet clips, and a baseline of two methods on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

METHODS = ("flow", "fomm")


@pytest.fixture(scope="session")
def _baseline_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchbed.datasets.puppets import dataset
    from benchbed.drift.baseline import measure_part, updated, write_baseline
    from benchbed.drift.rerun import Way
    from benchbed.plan import RunRequest

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dataset, "TEST_CLIPS", 3)
        request = RunRequest(protocols=("reconstruction",), methods=METHODS, device="cpu", save_samples=0)
        part = measure_part(request, "for the tests", "cpu", ways=(Way(), Way(1, 1), Way(5, 2)))
    path = tmp_path_factory.mktemp("baseline") / "three-clips.json"
    write_baseline(updated(None, request, part), path)
    return path


@pytest.fixture
def baseline_file(_baseline_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The baseline, in a world of three clips."""
    from benchbed.datasets.puppets import dataset

    monkeypatch.setattr(dataset, "TEST_CLIPS", 3)
    return _baseline_file


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """What a test does to the number of threads ends with it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
