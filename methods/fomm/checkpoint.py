"""Which configuration a weights file belongs to, and its tensors put into the networks of that name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError
from benchbed.weights import LoadedWeights, fit_report, load_tensors

from .config import FommConfig, fomm_config
from .generator import OcclusionAwareGenerator
from .keypoint_detector import KeypointDetector
from .official import DATASETS, OFFICIAL_FILES, official, official_names

TRAINING_ONLY = ("discriminator.", "optimizer_")
# Decided by the constructor alone or of no use in evaluation; files may leave them out.
OPTIONAL = ("down.weight", "num_batches_tracked")


@dataclass(frozen=True)
class Provenance:
    """What the configuration is called and what the weights were trained on (or `unknown`)."""

    configuration: str
    trained_on: str


def inference_networks(config: FommConfig) -> nn.ModuleDict:
    """Detector and generator under their checkpoint names, freshly initialised.

    Raises:
        BenchbedError: the configuration does not describe both.
    """
    if config.keypoint_detector is None or config.generator is None:
        raise BenchbedError(
            "the FOMM configuration lacks kp_detector_params or generator_params; add both to animate"
        )
    return nn.ModuleDict(
        {
            "generator": OcclusionAwareGenerator(config.generator),
            "kp_detector": KeypointDetector(config.keypoint_detector),
        }
    )


def read_checkpoint(path: Path, configuration: str | None) -> tuple[nn.ModuleDict, FommConfig, Provenance]:
    """Networks with the weights of a file, in eval mode on the CPU.

    Args:
        path: safetensors of ours or an officially released file.
        configuration: an official configuration; None: from the file's metadata, else by its tensors.

    Raises:
        CheckpointError: the file is not safe to load, or its tensors fit no (or not the named) configuration.
    """
    loaded = load_tensors(path)
    tensors = {name: value for name, value in loaded.tensors.items() if not name.startswith(TRAINING_ONLY)}
    published, provenance = _configuration(path, loaded, tensors, configuration)
    config = fomm_config(published)
    networks = inference_networks(config)
    report = _misfit(_shapes(networks.state_dict()), _shapes(tensors), f"FOMM '{provenance.configuration}'")
    if report is not None:
        raise CheckpointError(f"{path.name}: {report}{_better(tensors, provenance.configuration)}")
    constants = {name: value for name, value in networks.state_dict().items() if name.endswith(OPTIONAL)}
    networks.load_state_dict({**tensors, **constants})
    return networks.eval(), config, provenance


def _configuration(
    path: Path, loaded: LoadedWeights, tensors: Mapping[str, Tensor], wanted: str | None
) -> tuple[dict[str, Any], Provenance]:
    stored = loaded.metadata.get("configuration")
    if wanted is None and stored is not None:
        try:
            published = json.loads(stored)
        except json.JSONDecodeError as error:
            raise CheckpointError(
                f"{path.name}: the 'configuration' in its metadata is no JSON ({error.msg}); name one instead"
            ) from error
        trained_on = published.get("trained_on") or loaded.metadata.get("trained_on") or "unknown"
        return published, Provenance(published.get("name", "own"), trained_on)
    by_file = OFFICIAL_FILES.get(path.name)
    trained_on = DATASETS[by_file] if by_file else loaded.metadata.get("trained_on", "unknown")
    if wanted is not None:
        return official(wanted), Provenance(wanted, trained_on)
    fitting = fitting_configurations(tensors)
    if not fitting:
        report = _misfit(
            _official_shapes(official_names()[0]), _shapes(tensors), f"FOMM '{official_names()[0]}'"
        )
        raise CheckpointError(f"{path.name} fits no official FOMM configuration: {report}")
    # Several datasets share one architecture: the published file name tells them apart.
    name = by_file if by_file in fitting else fitting[0]
    return official(name), Provenance(name, trained_on)


def fitting_configurations(tensors: Mapping[str, Tensor]) -> list[str]:
    """The official configurations whose detector and generator have exactly these tensors."""
    shapes = _shapes(tensors)
    return [name for name in official_names() if _misfit(_official_shapes(name), shapes, name) is None]


def _better(tensors: Mapping[str, Tensor], tried: str) -> str:
    fitting = [name for name in fitting_configurations(tensors) if name != tried]
    return f" (they fit '{fitting[0]}')" if fitting else ""


@lru_cache
def _official_shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return _shapes(inference_networks(fomm_config(official(name))).state_dict())


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _misfit(expected: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]], name: str) -> str | None:
    needed = {key: shape for key, shape in expected.items() if key in given or not key.endswith(OPTIONAL)}
    return fit_report(needed, given, name=name)
