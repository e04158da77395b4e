"""One run from plan to table: execute what is missing, compile, aggregate, log."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbed.aggregate import aggregate, cases_frame, costs, frames_frame, read_records, stages_frame
from benchbed.best_of import best_of_views
from benchbed.errors import ClipError
from benchbed.executors.local import ExecutionSummary, execute
from benchbed.plan import RunPlan
from benchbed.plots import curves
from benchbed.tables.build import Table, build_tables
from benchbed.tables.render import render
from benchbed.tables.sweep import leak_table, merge_sweeps, sweep_points
from benchbed.tracking.environment import environment
from benchbed.tracking.samples import save_grid
from benchbed.tracking.store import Store, file_name

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

TABLE_FILES = {"markdown": "md", "csv": "csv", "latex": "tex", "html": "html"}


@dataclass(frozen=True)
class RunResult:
    """What a finished run hands back."""

    folder: Path
    summary: ExecutionSummary
    aggregate: pd.DataFrame
    costs: pd.DataFrame
    tables: list[Table]
    samples: dict[str, list[Path]]
    failures: int


def run(
    plan: RunPlan,
    out: Path,
    *,
    command: Sequence[str],
    fresh: bool = False,
    quiet: bool = False,
    cache: Path | None = None,
    workers: int | None = 1,
) -> RunResult:
    """Carry out what the store under `out/<run id>` does not hold, then compile everything from it.

    Args:
        cache, workers: see `benchbed.executors.local.execute`.

    Raises:
        StoreError: the results cannot be written.
    """
    store = Store(out / plan.run_id)
    if fresh:
        store.clear()
    started = time.perf_counter()
    provenance: dict[str, Any] = {
        "run_id": plan.run_id,
        "state": "running",
        "command": list(command),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "request": {
            **asdict(plan.request),
            "checkpoints": {name: str(path) for name, path in plan.request.checkpoints.items()},
            "pairs": str(plan.request.pairs) if isinstance(plan.request.pairs, Path) else plan.request.pairs,
        },
        "device": plan.device,
        "environment": environment(),
        "datasets": {
            section.dataset.name: {
                "fingerprint": section.dataset.fingerprint,
                "decoder": section.dataset.decoder,
                "resolution": list(section.dataset.resolution),
                "notes": list(section.dataset.notes),
            }
            for section in plan.sections
        },
        "methods": {
            method.name: {
                "fingerprint": method.fingerprint,
                "checkpoint": None if method.checkpoint is None else method.checkpoint.name,
                "configuration": method.configuration,
                "generated_elsewhere": method.frames is not None,
            }
            for method in plan.methods
        },
        "keys": {digest: asdict(key) for section in plan.sections for digest, key in section.keys.items()},
    }
    store.write_run(provenance)
    summary = execute(plan, store, quiet=quiet, cache=cache, workers=workers)
    result = compile_results(plan, store, summary)
    provenance |= {
        "state": "finished",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 2),
        "reused_cases": summary.reused,
        "computed_cases": summary.computed,
        "failed_cases": result.failures,
    }
    store.write_run(provenance)
    return result


def compile_results(plan: RunPlan, store: Store, summary: ExecutionSummary) -> RunResult:
    """Write the parquet files, tables and sample grids from the shards."""
    stored = best_of_views(plan, read_records(plan, store))
    cases, frames = cases_frame(stored), frames_frame(stored)
    store.write_frame("cases", cases)
    store.write_frame("frames", frames)
    store.write_frame("stages", stages_frame(stored))
    table = aggregate(plan, stored)
    cost = costs(plan, stored)
    store.write_frame("aggregate", table)
    store.write_frame("costs", cost)
    notes = list(
        dict.fromkeys(note for records in stored.values() for record in records for note in record.notes)
    )
    notes += [
        f"{section.dataset.name}: {note}"
        for section in plan.sections
        for note in (*section.dataset.notes, *section.notes)
    ]
    notes += [
        f"{section.dataset.name}: {len(section.cases)} of {section.available} cases (--limit)"
        for section in plan.sections
        if section.limited
    ]
    notes = list(dict.fromkeys(notes))
    store.write_text("tables/notes.txt", "\n".join(notes))
    tables = merge_sweeps(build_tables(table, cost, notes))
    for setting, panels in sweep_points(tables).items():
        figure = curves(panels, x_label="N_ref")
        store.write_figure(store.folder / "tables" / f"reference-sweep-{setting}.png", figure)
    leak = leak_table(cases, frames)
    if leak is not None:
        tables.append(leak)
    for built in tables:
        for format_, suffix in TABLE_FILES.items():
            store.write_text(f"tables/{file_stem(built)}.{suffix}", render(built, format_))
    failures = sum(
        any(row.status == "failed" for row in record.rows)
        for records in stored.values()
        for record in records
    )
    return RunResult(store.folder, summary, table, cost, tables, _grids(plan, store), failures)


def file_stem(table: Table) -> str:
    """The file name of a table, without suffix."""
    parts = (table.dataset, table.transfer, table.setting)
    readable = [file_name(part).rsplit("-", 1)[0] for part in parts if part]
    return "-".join((table.protocol, *readable))


def _grids(plan: RunPlan, store: Store) -> dict[str, list[Path]]:
    grids: dict[str, list[Path]] = {}
    for section in plan.sections:
        for case in section.cases[: plan.request.save_samples]:
            try:
                target = section.dataset.frames(case.target or case.driving)
            except ClipError:
                continue  # the case's rows already say so
            path = save_grid(
                store, section.name, case.id, target, [method.name for method in section.methods]
            )
            if path is not None:
                grids.setdefault(section.name, []).append(path)
    return grids
