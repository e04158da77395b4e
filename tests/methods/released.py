"""Weights files in released layouts, and what every method owes: the same frames from its file and in any batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.method import Method

OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 2e-4}]}


def frames(count: int, size: int | tuple[int, int] = 32, seed: int = 0) -> Tensor:
    """Seeded noise `(count, 3, H, W)` in [0, 1], square or of a (height, width)."""
    height, width = (size, size) if isinstance(size, int) else size
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def on_meta(networks: Callable[..., nn.ModuleDict], *words: Any, **options: Any) -> nn.ModuleDict:
    """Networks of full size that take no memory."""
    with torch.device("meta"):
        return networks(*words, **options)


def write_released(path: Path, networks: nn.ModuleDict, **others: object) -> Path:
    """A file of the published training code: nested state dicts of zeros, and what else it holds."""
    # Zeros that share one element: a small file of full-size tensors.
    content: dict[str, object] = {
        network: {
            key: torch.zeros((), dtype=value.dtype).expand(value.shape)
            for key, value in module.state_dict().items()
        }
        for network, module in networks.items()
    }
    torch.save({**content, "epoch": 99, **others}, path)
    return path


def write_own(
    folder: Path, tensors: Mapping[str, Tensor], published: Mapping[str, Any], **changes: Tensor
) -> Path:
    """A file of ours, trained on puppets, with its configuration in the metadata."""
    path = folder / "small.safetensors"
    metadata = {"configuration": json.dumps(published), "trained_on": "puppets"}
    save_file({**tensors, **changes}, path, metadata=metadata)
    return path


def check_same_frames(loaded: Method, method: Method, source: Tensor, driving: Tensor) -> None:
    """A loaded method animates bit by bit as the one whose weights were written."""
    assert loaded.trained_on == "puppets"
    assert loaded.resolution == method.resolution == source.shape[2:]
    assert torch.equal(
        loaded.animate(loaded.encode(source), driving), method.animate(method.encode(source), driving)
    )


def check_batch(method: Method, encoding: Any, driving: Tensor, **options: Any) -> Tensor:
    """Frames animated at once, which are those animated one by one."""
    batch = method.animate(encoding, driving, **options)
    single = torch.cat([method.animate(encoding, frame[None], **options) for frame in driving])
    assert batch.shape == driving.shape
    # 1e-5: convolutions of another batch size sum in another order
    assert torch.allclose(batch, single, atol=1e-5)
    return batch


def check_wrong_transfers(method: Method, name: str, source: Tensor) -> None:
    """Relative transfer without its initial frame and an unknown transfer are answered with a sentence."""
    encoding = method.encode(source)
    with pytest.raises(BenchbedError, match="give initial_driving"):
        method.animate(encoding, source, transfer="relative")
    with pytest.raises(BenchbedError, match=f"unknown transfer 'avd' for {name}; known: absolute, relative"):
        method.animate(encoding, source, transfer="avd")
