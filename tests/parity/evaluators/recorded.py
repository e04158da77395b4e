"""Recorded evaluator fixtures: arrays, seeded weights and bounds, whatever their seeds and sizes.

A test module names the fixtures it reads, `FIXTURES = ("fid_inception",)`, and its tests take the argument
`recorded` (a `Recorded`); they run once per matching file of the folder given by `--fixtures DIR`, else of
`../shared/parity/evaluators`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..fixtures import seeded_tensor


class Recorded:
    """One fixture: `facts` of the JSON, `arrays` of the npz beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.tolerance: dict[str, Any] = self.facts.get("tolerance", {})

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz")) as opened:
            return {name: opened[name] for name in opened.files}

    def frames(self, name: str) -> Tensor:
        """An uint8 array `[H, W, 3]` or `[N, H, W, 3]` as frames `[N, 3, H, W]` in [0, 1]."""
        images = self.arrays[name]
        images = images if images.ndim == 4 else images[None]
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255

    def weights(self) -> dict[str, Tensor]:
        """The seeded tensors under their published names (the network's name in front is dropped)."""
        generate = seeded_tensor(self.path.parent)
        seed, gain, gains = self.facts["seed"], self.facts["gain"], self.facts.get("gains", {})
        return {
            name.split(".", 1)[1]: torch.from_numpy(
                np.asarray(generate(name, tuple(shape), seed, gains.get(name, gain)))
            )
            for name, shape in self.facts["parameters"].items()
        }

    def require(self, output: str, ours: np.ndarray, bound: str | None = None) -> None:
        """Fail unless `ours` equals the recorded array within the tolerance of `bound` (default: the output's own)."""
        allowed = self.tolerance[bound or output]
        np.testing.assert_allclose(
            ours, self.arrays[output], atol=allowed.get("atol", 0.0), rtol=allowed.get("rtol", 0.0)
        )


def find_recorded(folder: Path, fixtures: tuple[str, ...]) -> Iterator[Path]:
    """JSON files of these fixtures in a folder or its direct sub-folders; other seeds may carry a longer name."""
    for path in sorted([*folder.glob("*.json"), *folder.glob("*/*.json")]):
        record = json.loads(path.read_text(encoding="utf-8"))
        name = record.get("fixture", "") if isinstance(record, dict) else ""
        if "method" not in record and any(name == f or name.startswith(f"{f}_") for f in fixtures):
            yield path
