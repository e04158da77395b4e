"""The landmark network, heat maps to landmarks, against what the face-alignment package gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.metrics.evaluators.face_crops import decode_heatmaps, place_faces, points_in_frame
from benchbed.metrics.evaluators.face_landmarks import FaceLandmarkEvaluator
from benchbed.metrics.evaluators.fan import load_fan

from .boxes import boxes_of

FIXTURES = ("fan_network",)
# Below this share of the heat maps' deviation the best and second-best position are a matter of float noise.
LEAST_GAP = 1e-3
# Each of the 68 landmarks' counterpart in the mirrored face, part by part: jaw, brows, nose, eyes, mouth.
MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
]


@pytest.fixture(scope="module")
def networks():
    """Networks by fixture: a file's seeded weights are drawn once."""
    return {}


def network_of(recorded, networks):
    if recorded.path not in networks:
        networks[recorded.path] = load_fan(recorded.weights())
    return networks[recorded.path]


def test_heat_maps_equal_the_recorded_ones(recorded, networks):
    crop = torch.from_numpy(recorded.arrays["crop_u8"]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        stacks = network_of(recorded, networks)(crop)
    last = stacks[-1][0].numpy()
    recorded.require("heatmaps_stride2_landmarks_every4", last[::4, ::2, ::2], bound="heatmaps")
    recorded.require("heatmap_max", last.max(axis=(1, 2)), bound="heatmaps")
    means = torch.cat(stacks).mean(dim=(2, 3)).numpy()
    recorded.require("stack_means", means, bound="heatmaps")


def require_landmarks(recorded, ours: np.ndarray, name: str, gap: np.ndarray) -> None:
    """Within a whole pixel (truncation) wherever the best position of the map is clear: by `gap` from the second."""
    deviation = float(recorded.arrays["heatmaps_stride2_landmarks_every4"].std())
    clear = gap >= LEAST_GAP * deviation
    assert clear.any()
    difference = np.abs(ours - recorded.arrays[name])[clear]
    assert difference.max() <= recorded.tolerance["landmarks_image"]["atol"]


def test_landmarks_of_an_image_equal_the_recorded_ones(recorded, networks):
    box = boxes_of(recorded).astype(np.float32)
    evaluator = FaceLandmarkEvaluator(network_of(recorded, networks), lambda frames: [box], "seeded")
    features = evaluator(recorded.frames("image_u8"))
    assert features.found.all()
    gap = recorded.arrays["argmax_gap"]
    require_landmarks(recorded, features.positions[0].numpy(), "landmarks_image", gap)


def test_landmarks_with_a_mirrored_pass_equal_the_recorded_ones(recorded, networks):
    """The evaluator makes no mirrored pass; network and decoding stand the comparison all the same."""
    network, crops = network_of(recorded, networks), recorded.frames("crop_u8")
    with torch.no_grad():
        heatmaps = network(crops)[-1] + network(crops.flip(-1))[-1][:, MIRRORED].flip(-1)
    points, scores = decode_heatmaps(heatmaps)
    ours = points_in_frame(points.numpy(), place_faces(boxes_of(recorded)))
    recorded.require("score_flip", scores[0].numpy(), bound="heatmaps")
    # The recorded gap is that of the straight pass alone.
    best, second = heatmaps[0].flatten(1).topk(2).values.numpy().T
    require_landmarks(recorded, ours[0], "landmarks_image_flip", best - second)
