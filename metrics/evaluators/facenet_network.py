"""The face embedding network InceptionResnetV1: loading its weights, and the frozen form that is fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .folding import fold_batch_norms
from .fused_convolution import FusedConvolution
from .released import bare, fill

CROP_SIZE = 160


def load_network(tensors: Mapping[str, Tensor]) -> nn.Module:
    """facenet-pytorch's InceptionResnetV1, `[N, 3, 160, 160]` to unit vectors `[N, 512]`.

    The classifier `logits.*` of the published files is not used.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    from facenet_pytorch import InceptionResnetV1

    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = InceptionResnetV1(pretrained=None)
    given = bare(tensors, without=("logits.",))
    return fill(network, given, name="the FaceNet embedding (InceptionResnetV1)")


class FrozenInceptionResnet(nn.Module):
    """The same function with batch norms folded and each convolution fused with what follows it.

    Stages bear the library's names and give the library's values, to rounding.

    Args:
        network: from `load_network`; its batch norms are folded in place, so it is of no other use afterwards.

    Source: Szegedy et al. 2016, Inception-ResNet-v1, in facenet-pytorch's arrangement (residual scales .17, .1, .2).
    """

    conv2d_1a: nn.Module
    conv2d_2a: nn.Module
    conv2d_2b: nn.Module
    conv2d_3b: nn.Module
    conv2d_4a: nn.Module
    conv2d_4b: nn.Module

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        folded: Any = fold_batch_norms(network)
        for name in ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a", "conv2d_4b"):
            setattr(self, name, FusedConvolution([getattr(folded, name).conv]))
        self.repeat_1 = nn.Sequential(*(ResidualBlock(block) for block in folded.repeat_1))
        self.mixed_6a = Reduction(folded.mixed_6a)
        self.repeat_2 = nn.Sequential(*(ResidualBlock(block) for block in folded.repeat_2))
        self.mixed_7a = Reduction(folded.mixed_7a)
        self.repeat_3 = nn.Sequential(*(ResidualBlock(block) for block in folded.repeat_3))
        self.block8 = ResidualBlock(folded.block8, relu=False)
        self.last_linear = folded.last_linear
        self.requires_grad_(False).eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings `[N, 512]`, not yet of unit length, of crops `[N, 3, 160, 160]` in about [-1, 1]."""
        x = crops.contiguous(memory_format=torch.channels_last)
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_3b(functional.max_pool2d(x, 3, stride=2))
        x = self.conv2d_4b(self.conv2d_4a(x))
        x = self.mixed_6a(self.repeat_1(x))
        x = self.mixed_7a(self.repeat_2(x))
        x = self.block8(self.repeat_3(x))
        return self.last_linear(x.mean(dim=(2, 3)))


class ResidualBlock(nn.Module):
    """Branches that open with a 1x1 convolution of the same input (computed as one), joined, scaled and added."""

    def __init__(self, block: Any, *, relu: bool = True) -> None:
        super().__init__()
        branches = _branches(block)
        self.first = FusedConvolution([branch[0] for branch in branches])
        self.rest = nn.ModuleList(_chain(branch[1:]) for branch in branches)
        self.last = FusedConvolution([block.conv2d], scale=block.scale, relu=relu)
        self._widths = [branch[0].out_channels for branch in branches]

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        opened = self.first(x).split(self._widths, dim=1)
        joined = torch.cat([rest(part) for rest, part in zip(self.rest, opened, strict=True)], dim=1)
        return self.last(joined, added=x)


class Reduction(nn.Module):
    """Branches and a max pool side by side, at half the size."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_chain(branch) for branch in _branches(block))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C', (H - 1) // 2, (W - 1) // 2]`."""
        pooled = functional.max_pool2d(x, 3, stride=2)
        return torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1)


def _branches(block: nn.Module) -> list[list[nn.Conv2d]]:
    """The convolutions of each branch of a library block; the pooling branch has none and is left out."""
    found = [
        [layer for layer in branch.modules() if isinstance(layer, nn.Conv2d)]
        for name, branch in block.named_children()
        if name.startswith("branch")
    ]
    return [branch for branch in found if branch]


def _chain(layers: Sequence[nn.Conv2d]) -> nn.Sequential:
    return nn.Sequential(*(FusedConvolution([layer]) for layer in layers))
