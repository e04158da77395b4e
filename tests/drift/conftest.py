"""`--update-baseline` for the drift check."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-baseline", action="store_true", help="record the measured numbers as the new baseline"
    )
