"""Body pose the plain way, one image and one map at a time, and ideal maps of figures whose joints are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from benchbed.metrics.evaluators.pose_decoding import LIMBS

# A standing figure in units of its height, x from the middle and y from the top, in the order of JOINTS.
FIGURE = np.array(
    [
        (0.00, 0.10), (0.00, 0.22),
        (-0.13, 0.24), (-0.21, 0.38), (-0.17, 0.52), (0.14, 0.23), (0.24, 0.34), (0.31, 0.26),
        (-0.08, 0.52), (-0.10, 0.73), (-0.09, 0.95), (0.08, 0.53), (0.12, 0.74), (0.17, 0.93),
        (-0.05, 0.06), (0.05, 0.06), (-0.11, 0.09), (0.11, 0.09),
    ]
)  # fmt: skip
MIRRORED = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]


def figure(x: float, y: float, height: float) -> np.ndarray:
    """Joints `(18, 2)` in pixels of the figure with its top middle at (x, y)."""
    return FIGURE * height + (x, y)


def mirrored(people: np.ndarray, width: int) -> np.ndarray:
    """The joints `(..., 18, 2)` in the mirror image of a frame of that width: left is right."""
    return np.stack([width - 1 - people[..., 0], people[..., 1]], axis=-1)[..., MIRRORED, :]


def ideal_maps(
    people: Sequence[np.ndarray], height: int, width: int, *, cell: float = 1.0, spread: float = 4.0
) -> tuple[np.ndarray, np.ndarray]:
    """Fields `(38, H, W)` and heat maps `(19, H, W)` of people, as the network is trained to give them.

    Args:
        people: joints `(18, 2)` in pixels, NaN where a joint is not visible.
        height, width: of the maps.
        cell: pixels per cell of the maps.
        spread: deviation of the heat and half the width of the limbs, in pixels.
    """
    y, x = (np.mgrid[:height, :width] + 0.5) * cell - 0.5
    heat = np.zeros((19, height, width))
    fields = np.zeros((38, height, width))
    for joints in people:
        for joint in np.flatnonzero(~np.isnan(joints[:, 0])):
            squared = (x - joints[joint, 0]) ** 2 + (y - joints[joint, 1]) ** 2
            heat[joint] = np.maximum(heat[joint], np.exp(-squared / (2 * spread**2)))
        for first, second, channel in LIMBS:
            limb = joints[second] - joints[first]
            length = np.linalg.norm(limb)
            if np.isnan(length):
                continue
            unit = limb / length
            dx, dy = x - joints[first, 0], y - joints[first, 1]
            along, across = dx * unit[0] + dy * unit[1], np.abs(dx * unit[1] - dy * unit[0])
            near = (along >= -spread) & (along <= length + spread) & (across <= max(spread, cell))
            fields[channel : channel + 2, near] = unit[:, None]
    heat[-1] = 1 - heat[:-1].max(axis=0)
    return fields.astype(np.float32), heat.astype(np.float32)


def plain_maps(
    network: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    frame: torch.Tensor,
    scales: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Averaged fields `(38, H, W)` and heat maps `(18, H, W)` of one frame `[3, H, W]`, RGB in [0, 1]."""
    image = frame.permute(1, 2, 0).numpy()[..., ::-1] * 255
    straight = [_maps_at(network, image, scale) for scale in scales]
    turned = [_maps_at(network, image[:, ::-1], scale) for scale in scales]
    maps = np.mean(straight, axis=0)
    other = np.mean(turned, axis=0)[:, :, ::-1]
    fields, heat = maps[:38], maps[38:56]
    for first, second, channel in LIMBS:
        (opposite,) = [c for a, b, c in LIMBS if (a, b) == (MIRRORED[first], MIRRORED[second])]
        fields[channel] = (fields[channel] - other[opposite]) / 2
        fields[channel + 1] = (fields[channel + 1] + other[opposite + 1]) / 2
    return fields, (heat + other[38:56][MIRRORED]) / 2


def _maps_at(network, image: np.ndarray, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    factor = scale * 368 / height
    size = (round(width * factor), round(height * factor))
    resized = np.clip(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_CUBIC), 0, 255)
    bottom, right = -size[1] % 8, -size[0] % 8
    padded = cv2.copyMakeBorder(resized, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    maps = network(torch.from_numpy(padded / 256 - 0.5).float().permute(2, 0, 1)[None])
    enlarged = []
    for map_ in torch.cat(maps, dim=1)[0].numpy():
        large = cv2.resize(map_, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        enlarged.append(
            cv2.resize(large[: size[1], : size[0]], (width, height), interpolation=cv2.INTER_CUBIC)
        )
    return np.stack(enlarged)


def plain_peaks(heat: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Peaks (x, y) of one heat map, row by row."""
    smooth = gaussian_filter(heat, sigma=3)
    height, width = smooth.shape
    peaks = []
    for y, x in zip(*np.nonzero(smooth > threshold), strict=True):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [place for place in around if 0 <= place[0] < height and 0 <= place[1] < width]
        if all(smooth[y, x] >= smooth[place] for place in inside):
            peaks.append((int(x), int(y)))
    return peaks


def plain_limb_score(first, second, field: np.ndarray) -> float:
    """The score of one limb between two points (x, y); 0 where the field does not support it."""
    dx, dy = second[0] - first[0], second[1] - first[1]
    length = float(np.hypot(dx, dy))
    if length == 0:
        return 0.0
    values = []
    for x, y in zip(np.linspace(first[0], second[0], 10), np.linspace(first[1], second[1], 10), strict=True):
        vx, vy = field[:, round(float(y)), round(float(x))]
        values.append((vx * dx + vy * dy) / length)
    score = float(np.mean(values)) + min(0.5 * field.shape[1] / length - 1, 0)
    return score if sum(value > 0.05 for value in values) > 8 and score > 0 else 0.0


def seeded_network(seed: int, gain: float = 1.0) -> dict[str, torch.Tensor]:
    """State dict of a full-size network from a seed, scaled so that values neither vanish nor grow."""
    from benchbed.metrics.evaluators.openpose import PoseNetwork

    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in PoseNetwork().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator)
        * (gain * (2 / shape[1:].numel()) ** 0.5 if len(shape) > 1 else 0.05)
        for name, shape in shapes.items()
    }
