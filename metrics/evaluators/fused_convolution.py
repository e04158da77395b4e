"""Convolution, bias, sum and ReLU in one pass over memory, for frozen networks on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class FusedConvolution(nn.Module):
    """`relu(convolution(x) + added)` of one or several convolutions that read the same input.

    On the CPU oneDNN does all of it in one call, with the weights laid out once as its kernels want them; that
    layout depends on the input's height and width, so other sizes than the first one are slower. Elsewhere,
    and where torch lacks these calls, the same arithmetic runs as separate operations. Not for training.

    Args:
        layers: convolutions of equal geometry (batch norms folded); their outputs are concatenated.
        scale: factor of the convolution's output, before the sum.
        relu: whether the result is rectified.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layers: Sequence[nn.Conv2d], *, scale: float = 1.0, relu: bool = True) -> None:
        super().__init__()
        first = layers[0]
        # As oneDNN's calls take it; padding given in words (`same`) is not supported.
        self._geometry: tuple[Any, ...] = (
            list(first.padding),
            list(first.stride),
            list(first.dilation),
            first.groups,
        )
        self._relu = relu
        self._packed: Tensor | None = None
        biases = [
            layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
            for layer in layers
        ]
        self.register_buffer("weight", torch.cat([layer.weight for layer in layers]).detach() * scale)
        self.register_buffer("bias", torch.cat(biases).detach() * scale)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Output `[N, C, H', W']` of `x` `[N, C_in, H, W]`, best in channels-last layout; `added` as the output."""
        if x.device.type == "cpu" and fused_calls_work():
            return self._in_one_call(x, added)
        padding, stride, dilation, groups = self._geometry
        y = functional.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        if added is not None:
            y = y.add_(added)
        return y.relu_() if self._relu else y

    def _in_one_call(self, x: Tensor, added: Tensor | None) -> Tensor:
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *self._geometry, list(x.shape)
            )
            # The packed copy replaces the plain one; only its shape is of use from here on.
            self.weight = self.weight.new_empty(0)
        return _fused(x, added, self._packed, self.bias, self._geometry, self._relu)


def _fused(
    x: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, geometry: Any, relu: bool
) -> Tensor:
    calls = torch.ops.mkldnn._convolution_pointwise
    if added is None:
        return calls(x, weight, bias, *geometry, "relu" if relu else "none", [], "")
    return calls.binary(x, added, weight, bias, *geometry, "add", None, "relu" if relu else None, [], "")


@functools.cache
def fused_calls_work() -> bool:
    """Whether this torch has oneDNN's fused convolutions and they compute what separate operations do.

    They are the calls torch's own compiler emits, but not public: they are tried once before they are used.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 6, 6, generator=generator).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(4, 4, 3, 3, generator=generator), torch.randn(4, generator=generator)
    plain = functional.conv2d(x, weight, bias, padding=1)
    geometry = ([1, 1], [1, 1], [1, 1], 1)
    try:
        if not torch.backends.mkldnn.is_available():
            return False
        packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, list(x.shape))
        alone = _fused(x, None, packed, bias, geometry, True)
        summed = _fused(x, x, packed, bias, geometry, False)
    except (AttributeError, RuntimeError, TypeError):
        return False  # another torch: its calls are missing or take other arguments
    return torch.allclose(alone, plain.relu(), atol=1e-5) and torch.allclose(summed, plain + x, atol=1e-5)
