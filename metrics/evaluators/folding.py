"""Folding frozen batch norms into the layers in front of them: the same numbers from fewer passes over memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import fx, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(network: nn.Module, pairs: Iterable[tuple[str, str]] | None = None) -> nn.Module:
    """The same network with each layer-norm pair as one layer; a folded norm becomes `nn.Identity`.

    Outputs change by rounding only: the new weights are computed in float64. The network itself is changed and
    keeps its forward code and module names, but its `state_dict` is no longer the published one: fold after
    loading.

    Args:
        network: in eval mode, with its values loaded (not on the meta device).
        pairs: dotted names (layer, norm) to fold; by default `foldable_pairs(network)`.

    Raises:
        ValueError: the network is in training mode, where batch norms are not constant.
        torch.fx.proxy.TraceError: `pairs` is not given and the forward code depends on values.
    """
    if network.training:
        raise ValueError("batch norms of a network in training mode cannot be folded; call eval() first")
    for layer_name, norm_name in foldable_pairs(network) if pairs is None else pairs:
        _fold(network.get_submodule(layer_name), network.get_submodule(norm_name))
        parent, _, name = norm_name.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
    return network


def foldable_pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Names (layer, norm) where a batch norm alone reads a convolution or linear layer and each is used once.

    Raises:
        torch.fx.proxy.TraceError: the forward code depends on values and cannot be followed.
    """
    graph = fx.Tracer().trace(network)
    calls: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)] = calls.get(str(node.target), 0) + 1
    pairs = []
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        layer_name, norm_name = str(source.target), str(node.target)
        layer, norm = network.get_submodule(layer_name), network.get_submodule(norm_name)
        once = calls[layer_name] == 1 and calls[norm_name] == 1
        frozen = isinstance(norm, BATCH_NORMS) and norm.running_mean is not None
        if once and frozen and isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
            pairs.append((layer_name, norm_name))
    return pairs


def _fold(layer: Any, norm: Any) -> None:
    factor = 1 / (norm.running_var.double() + norm.eps).sqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    bias = 0 if layer.bias is None else layer.bias.detach().double()
    bias = (bias - norm.running_mean.double()) * factor
    if norm.bias is not None:
        bias = bias + norm.bias.detach().double()
    weight = layer.weight.detach()
    scaled = weight.double() * factor.reshape(-1, *[1] * (weight.ndim - 1))
    layer.weight = nn.Parameter(scaled.to(weight.dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
