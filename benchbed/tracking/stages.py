"""Short digests of what passes through a case, stage by stage: they tell where two runs part.

Every stage leaves an exact digest, and a coarse summary that float noise moves by float noise only: mean, standard
deviation and four projections. Equal digests are equal tensors; where they differ, the summaries say by how much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

DECODED, ENCODING, GENERATED, FEATURES, METRIC = STAGES = (
    "decoded frames",
    "source encoding",
    "generated frames",
    "features",
    "metric",
)
PROJECTIONS = 4
SUMMARY = ("mean", "std", *(f"projection_{index}" for index in range(PROJECTIONS)))
# Of what is larger than this only every k-th element is taken, of all tensors but the small ones. Keeps the cost below
# a millisecond and what a GPU hands over small; a chunk of frames of 64x64 is taken whole as bytes.
BYTES = 1 << 18
SMALL = 1 << 12
# Length of the sign patterns: a prime, so that no row, channel or frame is a multiple of it.
PERIOD = 4093


@dataclass(frozen=True)
class StageDigest:
    """What one stage of one case came to.

    Args:
        stage: one of `STAGES`.
        name: what of it (`source`, `driving`, `target`, the evaluator, the metric variant), empty where it is one.
        digest: 16 hex digits of the sha256 over the bytes, shapes and types.
        summary: mean, standard deviation and projections on fixed random signs, divided by the root of the count: all
            in the unit of the values.
    """

    stage: str
    name: str
    digest: str
    summary: tuple[float, ...]

    def distance(self, other: StageDigest) -> float:
        """Largest difference of the summaries, as a share of the values' root mean square; 0 for equal digests."""
        if self.digest == other.digest:
            return 0.0
        first, second = np.asarray(self.summary), np.asarray(other.summary)
        scale = max(float(np.hypot(*first[:2])), float(np.hypot(*second[:2])))
        return float(np.abs(first - second).max() / scale) if scale > 0 else 0.0


@lru_cache(maxsize=1)
def _signs() -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(0))
    signs = generator.integers(0, 2, (PROJECTIONS, PERIOD)) * 2.0 - 1.0
    return signs - signs.mean(axis=1, keepdims=True)  # the mean has a place of its own in the summary


class _Running:
    """Digest and sums of a stream of numbers: how it was cut into pieces does not show in the sums."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0
        self._folded = np.zeros(PERIOD)

    def text(self, text: str) -> None:
        self._hash.update(text.encode())

    def numbers(self, values: np.ndarray) -> None:
        self._hash.update(np.ascontiguousarray(values).data)
        flat = values.astype(np.float64)
        if not np.isfinite(flat).all():
            flat = np.nan_to_num(flat, posinf=0.0, neginf=0.0)
        self._sum += float(flat.sum())
        self._squares += float(flat @ flat)
        start = self._count % PERIOD
        padded = np.zeros(-(-(start + flat.size) // PERIOD) * PERIOD)
        padded[start : start + flat.size] = flat
        self._folded += padded.reshape(-1, PERIOD).sum(axis=0)
        self._count += flat.size

    def result(self, stage: str, name: str) -> StageDigest:
        count = max(self._count, 1)
        mean = self._sum / count
        spread = np.sqrt(max(0.0, self._squares / count - mean**2))
        summary = (mean, spread, *(_signs() @ self._folded / np.sqrt(count)))
        return StageDigest(
            stage, name, self._hash.hexdigest()[:16], tuple(float(f"{x:.9g}") for x in summary)
        )


class StageRecorder:
    """Collects the stages of one case, in the order in which they come; a stage may come in chunks."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], _Running] = {}

    def add(self, stage: str, value: Any, name: str = "") -> None:
        """Take in a tensor, or anything that holds tensors: data classes, mappings, sequences, objects.

        Args:
            stage: one of `STAGES`.
            value: not kept.
            name: what of the stage it is.
        """
        running = self._running.setdefault((stage, name), _Running())
        found = list(leaves(value))
        size = sum(leaf.numel() * leaf.element_size() for _, leaf in found if isinstance(leaf, Tensor))
        for path, leaf in found:
            if isinstance(leaf, Tensor):
                running.text(f"{path} {tuple(leaf.shape)} {leaf.dtype}")
                running.numbers(_thinned(leaf, -(-size // BYTES)))
            else:
                running.text(f"{path} {leaf!r}")

    def repeat(self, stage: str, name: str, again: str) -> None:
        """Record what is already recorded under one name under another one as well."""
        self._running[stage, again] = self._running[stage, name]

    def digests(self) -> tuple[StageDigest, ...]:
        """All stages so far."""
        return tuple(running.result(stage, name) for (stage, name), running in self._running.items())


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors, numbers and texts that a value holds, each with its place, in an order that the value decides.

    Rows of features that were not found are zero: what a network says of them means nothing.
    """
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, np.ndarray):
        yield path, torch.from_numpy(np.ascontiguousarray(value))
    elif value is None or isinstance(value, str | int | float | bool):
        yield path, value
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from leaves(value[key], f"{path}.{key}")
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}.{index}")
    elif is_dataclass(value):
        found = getattr(value, "found", None)
        for field in fields(value):
            part = getattr(value, field.name)
            if isinstance(found, Tensor) and isinstance(part, Tensor) and part.ndim == found.ndim + 1:
                part = torch.where(found.unsqueeze(-1), part, torch.zeros_like(part))
            yield from leaves(part, f"{path}.{field.name}")
    else:
        # Of anything else only what it says of itself in attributes: never a module's or a handle's address.
        yield path, type(value).__name__
        attributes = getattr(value, "__dict__", {}) if not isinstance(value, torch.nn.Module) else {}
        for key in sorted(attributes):
            yield from leaves(attributes[key], f"{path}.{key}")


def _thinned(tensor: Tensor, step: int) -> np.ndarray:
    """A flat array of every `step`-th element, one further where that is even: so it meets every channel."""
    flat = tensor.detach().flatten()
    if step > 1 and flat.numel() * flat.element_size() > SMALL:
        flat = flat[:: step | 1]
    if flat.dtype == torch.bfloat16:
        flat = flat.float()
    return flat.cpu().numpy()
