"""Face box to landmark crop, and landmark heat maps back to pixels of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CROP_SIZE = 256
HEATMAP_SIZE = 64
# A box of this many pixels, width plus height, has scale 1, and a window of `WINDOW` pixels is cut out for it.
REFERENCE_SIZE = 195.0
WINDOW = 200.0
# The centre lies this share of the box's height above the middle of the box.
RAISED = 0.12
# Windows beyond this many pixels a side (faces of about 40 times 100 pixels) are never laid out in full.
LARGEST_CANVAS = 4096


@dataclass(frozen=True)
class Placement:
    """Where the faces lie in their frames.

    Args:
        centres: float64 `[K, 2]`, (x, y) in pixels.
        scales: float64 `[K]`, in units of a 200 pixel window.
    """

    centres: np.ndarray
    scales: np.ndarray

    def corners(self) -> np.ndarray:
        """First and past-the-last pixel of each window, int64 `[K, 2, 2]` as (corner, (x, y)).

        In float32 and truncated toward zero, for negative values too, as the published code has it.
        """
        height = WINDOW * self.scales
        forward = np.zeros((len(self.scales), 3, 3), np.float32)
        forward[:, 0, 0] = forward[:, 1, 1] = CROP_SIZE / height
        forward[:, :2, 2] = CROP_SIZE * (0.5 - self.centres / height[:, None])
        forward[:, 2, 2] = 1.0
        backward = torch.linalg.inv(torch.from_numpy(forward)).numpy()
        diagonal, offset = backward[:, [0, 1], [0, 1]], backward[:, :2, 2]
        return np.stack([diagonal * np.float32(at) + offset for at in (1, CROP_SIZE)], axis=1).astype(
            np.int64
        )


def place_faces(boxes: np.ndarray) -> Placement:
    """Centre and scale of face boxes `[K, >=4]`, (x1, y1, x2, y2) in pixels."""
    x1, y1, x2, y2 = np.asarray(boxes, np.float64)[:, :4].T
    width, height = x2 - x1, y2 - y1
    centres = np.stack((x2 - width / 2, y2 - height / 2 - RAISED * height), axis=1)
    return Placement(centres, (width + height) / REFERENCE_SIZE)


def crop_faces(images: list[np.ndarray], placement: Placement) -> np.ndarray:
    """Crops uint8 `[K, 256, 256, 3]`, one of each image, zero where the window leaves the image.

    Args:
        images: per face the uint8 image `[H, W, 3]` that holds it.
        placement: of the K faces.
    """
    crops = np.empty((len(images), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for index, (image, (first, end)) in enumerate(zip(images, placement.corners(), strict=True)):
        crops[index] = _crop(image, first, np.maximum(end, first + 1))
    return crops


def _crop(image: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    import cv2

    columns, rows = end - first
    if max(columns, rows) > LARGEST_CANVAS:
        return _crop_sparsely(image, first, end)
    canvas = np.zeros((rows, columns, image.shape[2]), np.uint8)
    limit = np.array(image.shape[1::-1])
    low, high = np.clip(first, 0, limit), np.clip(end, 0, limit)
    to = low - first
    size = high - low
    canvas[to[1] : to[1] + size[1], to[0] : to[0] + size[0]] = image[low[1] : high[1], low[0] : high[0]]
    return cv2.resize(canvas, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)


def _crop_sparsely(image: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The same for a window too large to lay out (a detector's wild guess), by one matrix per axis.

    The weights are exact instead of cv2's 11 bits: values may differ from `_crop`'s by one grey level.
    """
    rows = _bilinear_weights(int(first[1]), int(end[1]), image.shape[0])
    columns = _bilinear_weights(int(first[0]), int(end[0]), image.shape[1])
    return np.rint(np.einsum("yh,hwc,xw->yxc", rows, image, columns, optimize=True)).astype(np.uint8)


def _bilinear_weights(first: int, end: int, side: int) -> np.ndarray:
    """Share of each of `side` pixels in each of the 256 of the crop, float64 `[256, side]`."""
    span = end - first
    position = np.clip((np.arange(CROP_SIZE) + 0.5) * (span / CROP_SIZE) - 0.5, 0, span - 1)
    before = np.floor(position)
    weights = np.zeros((CROP_SIZE, side))
    for tap, share in ((before, before + 1 - position), (before + 1, position - before)):
        pixel = first + np.minimum(tap, span - 1).astype(np.int64)
        inside = np.flatnonzero((pixel >= 0) & (pixel < side))
        weights[inside, pixel[inside]] += share[inside]
    return weights


def decode_heatmaps(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """The peak of each heat map, moved a quarter pixel toward the higher neighbours.

    Args:
        heatmaps: `[K, L, 64, 64]`.

    Returns:
        Points float32 `[K, L, 2]`, (x, y) in the 64-pixel grid with the middle of the first pixel at 0.5, and the
        values of the peaks `[K, L]` (no probabilities). Of equal peaks the first by rows counts; a peak on the
        border is not moved.
    """
    count, landmarks, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, landmarks, height * width)
    index = flat.argmax(dim=-1)
    row, column = index // width, index % width
    inner = (column > 0) & (column < width - 1) & (row > 0) & (row < height - 1)

    def slope(step: int) -> Tensor:
        # Border peaks have no neighbour on one side; what is read there instead is not used.
        after, before = (index + step).clamp(max=height * width - 1), (index - step).clamp(min=0)
        return flat.gather(-1, after[..., None]) - flat.gather(-1, before[..., None])

    shift = torch.cat((slope(1), slope(width)), dim=-1).sign() * inner[..., None]
    points = torch.stack((column, row), dim=-1).to(shift.dtype) + 0.25 * shift + 0.5
    return points, flat.gather(-1, index[..., None])[..., 0]


def points_in_frame(points: np.ndarray, placement: Placement) -> np.ndarray:
    """Points `[K, L, 2]` of the 64-pixel grid in pixels of the frame: whole numbers, truncated toward zero."""
    step = (WINDOW * placement.scales / HEATMAP_SIZE)[:, None, None]
    centred = np.asarray(points, np.float64) - HEATMAP_SIZE / 2
    return np.trunc(centred * step + placement.centres[:, None]).astype(np.float32)
