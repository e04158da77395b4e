"""Parity fixtures: what a folder of them holds, the weights they ask for, and whether our outputs match.

Nothing here knows a method; seeds, names, shapes, strides and bounds are read from each fixture's JSON.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = REPOSITORY.parent / "shared" / "parity"
SEEDED_WEIGHTS = "seeded_weights.py"


@dataclass(frozen=True)
class Stage:
    """One recorded call: what goes in, what came out, with which options."""

    name: str
    kind: str
    params: Mapping[str, Any]
    arguments: Mapping[str, str]
    outputs: tuple[str, ...]

    def role(self, output: str) -> str:
        """What an output is within the stage: its name without the stage's."""
        return output.removeprefix(self.name).lstrip("./")


@dataclass(frozen=True)
class Comparison:
    """How far an output is from the recorded one.

    Args:
        largest: largest absolute difference.
        share: the worst element's difference as a share of what its bound allows; at most 1 passes.
    """

    output: str
    largest: float
    share: float

    @property
    def within(self) -> bool:
        return self.share <= 1.0


class Fixture:
    """One JSON file and the arrays beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        return self.record.get("fixture", self.path.stem)

    @property
    def method(self) -> str:
        return self.record["method"]

    @property
    def config(self) -> dict[str, Any]:
        return self.record["config"]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(
            Stage(
                stage["name"],
                stage.get("kind", stage["name"]),
                stage.get("params", {}),
                stage.get("arguments", {name: name for name in stage["inputs"]}),
                tuple(stage["outputs"]),
            )
            for stage in self.record["stages"]
        )

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path.with_suffix(".npz")) as opened:
            return {name: opened[name] for name in opened.files}

    def inputs(self, stage: Stage) -> dict[str, Tensor]:
        """The stage's inputs by role."""
        return {role: torch.from_numpy(self.arrays[name]) for role, name in stage.arguments.items()}

    def shapes(self, network: str) -> dict[str, tuple[int, ...]]:
        """Shape by name of everything in a network's published state dict."""
        prefix = f"{network}."
        return {
            name.removeprefix(prefix): tuple(shape)
            for name, shape in self.record["parameters"].items()
            if name.startswith(prefix)
        }

    def weights(self, network: str) -> dict[str, Tensor]:
        """The seeded tensors of a network; constants are left out, their constructor computes them."""
        generate = seeded_tensor(self.path.parent)
        record = self.record
        tensors = {}
        for name, shape in self.shapes(network).items():
            full = f"{network}.{name}"
            if full in record["constants"]:
                continue
            gain = record["gains"].get(full, record["gain"])
            tensors[name] = torch.from_numpy(generate(full, tuple(shape), record["seed"], gain))
        return tensors

    def load(self, network: str, module: torch.nn.Module) -> None:
        """Put the seeded weights into a module whose state dict has exactly the published names and shapes."""
        own = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        published = self.shapes(network)
        if own != published:
            differing = sorted(set(own.items()) ^ set(published.items()))
            raise AssertionError(f"{network} of {self.path.name} differs from ours in: {differing[:6]}")
        module.load_state_dict(self.weights(network), strict=False)
        module.eval()

    def compare(self, output: str, ours: Tensor) -> Comparison:
        """Our output against the recorded one, thinned as that was."""
        bounds, stored = self.record["outputs"][output], self.arrays[output].astype(np.float64)
        full = ours.detach().double().numpy()
        if stored.shape != full.shape and full.ndim == 0:
            full = full.reshape(1)
        thinned = full[tuple(slice(None, None, step) for step in bounds.get("stride", ()))]
        if thinned.shape != stored.shape:
            raise AssertionError(f"{output}: shape {thinned.shape} where {stored.shape} was recorded")
        difference = np.abs(thinned - stored)
        if not np.isfinite(difference).all():
            return Comparison(output, float("inf"), float("inf"))
        shares = [0.0]
        if "atol" in bounds or "rtol" in bounds:
            allowed = bounds.get("atol", 0.0) + bounds.get("rtol", 0.0) * np.abs(stored)
            shares.append(float(np.max(difference / np.maximum(allowed, np.finfo(np.float64).tiny))))
        if "mean_atol" in bounds:
            shares.append(float(difference.mean() / bounds["mean_atol"]))
        return Comparison(output, float(difference.max()), max(shares))


@lru_cache
def load_fixture(path: Path) -> Fixture:
    """A fixture, read once per session."""
    return Fixture(path)


def find_fixtures(folder: Path, method: str) -> Iterator[Path]:
    """JSON files of a method in a folder or its direct sub-folders, by name."""
    for path in sorted([*folder.glob("*.json"), *folder.glob("*/*.json")]):
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and record.get("method") == method and "stages" in record:
            yield path


@lru_cache
def seeded_tensor(folder: Path) -> Any:
    for candidate in (folder, folder.parent, DEFAULT_FOLDER):
        path = candidate / SEEDED_WEIGHTS
        if path.is_file():
            spec = importlib.util.spec_from_file_location("seeded_weights", path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module.seeded_tensor
    raise FileNotFoundError(f"{SEEDED_WEIGHTS} is neither in {folder}, above it nor in {DEFAULT_FOLDER}")
