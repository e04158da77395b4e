"""Starting a training from a weights file instead of from random weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from benchbed.errors import BenchbedError
from benchbed.weights import load_tensors, sha256_of


@torch.no_grad()
def start_from(networks: nn.ModuleDict, path: Path, *, whole: Collection[str] = ()) -> str:
    """Take from a weights file every tensor that the networks have under the same name and in the same shape.

    Args:
        networks: changed in place; what the file lacks stays as it is.
        path: safetensors or a torch file of tensors, of this method or of one it builds upon.
        whole: networks of which every tensor must be there.

    Returns:
        Where the weights are from, without the path: the file's method, its sha256, how many tensors were taken.

    Raises:
        BenchbedError: the file has no such tensor, or not all of the networks that must be whole.
        CheckpointError: it is no weights file.
    """
    loaded = load_tensors(path)
    wanted = networks.state_dict()
    taken = [
        name
        for name, tensor in wanted.items()
        if name in loaded.tensors and loaded.tensors[name].shape == tensor.shape
    ]
    if not taken:
        raise BenchbedError(
            f"{path} has no tensor of a name and shape that is to be trained; give weights of a method that "
            "shares networks, in the same sizes"
        )
    lacking = [name for name in wanted if name.split(".")[0] in whole and name not in taken]
    if lacking:
        raise BenchbedError(
            f"{path} lacks {len(lacking)} tensors that this preset does not train ({lacking[0]} the first); "
            "give weights that this method was trained to, at the same size"
        )
    for name in taken:
        wanted[name].copy_(loaded.tensors[name])
    method = loaded.metadata.get("method", "unknown method")
    return f"{method} sha256 {sha256_of(path)}, {len(taken)} of {len(wanted)} tensors"
