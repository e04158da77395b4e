"""Run what a baseline was made of again: as it is, or several times in other ways to learn how far numbers move."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchbed.drift.measurement import Measurement, read_measurement
from benchbed.errors import BenchbedError
from benchbed.plan import RunRequest, build_plan


@dataclass(frozen=True)
class Way:
    """One way of computing the same numbers.

    Args:
        batch_size: driving frames per call of a method.
        threads: of torch; None leaves the number as it is.
        environment: variables that a process has to start with; it then gets a process of its own.
    """

    batch_size: int = 16
    threads: int | None = None
    environment: tuple[tuple[str, str], ...] = ()


# Threads that wait without spinning: on a machine that does other things too they are many times faster.
WAITING = ("OMP_WAIT_POLICY", "PASSIVE")
ONE_THREAD = (("OMP_NUM_THREADS", "1"),)
TWO_THREADS = (("OMP_NUM_THREADS", "2"), WAITING)
# Narrower vector instructions than this processor has (torch, oneDNN, MKL): what another processor would compute.
NARROW = (
    ("ATEN_CPU_CAPABILITY", "avx2"),
    ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ("MKL_ENABLE_INSTRUCTIONS", "AVX2"),
)
# The first is the baseline's own; 5 does not divide the clips of the embedded default.
CPU_WAYS = (Way(), Way(1, environment=ONE_THREAD), Way(5, environment=TWO_THREADS), Way(environment=NARROW))
GPU_WAYS = (Way(), Way(1), Way(5), Way(7))
# What of a request decides numbers, and is kept with a baseline.
KEPT = (
    "protocols", "methods", "datasets", "metrics", "evaluators", "transfer", "split", "resolution", "domain",
    "alpha", "precision", "seed",
)  # fmt: skip


def kept_request(request: RunRequest) -> dict[str, Any]:
    """The part of a request that a baseline keeps, as JSON types."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(request).items()
        if name in KEPT
    }


def restored_request(kept: dict[str, Any], **changes: Any) -> RunRequest:
    """Inverse of `kept_request`; no samples are saved.

    Raises:
        BenchbedError: the file was written for other options than there are.
    """
    unknown = sorted(set(kept) - set(KEPT))
    if unknown:
        raise BenchbedError(
            f"the baseline's request names '{unknown[0]}', which this version does not know; "
            "write it anew with --update"
        )
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    return RunRequest(**{**values, "save_samples": 0, **changes})


def rerun(request: RunRequest, way: Way, out: Path, *, quiet: bool = True) -> Measurement:
    """Carry a request out in one way, with nothing taken from earlier runs or caches.

    Args:
        out: folder that the run goes into.
    """
    with tempfile.TemporaryDirectory(prefix="benchbed-features-") as cache:
        if way.environment:
            return _in_own_process(request, way, out, Path(cache))
        from benchbed.run import run

        with _threads(way.threads):
            plan = build_plan(replace(request, batch_size=way.batch_size))
            command = ["benchbed", "check"]
            done = run(plan, out, command=command, fresh=True, quiet=quiet, cache=Path(cache))
        return read_measurement(done.folder)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)


def _in_own_process(request: RunRequest, way: Way, out: Path, cache: Path) -> Measurement:
    """Vector instructions and the waiting of threads are chosen when torch is loaded, once for a process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchbed", *run_words(request, way, out)],
        env={**os.environ, **dict(way.environment), "BENCHBED_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )
    folders = [path.parent for path in out.glob("*/run.json")]
    if done.returncode > 1 or len(folders) != 1:
        said = done.stderr.strip().splitlines()
        raise BenchbedError(
            f"the repeat with {dict(way.environment)} failed: {said[-1] if said else 'it said nothing'}"
        )
    return read_measurement(folders[0])


def run_words(request: RunRequest, way: Way, out: Path) -> list[str]:
    """The `benchbed run` command line of a request."""
    words = [
        "run",
        "--no-mlflow",
        "--quiet",
        "--fresh",
        "--out",
        str(out),
        "--save-samples",
        "0",
        "--workers",
        "1",
    ]
    words += ["--device", request.device, "--precision", request.precision, "--transfer", request.transfer]
    words += ["--split", request.split, "--seed", str(request.seed), "--batch-size", str(way.batch_size)]
    words += [] if request.methods else ["--all-methods"]
    for option, values in (
        ("--protocol", request.protocols),
        ("--method", request.methods),
        ("--dataset", request.datasets),
        ("--metric", request.metrics),
        ("--resolution", () if request.resolution is None else (request.resolution,)),
        ("--domain", () if request.domain is None else (request.domain,)),
        ("--alpha", () if request.alpha is None else (request.alpha,)),
        ("--evaluator", [f"{metric}={name}" for metric, name in request.evaluators.items()]),
        ("--checkpoint", [f"{method}={path}" for method, path in request.checkpoints.items()]),
    ):
        words += [word for value in values for word in (option, str(value))]
    return words


def repeats(request: RunRequest, ways: Sequence[Way], *, quiet: bool = True) -> list[Measurement]:
    """One measurement per way."""
    with tempfile.TemporaryDirectory(prefix="benchbed-check-") as folder:
        return [rerun(request, way, Path(folder) / str(index), quiet=quiet) for index, way in enumerate(ways)]
