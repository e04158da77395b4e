"""Originals and a metadata table that several tests of preparing start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from .originals import drawn, row, write_lossless, write_metadata


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_lossless(tmp_path / "raw" / "abc-DEF_123.mp4", drawn(100))
    write_lossless(tmp_path / "raw" / "deep" / "Some title [xyz].mp4", drawn(60, seed=9))
    return tmp_path / "raw"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        row("abc-DEF_123", 10, 30, "8-4-40-36"),
        row("abc-DEF_123", 25, 50, "0-0-64-48"),
        row("abc-DEF_123", 60, 70, "20-10-60-48", partition="train"),
        row("xyz", 0, 12, "1-1-33-33"),
        row("gone", 5, 9, "0-0-9-9"),
    ]
    return write_metadata(tmp_path / "metadata.csv", rows)
