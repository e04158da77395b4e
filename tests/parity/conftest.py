"""Every stage of every fixture becomes a test; the session ends with a table of the largest errors (tests/conftest.py).

A method joins with one file: `METHOD`, its name in the fixtures, and `STAGES`, kind of stage ->
callable `(fixture, stage, inputs) -> outputs by role`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .fixtures import DEFAULT_FOLDER, find_fixtures, load_fixture


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = {"fixture_path", "stage_name"} & set(metafunc.fixturenames)
    if not wanted:
        return
    given = getattr(metafunc.config.option, "parity_fixtures", None)
    folder = Path(given) if given else DEFAULT_FOLDER
    paths = list(find_fixtures(folder, metafunc.module.METHOD)) if folder.is_dir() else []
    if not paths:
        reason = f"no {metafunc.module.METHOD} fixtures in {given or 'the folder ../shared/parity'}"
        values = [None] * len(wanted)
        absent = pytest.param(*values, marks=pytest.mark.skip(reason=reason), id="no-fixtures")
        metafunc.parametrize(sorted(wanted), [absent])
    elif "stage_name" in wanted:
        stages = [
            pytest.param(path, stage.name, id=f"{path.stem}-{stage.name}")
            for path in paths
            for stage in load_fixture(path).stages
        ]
        metafunc.parametrize(["fixture_path", "stage_name"], stages)
    else:
        metafunc.parametrize("fixture_path", [pytest.param(path, id=path.stem) for path in paths])
