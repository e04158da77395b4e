"""Carry a plan out on this machine, in this process or with several methods at a time in processes of their own."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from benchbed.executors.lane import Lane, pending_cases
from benchbed.executors.processes import run_in_processes, suitable_workers
from benchbed.plan import RunPlan
from benchbed.tracking.progress import Progress
from benchbed.tracking.store import Store

log = logging.getLogger(__name__)


@dataclass
class ExecutionSummary:
    """How many cases were found stored, computed now, and failed."""

    reused: int = 0
    computed: int = 0
    failed: int = 0


def execute(
    plan: RunPlan, store: Store, *, quiet: bool = False, cache: Path | None = None, workers: int | None = 1
) -> ExecutionSummary:
    """Compute what the store does not hold yet; failures become records, never exceptions.

    Args:
        cache: folder of real-frame features, None for the user's (`benchbed.files.cache_folder`).
        workers: methods at a time; None for as many as suit machine and frames.

    Raises:
        StoreError: the results cannot be written; what was stored stays.
        BenchbedError: a worker process ended before its work.
    """
    todo = {
        method.name: sum(len(cases) for _, cases in pending_cases(plan, store, method))
        for method in plan.methods
    }
    methods = [method for method in plan.methods if todo[method.name]]
    count = sum(todo.values())
    all_cases = sum(len(section.cases) * len(section.methods) for section in plan.sections)
    summary = ExecutionSummary(reused=all_cases - count)
    log.info("%d of %d cases are stored already and reused; computing %d", summary.reused, all_cases, count)
    if workers is None:
        workers = suitable_workers(plan, count, len(methods))
    with Progress(count, quiet=quiet) as progress:
        if min(workers, len(methods)) > 1:
            names = [method.name for method in methods]
            outcomes = run_in_processes(
                plan, store, names, min(workers, len(methods)), progress.advance, cache
            )
        else:
            lane = Lane(plan, store, progress.advance, cache)
            try:
                outcomes = [lane.run(method) for method in methods]
            finally:
                lane.close()
    for outcome in outcomes:
        summary.computed += outcome.computed
        summary.failed += outcome.failed
        for line in outcome.features:
            log.info(line)
    return summary
