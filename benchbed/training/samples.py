"""Sample grids during training: source | driving | generated, a row per pair."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchbed.files import replacing
from benchbed.frames import to_uint8
from benchbed.interfaces.training import FramePair


def sample_grid(pair: FramePair, generated: Tensor) -> Tensor:
    """Rows of source, driving and generated frames, uint8 `[3, B * H, 3 * W]`.

    Args:
        pair: `[B, 3, H, W]` each, in [0, 1].
        generated: `[B, 3, H, W]` in [0, 1].
    """
    rows = torch.cat([pair.source, pair.driving, generated.to(pair.source)], dim=3)
    return to_uint8(torch.cat(list(rows), dim=1).cpu())


def save_grid(path: Path, grid: Tensor) -> None:
    """Write a grid as PNG, to a temporary name first; frames below 128 pixels are doubled to be seen."""
    image = Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())
    if image.width < 3 * 128:
        image = image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG")
