"""Several methods at a time on a CPU, each in a process of its own: small frames keep few threads of one busy."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from benchbed.errors import BenchbedError
from benchbed.executors.lane import Lane, Outcome
from benchbed.plan import RunPlan, RunRequest, build_plan
from benchbed.tracking.store import Store

SMALL_FRAMES = 128  # pixels; larger frames keep all cores busy one method at a time
WORTH_STARTING = 200  # cases; a process takes seconds to start
MEMORY_EACH = 3 << 30
LOOK_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class _Work:
    """What every process is told."""

    request: RunRequest
    run_id: str
    folder: Path
    cache: Path | None
    threads: int
    log_level: int


def suitable_workers(plan: RunPlan, cases: int, methods: int) -> int:
    """How many methods to run at a time, where nobody says: more than one for many cases of small frames on CPUs.

    Args:
        cases, methods: that are still to be computed.
    """
    small = all(max(section.dataset.resolution) <= SMALL_FRAMES for section in plan.sections)
    made_here = all(method.frames is None for method in plan.methods)
    if plan.device != "cpu" or not small or not made_here or cases < WORTH_STARTING:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, methods, psutil.virtual_memory().available // MEMORY_EACH))


def run_in_processes(
    plan: RunPlan,
    store: Store,
    names: Sequence[str],
    workers: int,
    advance: Callable[[str], None],
    cache: Path | None,
) -> list[Outcome]:
    """Carry methods out, `workers` at a time; each process makes the plan anew from its request.

    Args:
        names: of the methods, in the order they are begun.
        advance: called for every case that is done, with what was worked on.

    Raises:
        StoreError: the results cannot be written; what was stored stays.
        BenchbedError: a process ended before its work, for lack of memory perhaps; what was stored stays.
    """
    context = multiprocessing.get_context("spawn")
    tasks, messages = context.Queue(), context.Queue()
    for name in [*names, *[None] * workers]:
        tasks.put(name)
    threads = max(1, torch.get_num_threads() // workers)
    level = logging.getLogger("benchbed").getEffectiveLevel()
    work = _Work(plan.request, plan.run_id, store.folder, cache, threads, level)
    started = [
        context.Process(target=_carry_out, args=(work, tasks, messages, os.getpid()), daemon=True)
        for _ in range(workers)
    ]
    for process in started:
        process.start()
    outcomes: list[Outcome] = []
    try:
        while len(outcomes) < len(names):
            all_ended = all(process.exitcode is not None for process in started)
            try:
                kind, content = messages.get(timeout=LOOK_EVERY_SECONDS)
            except queue.Empty:
                _require_alive(started, all_ended=all_ended)
                continue
            if kind == "case":
                advance(content)
            elif kind == "log":
                logging.getLogger(content.name).handle(content)
            elif kind == "outcome":
                outcomes.append(content)
            else:
                raise content
    finally:
        for process in started:
            if len(outcomes) < len(names):
                process.terminate()
            process.join()
    return outcomes


def _require_alive(processes: Sequence[Any], *, all_ended: bool) -> None:
    codes = [process.exitcode for process in processes if process.exitcode not in (None, 0)]
    if codes or all_ended:
        raise BenchbedError(
            f"a worker process ended with code {codes[0] if codes else 0} before its work was done (out of memory?); what is stored "
            "stays, and the same command goes on; --workers 1 needs the least memory"
        )


class _Forward(logging.handlers.QueueHandler):
    """Log records become messages for the process that shows them."""

    def __init__(self, messages: Any) -> None:
        super().__init__(messages)
        self._messages = messages

    def enqueue(self, record: logging.LogRecord) -> None:
        self._messages.put(("log", record))


def _carry_out(work: _Work, tasks: Any, messages: Any, parent: int) -> None:
    """The life of a worker process: the plan, then methods until there are none."""
    # An interrupt is the business of whoever started this process, who ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("benchbed").addHandler(_Forward(messages))
    logging.getLogger("benchbed").setLevel(work.log_level)

    def advance(what: str) -> None:
        if os.getppid() != parent:
            os._exit(1)  # whoever asked for the results is gone
        messages.put(("case", what))

    try:
        torch.set_num_threads(work.threads)
        plan = build_plan(work.request)
        if plan.run_id != work.run_id:
            raise BenchbedError("code or data changed while the run began; run the command again")
        methods = {method.name: method for method in plan.methods}
        lane = Lane(plan, Store(work.folder), advance, work.cache)
        try:
            while (name := tasks.get()) is not None:
                messages.put(("outcome", lane.run(methods[name])))
        finally:
            lane.close()
    except BenchbedError as error:
        messages.put(("error", error))
    except Exception as error:
        messages.put(("error", BenchbedError(f"a worker process failed: {type(error).__name__}: {error}")))
