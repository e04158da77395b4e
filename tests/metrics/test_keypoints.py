"""AKD and MKR by hand, missing points included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import IdentityFeatures, KeypointFeatures
from benchbed.interfaces.metric import Sample
from benchbed.metrics.keypoints import AverageKeypointDistance, MissingKeypointRate


def points(positions, found) -> Sample:
    """A sample of frames with `positions [N, K, 2]`, of which `found [N, K]`."""
    features = KeypointFeatures(
        torch.tensor(positions, dtype=torch.float32), torch.tensor(found, dtype=torch.bool)
    )
    return Sample(torch.zeros(len(found), 3, 8, 8), {"keypoints": features})


TARGET = points([[[0, 0], [10, 10]]], [[True, True]])
SHIFTED = points([[[3, 4], [13, 14]]], [[True, True]])


def test_akd_averages_coordinates_and_not_distances():
    assert AverageKeypointDistance().per_frame(SHIFTED, TARGET).tolist() == [3.5]
    assert AverageKeypointDistance("euclidean").per_frame(SHIFTED, TARGET).tolist() == [5.0]


def test_points_missing_on_either_side_do_not_enter_akd():
    nan = math.nan
    target = points([[[0, 0], [1, 1], [nan, nan]]], [[True, True, False]])
    generated = points([[[2, 2], [-1, -1], [7, 7]]], [[True, False, True]])
    assert AverageKeypointDistance().per_frame(generated, target).tolist() == [2.0]


def test_a_frame_without_common_points_is_missing_and_not_zero():
    target = points([[[5, 5]], [[5, 5]], [[5, 5]]], [[True], [True], [False]])
    generated = points([[[5, 5]], [[5, 5]], [[5, 5]]], [[True], [False], [True]])
    np.testing.assert_array_equal(
        AverageKeypointDistance().per_frame(generated, target), [0.0, math.nan, math.nan]
    )


def test_mkr_is_the_share_of_target_points_lost_and_invented_points_cost_nothing():
    position = [[[0, 0]] * 4] * 3
    target = points(position, [[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    generated = points(position, [[1, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(MissingKeypointRate().per_frame(generated, target), [2 / 3, 0.0, math.nan])


def test_identical_points_score_exactly_zero():
    for metric in (AverageKeypointDistance(), AverageKeypointDistance("euclidean"), MissingKeypointRate()):
        assert metric.per_frame(SHIFTED, SHIFTED).tolist() == [0.0]


def test_no_pair_of_points_inside_the_frame_exceeds_the_worst_value():
    corners = points([[[-0.5, -0.5]]], [[True]]), points([[[63.5, 31.5]]], [[True]])
    for metric in (AverageKeypointDistance(), AverageKeypointDistance("euclidean")):
        assert metric.per_frame(*corners)[0] == pytest.approx(metric.worst((32, 64)), rel=1e-12)


def test_an_unknown_norm_and_features_of_another_role_are_refused():
    with pytest.raises(BenchbedError, match="coordinate, euclidean"):
        AverageKeypointDistance("manhattan")
    embedding = IdentityFeatures(torch.zeros(1, 4), torch.ones(1, dtype=torch.bool))
    with pytest.raises(BenchbedError, match="KeypointFeatures of role 'keypoints'"):
        AverageKeypointDistance().per_frame(SHIFTED, Sample(TARGET.frames, {"keypoints": embedding}))
