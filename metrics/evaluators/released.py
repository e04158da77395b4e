"""Released files into networks: tensors under the network's own names, strictly fitted, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchbed.errors import CheckpointError
from benchbed.weights import fit_report

Network = TypeVar("Network", bound=nn.Module)


def bare(tensors: Mapping[str, Tensor], *, without: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Tensors without what training scripts put in front of their names or beside them.

    Args:
        tensors: by name; where some stand under `state_dict.`, others are optimisers and counters. `module.` in
            front of a name is dropped.
        without: prefixes of tensors that are not used (classifiers).
    """
    if any(name.startswith("state_dict.") for name in tensors):
        tensors = {
            name.removeprefix("state_dict."): tensor
            for name, tensor in tensors.items()
            if name.startswith("state_dict.")
        }
    named = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in named.items() if not name.startswith(without)}


def fill(network: Network, tensors: Mapping[str, Tensor], *, name: str) -> Network:
    """The network, built on the meta device, with these values; in eval mode, without gradients.

    Args:
        tensors: exactly the network's own; step counters of batch norms, which do nothing, may be absent.
        name: what a complaint calls the network.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    expected, given = network.state_dict(), dict(tensors)
    for key in expected:
        if key.endswith("num_batches_tracked"):
            given.setdefault(key, torch.zeros((), dtype=torch.int64))
    complaint = fit_report(
        {key: tuple(tensor.shape) for key, tensor in expected.items()},
        {key: tuple(tensor.shape) for key, tensor in given.items()},
        name=name,
    )
    if complaint:
        raise CheckpointError(complaint)
    network.load_state_dict(given, assign=True)
    return network.requires_grad_(False).eval()
