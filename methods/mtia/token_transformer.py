"""The token transformer: learned tokens read key points and their jacobians out of the patches of a feature map."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..blocks.motion import Keypoints
from .config import TransformerConfig

PERIOD_BASE = 10000


def position_embedding(height: int, width: int, dim: int) -> Tensor:
    """The constant embedding of every patch of a grid, `(1, height * width, dim)`, row by row.

    The first half tells the row, the second the column, each as sines and cosines of growing periods.

    Source: MTIA's published code.
    """
    entries = torch.arange(dim // 2)
    periods = PERIOD_BASE ** (2 * torch.div(entries, 2, rounding_mode="floor") / (dim // 2))

    def embed(count: int) -> Tensor:
        position = torch.arange(1, count + 1) / (count + 1e-6) * 2 * math.pi
        angle = position.unsqueeze(1) / periods
        return torch.where(entries % 2 == 0, angle.sin(), angle.cos())  # (count, dim / 2)

    rows = embed(height).unsqueeze(1).expand(height, width, -1)
    columns = embed(width).unsqueeze(0).expand(height, width, -1)
    return torch.cat((rows, columns), dim=2).flatten(0, 1).unsqueeze(0)


class Attention(nn.Module):
    """Multi-head self-attention over tokens `(B, T, D)`; heads are consecutive slices of D."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        # A sequence for the published name `to_out.0`.
        self.to_out = nn.Sequential(nn.Linear(dim, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        # (B, T, 3 D) -> three of (B, heads, T, D / heads)
        query, key, value = self.to_qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        read = functional.scaled_dot_product_attention(query, key, value)
        return self.to_out(read.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear maps with a GELU between them, token by token."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        # The identity stands where the published names leave a gap.
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class Normalised(nn.Module):
    """A part that sees its input normalised."""

    def __init__(self, dim: int, part: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = part

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fn(self.norm(tokens))


class Residual(nn.Module):
    """A part whose output is added to its input."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.fn = part

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.fn(tokens)


class Transformer(nn.Module):
    """Layers of attention and feed-forward over tokens `(B, T, D)`, of which the last P are patches.

    Source: MTIA, section 3.2. The patches get their position again before every layer but the first, for good.
    """

    def __init__(self, dim: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                Residual(Normalised(dim, Attention(dim, heads))),
                Residual(Normalised(dim, FeedForward(dim, hidden))),
            )
            for _ in range(depth)
        )

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens `(B, T, D)`; `positions` `(1, P, D)` are already in them once."""
        padded = functional.pad(positions, (0, 0, tokens.shape[1] - positions.shape[1], 0))
        for index, layer in enumerate(self.layers):
            tokens = layer(tokens if index == 0 else tokens + padded)
        return tokens


class TokenTransformer(nn.Module):
    """Features `(B, C, h, w)` of one fixed size -> K key points with jacobians.

    Args:
        in_channels: C.

    Source: MTIA, section 3.2; the names of all parts are the published ones.
    """

    def __init__(self, config: TransformerConfig, in_channels: int) -> None:
        super().__init__()
        dim = config.dim
        (rows, columns), (height, width) = config.patch_grid, config.patch_size
        # The first K tokens become key points, the others jacobians.
        self.keypoint_token = nn.Parameter(torch.zeros(1, 2 * config.num_kp, dim))
        # A parameter that never learns: published files and parameter counts include it.
        self.pos_embedding = nn.Parameter(position_embedding(rows, columns, dim), requires_grad=False)
        self.patch_to_embedding = nn.Linear(in_channels * height * width, dim)
        self.transformer = Transformer(dim, config.depth, config.heads, config.hidden)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2))
        linear_motion = nn.Linear(dim, 4)
        self.mlp_head_jacobian = nn.Sequential(nn.LayerNorm(dim), linear_motion)
        self.num_kp = config.num_kp
        self.patch_size = config.patch_size
        self._start()
        # Jacobians start at the identity, so that training begins with pure translations.
        nn.init.zeros_(linear_motion.weight)
        linear_motion.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 1.0]))

    def forward(self, features: Tensor) -> Keypoints:
        patches = self.patch_to_embedding(self._patches(features)) + self.pos_embedding
        learned = self.keypoint_token.expand(len(features), -1, -1)
        tokens = self.transformer(torch.cat((learned, patches), dim=1), self.pos_embedding)
        # Coordinates in reduced precision would be off by a pixel.
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.to(self.keypoint_token.dtype)
            value = 2 * torch.sigmoid(self.mlp_head(tokens[:, : self.num_kp])) - 1
            entries = self.mlp_head_jacobian(tokens[:, self.num_kp : 2 * self.num_kp])
        return Keypoints(value, entries.unflatten(2, (2, 2)))

    def _patches(self, features: Tensor) -> Tensor:
        """Patches row by row, `(B, P, rows * columns * C)`: within a patch row by row too, channels innermost."""
        height, width = self.patch_size
        grid = features.unflatten(3, (-1, width)).unflatten(2, (-1, height))  # (B, C, gh, ph, gw, pw)
        return grid.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)

    def _start(self) -> None:
        """The published initial values."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.keypoint_token, std=0.02)
