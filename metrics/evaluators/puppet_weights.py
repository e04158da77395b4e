"""Bundled weights of the puppet evaluators: writing, metadata, fingerprint, strict loading, golden output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.golden import GOLDEN_SEED, Probed, golden_numbers, same_numbers
from benchbed.weights import fit_report, load_tensors, read_metadata, write_tensors

FOLDER = Path(__file__).resolve().parent / "weights"

Network = TypeVar("Network", bound=nn.Module)


def measured_figures(path: Path) -> dict[str, str]:
    """What was measured on held-out identities, by name, as recorded with the weights."""
    prefix = "measured."
    return {
        key.removeprefix(prefix): text for key, text in read_metadata(path).items() if key.startswith(prefix)
    }


def fingerprint(name: str, path: Path, preprocessing: str) -> str:
    """Name, sha256 of the weights file (16 digits) and preprocessing version."""
    return f"{name}:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}:{preprocessing}"


def round_to_half(network: nn.Module) -> None:
    """Round every parameter to what the fp16 file can hold, so that measured and shipped networks are one."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(tensor.half().float())


def write_weights(path: Path, network: nn.Module, metadata: Mapping[str, str], *, preprocessing: str) -> Path:
    """Write a folded network in fp16 with its metadata and golden output, atomically.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    numbers = golden_numbers(network)  # type: ignore[arg-type]
    record = {
        **metadata,
        "preprocessing": preprocessing,
        "golden.seed": str(GOLDEN_SEED),
        "golden.output": json.dumps([float(f"{number:.6g}") for number in numbers]),
    }
    write_tensors(path, network.state_dict(), record)
    return path


def load_weights(network: Network, path: Path, *, preprocessing: str) -> tuple[Network, dict[str, str]]:
    """Fill a folded network from its file and check the golden output.

    Args:
        network: folded, on the CPU, of the architecture the file was written from.
        path: the safetensors file.
        preprocessing: version of the preprocessing this code does.

    Returns:
        The network and the file's metadata.

    Raises:
        WeightsMissingError: there is no such file.
        CheckpointError: the file is damaged, does not fit, belongs to another preprocessing version or does
            not reproduce its golden output.
    """
    if not path.is_file():
        raise WeightsMissingError(
            f"the bundled weights file {path.name} is missing: pip install --force-reinstall benchbed"
        )
    loaded = load_tensors(path)
    metadata = loaded.metadata
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in loaded.tensors.items()}
    complaint = fit_report(wanted, given, name=path.name)
    if complaint:
        raise CheckpointError(f"{complaint}; reinstall benchbed")
    if metadata.get("preprocessing") != preprocessing:
        found = metadata.get("preprocessing", "none")
        raise CheckpointError(
            f"{path} was made for preprocessing version {found}, this benchbed does {preprocessing}; "
            "train it again"
        )
    network.load_state_dict(loaded.tensors)
    _check_golden(network, metadata, path)  # type: ignore[arg-type]
    return network, metadata


def _check_golden(network: Probed, metadata: Mapping[str, str], path: Path) -> None:
    try:
        recorded = np.array(json.loads(metadata["golden.output"]), dtype=np.float64)
    except (KeyError, ValueError):
        raise CheckpointError(f"{path} records no golden output; reinstall benchbed") from None
    if not same_numbers(recorded, golden_numbers(network)):
        raise CheckpointError(
            f"{path} does not reproduce its golden output; the file is damaged, reinstall benchbed"
        )
