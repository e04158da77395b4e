"""Contact sheets: the first look at a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset, ExactKeypoints, frame_count, frames_at

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

MARGIN = 8
LABEL_HEIGHT = 20
SMALLEST_TILE = 128
LEFT, RIGHT, MIDDLE, HIDDEN = (70, 220, 255), (255, 120, 90), (255, 235, 90), (150, 150, 150)


def contact_sheet(
    dataset: Dataset, split: str, *, clips: int, frames: int, keypoints: bool = True
) -> Image.Image:
    """A picture of the first clips of a split: a row per clip, columns evenly spaced in time.

    Args:
        dataset: any dataset.
        split: one of its splits.
        clips: number of rows; fewer where the split has fewer.
        frames: number of columns; fewer where the shown clips are all shorter.
        keypoints: draw exact key points where the dataset knows them (blue left, red right, yellow middle,
            hollow where hidden).

    Raises:
        BenchbedError: no rows or no columns are asked for, or the dataset has no such split.
    """
    from PIL import Image, ImageDraw

    if clips < 1 or frames < 1:
        raise BenchbedError(
            f"a contact sheet needs at least one clip and one frame, not {clips} and {frames}"
        )
    shown = dataset.clips(split)[:clips]
    height, width = dataset.resolution
    zoom = max(1, -(-SMALLEST_TILE // max(height, width)))
    tile_width, tile_height = width * zoom + 2, height * zoom + 2
    row_height = LABEL_HEIGHT + tile_height + MARGIN
    size = (2 * MARGIN + frames * tile_width, MARGIN + len(shown) * row_height)
    sheet = Image.new("RGB", size, (250, 250, 250))
    draw = ImageDraw.Draw(sheet)
    for row, clip in enumerate(shown):
        top = MARGIN + row * row_height
        label = "   ".join((clip.id, clip.identity, *clip.tags))
        draw.text((MARGIN, top + 4), label, fill=(40, 40, 40))
        points = dataset.keypoints(clip.id) if keypoints else None
        length = frame_count(dataset, clip.id)
        columns = np.unique(np.linspace(0, length - 1, min(frames, length)).round().astype(int))
        images = frames_at(dataset, clip.id, columns.tolist()).numpy()
        for column, time in enumerate(columns):
            corner = (MARGIN + column * tile_width, top + LABEL_HEIGHT)
            tile = Image.fromarray(np.ascontiguousarray(images[column].transpose(1, 2, 0)))
            sheet.paste(tile.resize((width * zoom, height * zoom), Image.Resampling.NEAREST), corner)
            if points is not None:
                _dot(draw, points, int(time), corner, zoom, max(width, height) * zoom)
    return sheet


def _dot(
    draw: ImageDraw.ImageDraw,
    points: ExactKeypoints,
    time: int,
    corner: tuple[int, int],
    zoom: int,
    side: int,
) -> None:
    radius = max(1.5, side / 110)
    for place, visible, name in zip(points.positions[time], points.visible[time], points.names, strict=True):
        x, y = corner[0] + (float(place[0]) + 0.5) * zoom, corner[1] + (float(place[1]) + 0.5) * zoom
        if not 0 <= y - corner[1] <= side or not 0 <= x - corner[0] <= side:
            continue
        tone = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
        box = (x - radius, y - radius, x + radius, y + radius)
        if visible:
            draw.ellipse(box, fill=tone, outline=(20, 20, 20))
        else:
            draw.ellipse(box, outline=HIDDEN)
