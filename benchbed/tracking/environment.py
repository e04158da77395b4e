"""Provenance: the software and hardware a run was made with; never names of people, hosts or secrets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The libraries whose version can change a number or a timing.
LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "opencv-python",
    "pillow",
    "av",
    "lpips",
    "pytorch-fid",
    "face-alignment",
    "facenet-pytorch",
    "torchreid",
    "pandas",
    "pyarrow",
    "mlflow",
    "ray",
)
GIT_SECONDS = 5.0


def environment() -> dict[str, Any]:
    """Versions, git commit, processor, devices and thread settings; only texts, numbers, booleans and None."""
    import torch

    import benchbed

    return {
        "benchbed": benchbed.__version__,
        "git": git_state(Path(benchbed.__file__).resolve().parent),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": _versions(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_bytes": _memory(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that holds a folder, and whether it has uncommitted changes; None outside of one."""
    commit = _git(folder, "rev-parse", "HEAD")
    # An installed package may lie inside a checkout of something else: only a folder that git tracks counts.
    if commit is None or not _git(folder, "ls-files", "--", "."):
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "changed": None if changed is None else bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    if sys.platform.startswith("linux"):
        try:
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        except OSError:
            return platform.machine()
    return platform.processor() or platform.machine()


def _memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)
