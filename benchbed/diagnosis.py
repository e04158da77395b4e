"""What `benchbed doctor` looks at: libraries, device, cards, bundled weights, caches."""

from __future__ import annotations

import importlib
import os
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchbed.errors import BenchbedError
from benchbed.files import cache_folder
from benchbed.registry import Card, cards, registry

LIBRARIES = (
    "torch",
    "torchvision",
    "av",
    "cv2",
    "skimage",
    "lpips",
    "pytorch_fid",
    "facenet_pytorch",
    "pyarrow",
    "mlflow",
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    subject: str
    ok: bool
    text: str


def diagnose() -> list[Finding]:
    """Everything worth knowing before a long run, problems included."""
    findings = [_library(name) for name in LIBRARIES]
    findings += [_device(), _registry()]
    for card in cards("method"):
        findings.append(_buildable(card))
    findings += [_evaluator(card) for card in cards("evaluator")]
    findings.append(_writable("feature cache", cache_folder()))
    return findings


def _library(name: str) -> Finding:
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a broken binary raises whatever it likes; that is what is looked for
        return Finding(name, False, f"cannot be imported: {error}; install it again with pip")
    try:
        text = version(
            name.replace("cv2", "opencv-python-headless").replace("skimage", "scikit-image").replace("_", "-")
        )
    except PackageNotFoundError:
        text = getattr(module, "__version__", "version unknown")
    return Finding(name, True, text)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", True, f"{torch.cuda.get_device_name(0)}, {torch.cuda.device_count()} in all")
    return Finding("device", True, f"no CUDA device; CPU with {torch.get_num_threads()} threads")


def _registry() -> Finding:
    problems = registry().problems
    if problems:
        return Finding("cards", False, "; ".join(problems))
    counts = ", ".join(
        f"{len(cards(kind))} {kind}s" for kind in ("method", "metric", "evaluator", "protocol", "dataset")
    )
    return Finding("cards", True, counts)


def _buildable(card: Card) -> Finding:
    from benchbed.plan import RunRequest, plan_method

    try:
        planned = plan_method(card.name, RunRequest(protocols=()))
        card.load()(checkpoint=planned.checkpoint, configuration=None)
    except BenchbedError as error:
        return Finding(f"method {card.name}", False, str(error))
    return Finding(
        f"method {card.name}", True, planned.checkpoint.name if planned.checkpoint else "no weights needed"
    )


def _evaluator(card: Card) -> Finding:
    import torch

    from benchbed.measuring import build_instrument, missing_weights

    missing = missing_weights(card)
    if missing:
        # Not broken: nobody has to have every network's weights.
        return Finding(
            f"evaluator {card.name}", True, f"weights missing: benchbed weights pull {' '.join(missing)}"
        )
    try:
        instrument = build_instrument(card, torch.device("cpu"))
    except BenchbedError as error:
        return Finding(f"evaluator {card.name}", False, str(error))
    unverified = ", not the published weights" if instrument.unverified else ""
    return Finding(f"evaluator {card.name}", True, f"{instrument.evaluator.fingerprint}{unverified}")


def _writable(subject: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            subject,
            False,
            f"'{folder}' cannot be written: {os.strerror(error.errno or 0)}; set BENCHBED_CACHE",
        )
    return Finding(subject, True, str(folder))
