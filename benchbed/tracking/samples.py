"""Sample strips of single methods, and the grids that put methods above each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchbed.frames import to_uint8
from benchbed.tracking.store import Store

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

LABEL_WIDTH = 90
SMALLEST_FRAME = 96


def save_strip(store: Store, section: str, method: str, case: str, frames: list[Tensor]) -> None:
    """Write frames `[3, H, W]` in [0, 1] side by side as one PNG."""
    import torch

    strip = torch.cat([to_uint8(frame.unsqueeze(0))[0] for frame in frames], dim=2)
    store.write_image(store.sample_path(section, method, case), _image(strip))


def save_grid(store: Store, section: str, case: str, target: Tensor, methods: list[str]) -> Path | None:
    """A grid of one case: the ground truth, then a row per method that has a strip.

    Args:
        target: uint8 `[T, 3, H, W]`, all frames of the ground-truth clip.

    Returns:
        The PNG's path, None where no method has a strip.
    """
    import torch
    from PIL import Image, ImageDraw

    paths = {method: store.sample_path(section, method, case) for method in methods}
    rows = {method: Image.open(path).convert("RGB") for method, path in paths.items() if path.exists()}
    if not rows:
        return None
    height, width = target.shape[-2:]
    count = next(iter(rows.values())).width // width
    chosen = sorted({round(i * (target.shape[0] - 1) / 7) for i in range(8)})[:count]
    rows = {"target": _image(torch.cat([target[i] for i in chosen], dim=2)), **rows}
    scale = max(1, -(-SMALLEST_FRAME // height))
    grid = Image.new("RGB", (LABEL_WIDTH + count * width * scale, len(rows) * height * scale), "white")
    draw = ImageDraw.Draw(grid)
    for index, (name, strip) in enumerate(rows.items()):
        grid.paste(
            strip.resize((strip.width * scale, strip.height * scale), Image.Resampling.NEAREST),
            (LABEL_WIDTH, index * height * scale),
        )
        draw.text((6, index * height * scale + height * scale // 2 - 6), name, fill="black")
    path = next(iter(paths.values())).parent / "grid.png"
    store.write_image(path, grid)
    return path


def _image(frame: Tensor) -> Image.Image:
    from PIL import Image

    return Image.fromarray(frame.permute(1, 2, 0).contiguous().cpu().numpy())
