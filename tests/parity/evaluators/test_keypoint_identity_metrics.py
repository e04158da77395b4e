"""AKD, MKR, AED and CSIM in every convention: the variants of the cards, averaged as the engine averages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.interfaces.evaluator import IdentityFeatures, KeypointFeatures
from benchbed.interfaces.metric import Sample
from benchbed.plan import metric_variants
from benchbed.registry import load_entry
from benchbed.scoring import clip_mean
from benchbed.statistics import weighted_mean_interval

FIXTURES = ("keypoint_identity_metrics",)


def keypoints(positions: np.ndarray, found: np.ndarray) -> Sample:
    features = KeypointFeatures(torch.from_numpy(positions), torch.from_numpy(found))
    return Sample(torch.zeros(len(positions), 3, 1, 1), {"keypoints": features})


def embeddings(values: np.ndarray) -> Sample:
    features = IdentityFeatures(torch.from_numpy(values), torch.ones(len(values), dtype=torch.bool))
    return Sample(torch.zeros(len(values), 3, 1, 1), {"identity": features})


def samples(recorded, stage: str) -> tuple[Sample, Sample]:
    """Generated and target samples of one stage."""
    if stage == "identity":
        return embeddings(recorded.arrays["id_pred"]), embeddings(recorded.arrays["id_gt"])
    generated, target = recorded.arrays[f"{stage}_pred"], recorded.arrays[f"{stage}_gt"]
    if stage == "face":
        lost = np.concatenate(recorded.facts["face_prediction_missing"])
        found = np.repeat(~lost[:, None], target.shape[1], axis=1)
        return keypoints(generated, found), keypoints(target, np.ones_like(found))
    return keypoints(generated, generated[..., 0] != -1), keypoints(target, target[..., 0] != -1)


def scores(recorded, stage: str, variant: str) -> tuple[np.ndarray, str]:
    """Per-frame scores of a variant, and its reduction."""
    card, table = metric_variants((variant,))[0]
    metric = load_entry(table["entry"], owner=card.name)(**table["params"])
    return metric.per_frame(*samples(recorded, stage)), table["reduction"]


@pytest.mark.parametrize(
    ("stage", "variant", "key"),
    [
        ("face", "akd/legacy", "akd_reference_mean_abs_over_frames"),
        ("face", "akd/coordinate-frames", "akd_reference_mean_abs_over_frames"),
        ("face", "akd/coordinate-clips", "akd_mean_abs_over_videos"),
        ("face", "akd/euclidean-frames", "akd_euclidean_over_frames"),
        ("body", "akd/legacy", "akd_reference_over_frames"),
        ("body", "akd/coordinate-clips", "akd_over_videos"),
        ("body", "akd/euclidean-frames", "akd_euclidean_over_frames"),
        ("body", "mkr/legacy", "mkr_reference_over_frames"),
        ("body", "mkr/clips", "mkr_over_videos"),
        ("identity", "aed/legacy", "aed_reference_sum_of_squares_over_frames"),
        ("identity", "aed/squared-clips", "aed_sum_of_squares_over_videos"),
        ("identity", "aed/rooted-frames", "aed_l2_norm_over_frames"),
        ("identity", "aed/rooted-clips", "aed_l2_norm_over_videos"),
        ("identity", "aed/mean-square-frames", "aed_mean_squared_over_frames"),
        ("identity", "csim/cosine-frames", "csim_cosine_over_frames"),
        ("identity", "csim/cosine-clips", "csim_cosine_over_videos"),
    ],
)
def test_a_variant_equals_the_convention_it_names(recorded, stage, variant, key):
    values, reduction = scores(recorded, stage, variant)
    ends = np.cumsum(recorded.facts["clips"][stage])[:-1]
    clips = [clip_mean(part) for part in np.split(values, ends)]
    weights = [clip.n if reduction == "frames" else float(clip.n > 0) for clip in clips]
    names = [str(index) for index in range(len(clips))]
    average = weighted_mean_interval([clip.value for clip in clips], weights, names)
    expected = recorded.facts["values"][stage][key]
    assert average.value == pytest.approx(expected, rel=recorded.tolerance["rtol"])


def test_as_many_frames_are_scored_as_the_scripts_score(recorded):
    counts = recorded.facts["values"]
    for stage, variant, key in (
        ("face", "akd/legacy", "frames_scored"),
        ("body", "akd/legacy", "frames_in_akd"),
        ("body", "mkr/legacy", "frames_in_mkr"),
    ):
        assert np.isfinite(scores(recorded, stage, variant)[0]).sum() == counts[stage][key]


def test_counting_lost_faces_can_only_make_akd_worse(recorded):
    skipped, _ = scores(recorded, "face", "akd/coordinate-frames")
    counted, _ = scores(recorded, "face", "akd/counted-frames")
    lost = np.isnan(skipped)
    assert lost.any() and (counted[lost] == 1.0).all()  # frames of the samples are 1x1: (1 + 1) / 2
    np.testing.assert_array_equal(counted[~lost], skipped[~lost])
