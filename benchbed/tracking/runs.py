"""What a stored run measured, as far as published tables need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbed.errors import BenchbedError
from benchbed.papers.names import printed_dataset

if TYPE_CHECKING:
    import pandas as pd

RUNS = Path("runs")


@dataclass(frozen=True)
class StoredRun:
    """A finished run.

    Args:
        folder: where it lies.
        provenance: its `run.json`.
        records: the rows of its `aggregate.parquet`.
    """

    folder: Path
    provenance: dict[str, Any]
    records: tuple[dict[str, Any], ...]

    @property
    def id(self) -> str:
        return self.folder.resolve().name

    @cached_property
    def cases(self) -> pd.DataFrame:
        """`cases.parquet`, with an empty `setting` where the run has none."""
        return _read(self.folder / "cases.parquet")

    @cached_property
    def frames(self) -> pd.DataFrame:
        """`frames.parquet`, with an empty `setting` where the run has none."""
        return _read(self.folder / "frames.parquet")

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of its data sets, in order."""
        return tuple(dict.fromkeys(record["dataset"] for record in self.records))

    @property
    def unpublished(self) -> tuple[str, ...]:
        """Those of its data sets that no paper's table has."""
        return tuple(name for name in self.datasets if not printed_dataset(name))

    def clips(self, record: dict[str, Any]) -> int:
        """How many cases a record's value was measured on."""
        cases = self.cases
        same = (cases["status"] == "ok") & (cases["variant"] == record["variant"])
        for name in ("method", "dataset", "protocol", "transfer", "setting"):
            same &= cases[name] == record[name]
        return int(cases.loc[same, "case"].nunique())


def open_run(name: Path | str) -> StoredRun:
    """A run by its folder, or by its id below `runs/`.

    Raises:
        BenchbedError: there is no finished run.
    """
    import pandas as pd

    given = Path(name).expanduser()
    folder = next((path for path in (given, RUNS / given) if (path / "aggregate.parquet").exists()), None)
    if folder is None:
        raise BenchbedError(
            f"'{name}' is not a finished run; give a folder that `benchbed run` printed after 'results:', or "
            "its name where it lies in runs/"
        )
    aggregate = _with_setting(pd.read_parquet(folder / "aggregate.parquet"))
    records = tuple({str(key): value for key, value in row.items()} for row in aggregate.to_dict("records"))
    provenance = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return StoredRun(folder, provenance, records)


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    return _with_setting(pd.read_parquet(path))


def _with_setting(frame: pd.DataFrame) -> pd.DataFrame:
    """Runs of one setting leave the column empty or, in older files, out."""
    if "setting" not in frame.columns:
        return frame.assign(setting="")
    return frame.assign(setting=frame["setting"].fillna(""))
