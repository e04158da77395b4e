"""Many originals at a time, a process each; a process that dies takes one original with it and no more."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchbed.datasets.prepare.chunks import Chunk
from benchbed.datasets.prepare.records import Recipe
from benchbed.datasets.prepare.recut import DiskFullError, Job, Outcome, recut

log = logging.getLogger(__name__)


def suitable_workers(jobs: int) -> int:
    """As many processes as cores that may be used, and no more than originals."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, jobs))


def carry_out(
    jobs: Sequence[Job], root: Path, recipe: Recipe, workers: int
) -> Generator[Outcome, None, None]:
    """Carry jobs out, `workers` at a time; outcomes come as they happen, every clip has one.

    Closing it ends the processes.

    Raises:
        DiskFullError: there is no space left; what is finished stays.
    """
    if workers > 1:
        yield from _in_processes(jobs, root, recipe, workers)
        return
    for job in jobs:
        yield from _outcomes(job, root, recipe, threads=0)


def _outcomes(job: Job, root: Path, recipe: Recipe, threads: int) -> Iterator[Outcome]:
    """An outcome for every clip of a job, whatever happens."""
    left = list(job.chunks)
    try:
        for outcome in recut(job, root, recipe, threads):
            left.remove(outcome.chunk)
            yield outcome
    except (DiskFullError, KeyboardInterrupt):
        raise
    except Exception as error:  # decoders and filters meet numbers in broken files that nobody foresaw
        log.debug("%s", job.name, exc_info=True)
        for chunk in left:
            reason = f"{job.name} cannot be used: {type(error).__name__}: {error}"
            yield Outcome(chunk, None, "unreadable video", reason)


@dataclass
class _Worker:
    """A process and what it is at."""

    process: Any
    connection: Connection
    job: Job
    left: list[Chunk] = field(default_factory=list)


def _in_processes(jobs: Sequence[Job], root: Path, recipe: Recipe, count: int) -> Iterator[Outcome]:
    waiting = deque(jobs)
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < count:
                worker = _start(root, recipe, waiting.popleft())
                workers[worker.connection] = worker
            for ready in wait(list(workers)):
                assert isinstance(ready, Connection)
                worker = workers[ready]
                try:
                    message = ready.recv()
                except (EOFError, OSError):
                    del workers[ready]
                    yield from _lost(worker)
                    continue
                if isinstance(message, Outcome):
                    worker.left.remove(message.chunk)
                    yield message
                elif message == "full":
                    raise DiskFullError
                elif waiting:
                    _give(worker, waiting.popleft())
                else:
                    del workers[ready]
                    _end(worker)
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            _end(worker)


def _start(root: Path, recipe: Recipe, job: Job) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, root, recipe), daemon=True)
    process.start()
    theirs.close()
    worker = _Worker(process, ours, job)
    _give(worker, job)
    return worker


def _give(worker: _Worker, job: Job) -> None:
    worker.job, worker.left = job, list(job.chunks)
    with suppress(OSError):  # it has just died: its end of the connection says so next
        worker.connection.send(job)


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.join()


def _lost(worker: _Worker) -> Iterator[Outcome]:
    """Outcomes of the clips that a process had not finished when it died."""
    _end(worker)
    for chunk in worker.left:
        reason = f"the process that read {worker.job.name} ended with code {worker.process.exitcode}"
        yield Outcome(chunk, None, "decoder ended", reason)


def _serve(connection: Connection, root: Path, recipe: Recipe) -> None:
    """The life of a process: jobs, until the other end of the connection is gone."""
    # An interrupt is the business of whoever started this process, who ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            try:
                for outcome in _outcomes(job, root, recipe, threads=1):
                    connection.send(outcome)
            except DiskFullError:
                connection.send("full")
                return
            connection.send("done")
