"""Every test that takes `recorded` runs once per recorded fixture of its module's `FIXTURES`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..fixtures import DEFAULT_FOLDER
from .recorded import Recorded, find_recorded


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recorded" not in metafunc.fixturenames:
        return
    given = getattr(metafunc.config.option, "parity_fixtures", None)
    folder = Path(given) if given else DEFAULT_FOLDER
    names = metafunc.module.FIXTURES
    paths = list(find_recorded(folder, names)) if folder.is_dir() else []
    if paths:
        values = [pytest.param(Recorded(path), id=path.stem) for path in paths]
    else:
        reason = f"no fixtures of {', '.join(names)} in {given or 'the folder ../shared/parity'}"
        values = [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-fixtures")]
    metafunc.parametrize("recorded", values)
