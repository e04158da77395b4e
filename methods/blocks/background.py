"""Motion of the background between two images as one map of the plane, and the network that predicts it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .grids import coordinate_grid
from .hourglass import Encoder, hourglass_width

# Entries of the 3x3 matrix, row by row, that each kind of map predicts; the others are those of the identity.
ENTRIES: dict[str, tuple[int, ...]] = {
    "zero": (),
    "shift": (2, 5),
    "affine": (0, 1, 2, 3, 4, 5),
    "perspective": (0, 1, 2, 3, 4, 5, 6, 7),
}


@dataclass(frozen=True)
class BackgroundConfig:
    """The background predictor: source and driving image -> 3x3 matrix; `zero` is no network at all."""

    num_channels: int
    bg_type: str
    block_expansion: int = 32
    max_features: int = 1024
    num_blocks: int = 5

    def __post_init__(self) -> None:
        if self.bg_type not in ENTRIES:
            raise ValueError(f"bg_type '{self.bg_type}' is none of {', '.join(ENTRIES)}")


def background_motion(matrix: Tensor | None, height: int, width: int, like: Tensor) -> Tensor:
    """Where in the source every pixel of the background comes from, `(B, height, width, 2)`.

    Args:
        matrix: `(B, 3, 3)`, takes homogeneous (x, y, 1) of the driving image to the source; None leaves the
            background where it is (B = 1).
        like: gives dtype and device.

    Source: MRAA, section 3.3; the division by the third coordinate is unguarded, as published.
    """
    grid = coordinate_grid(height, width, like=like)
    if matrix is None:
        return grid.unsqueeze(0)
    homogeneous = torch.cat((grid, torch.ones_like(grid[..., :1])), dim=-1)
    moved = (matrix[:, None, None] * homogeneous.unsqueeze(-2)).sum(-1)  # (B, height, width, 3)
    return moved[..., :2] / moved[..., 2:]


class BackgroundPredictor(nn.Module):
    """Source and driving image -> 3x3 matrix that takes driving coordinates to source coordinates.

    Args:
        kind: `zero` (no network, always the identity), `shift`, `affine` or `perspective`.
        num_channels: of each image.

    Source: MRAA, section 3.3; DAM and MTIA use it unchanged. It starts at the identity.
    """

    def __init__(
        self, *, kind: str, num_channels: int, block_expansion: int, max_features: int, num_blocks: int
    ) -> None:
        super().__init__()
        if kind not in ENTRIES:
            raise ValueError(f"unknown kind of background motion '{kind}'; known: {', '.join(ENTRIES)}")
        self.entries = ENTRIES[kind]
        if self.entries:
            self.encoder = Encoder(block_expansion, 2 * num_channels, max_features, num_blocks)
            self.fc = nn.Linear(hourglass_width(block_expansion, max_features, num_blocks), len(self.entries))
            nn.init.zeros_(self.fc.weight)
            self.fc.bias = nn.Parameter(torch.eye(3).flatten()[list(self.entries)])

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        """Matrices `(B, 3, 3)` for images `(B, C, H, W)` in [0, 1], at full resolution."""
        identity = torch.eye(3, dtype=source.dtype, device=source.device)
        matrix = identity.flatten().repeat(len(source), 1)
        if self.entries:
            # Block by block: full-resolution stages of the encoder need not outlive their use.
            features = torch.cat((source, driving), dim=1)
            for block in self.encoder.down_blocks:
                features = block(features)
            matrix[:, list(self.entries)] = self.fc(features.mean(dim=(2, 3))).to(matrix.dtype)
        return matrix.unflatten(1, (3, 3))


def background_predictor(config: BackgroundConfig) -> BackgroundPredictor:
    """The network a configuration describes."""
    return BackgroundPredictor(
        kind=config.bg_type,
        num_channels=config.num_channels,
        block_expansion=config.block_expansion,
        max_features=config.max_features,
        num_blocks=config.num_blocks,
    )
