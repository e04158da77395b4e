"""Landmarks of explicit heat maps against what the face-alignment package decodes."""

from __future__ import annotations

import numpy as np
import torch

from benchbed.metrics.evaluators.face_crops import decode_heatmaps, place_faces, points_in_frame

from .boxes import boxes_of

FIXTURES = ("fan_decoding",)


def test_explicit_heat_maps_give_the_recorded_landmarks(recorded):
    placement = place_faces(boxes_of(recorded))
    points, scores = decode_heatmaps(torch.from_numpy(recorded.arrays["heatmaps"]))
    recorded.require("landmarks_crop64", points.numpy())
    np.testing.assert_array_equal(scores.numpy(), recorded.arrays["score"])
    ours = points_in_frame(points.numpy(), placement)
    difference = np.abs(ours - recorded.arrays["landmarks_image"])
    # A coordinate that lies on a whole number truncates either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.01
