"""Metrics and their networks against recorded outputs of the field's libraries and scripts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchbed.errors import CheckpointError
from benchbed.interfaces.evaluator import IdentityFeatures, KeypointFeatures, PooledFeatures
from benchbed.interfaces.metric import Sample
from benchbed.metrics.evaluators.inception import InceptionEvaluator, load_network
from benchbed.metrics.evaluators.perceptual import PerceptualEvaluator, load_heads, load_trunk, packaged_heads
from benchbed.metrics.frechet import FrechetDistance, covariance_factor, frechet_distance
from benchbed.metrics.identity import AverageEmbeddingDistance, CosineSimilarity
from benchbed.metrics.keypoints import AverageKeypointDistance, MissingKeypointRate
from benchbed.metrics.lpips import LearnedPerceptualDistance
from benchbed.metrics.pixel import MeanAbsoluteError, PeakSignalToNoiseRatio
from benchbed.metrics.ssim import MultiScaleStructuralSimilarity, StructuralSimilarity


class Fixture:
    """One recorded fixture: `facts` of the json, arrays of the npz."""

    def __init__(self, shared: Path, name: str) -> None:
        folder = shared / "parity" / "evaluators"
        self.facts = json.loads((folder / f"{name}.json").read_text())
        self.arrays = np.load(folder / f"{name}.npz")
        self._rule = shared / "parity" / "seeded_weights.py"

    def frames(self, name: str) -> Sample:
        """An uint8 array of images as frames in [0, 1]."""
        images = np.atleast_3d(self.arrays[name])
        images = images if images.ndim == 4 else images[None]
        return Sample(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)

    def weights(self) -> dict[str, torch.Tensor]:
        """The seeded tensors, without the network's name in front."""
        spec = importlib.util.spec_from_file_location("seeded_weights", self._rule)
        assert spec is not None and spec.loader is not None
        rule = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(rule)
        seed, gain = self.facts["seed"], self.facts["gain"]
        return {
            name.split(".", 1)[1]: torch.from_numpy(
                np.asarray(rule.seeded_tensor(name, tuple(shape), seed, gain))
            )
            for name, shape in self.facts["parameters"].items()
        }


@pytest.mark.parametrize(
    ("metric", "key", "bound"),
    [
        (MeanAbsoluteError(), "l1", "l1"),
        (PeakSignalToNoiseRatio(), "psnr_skimage", "psnr"),
        (StructuralSimilarity(), "ssim_pytorch_msssim", "ssim"),
        (StructuralSimilarity(), "ssim_skimage_gaussian_float", "ssim"),
        (MultiScaleStructuralSimilarity(), "ms_ssim_pytorch_msssim", "ms_ssim"),
    ],
)
def test_pixel_metrics_equal_the_libraries(shared, metric, key, bound):
    fixture = Fixture(shared, "pixel_metrics")
    expected = [value[key] for value in fixture.facts["values"]]
    scores = metric.per_frame(fixture.frames("image1_u8"), fixture.frames("image0_u8"))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=fixture.facts["tolerance"][bound])


def keypoints(positions: np.ndarray, found: np.ndarray) -> Sample:
    features = KeypointFeatures(torch.from_numpy(positions), torch.from_numpy(found))
    return Sample(torch.zeros(len(positions), 3, 1, 1), {"keypoints": features})


def embeddings(values: np.ndarray) -> Sample:
    features = IdentityFeatures(torch.from_numpy(values), torch.ones(len(values), dtype=torch.bool))
    return Sample(torch.zeros(len(values), 3, 1, 1), {"identity": features})


def recorded_features(fixture: Fixture, stage: str) -> tuple[Sample, Sample]:
    """Generated and target samples of one stage of the key point and identity fixture."""
    if stage == "identity":
        return embeddings(fixture.arrays["id_pred"]), embeddings(fixture.arrays["id_gt"])
    generated, target = fixture.arrays[f"{stage}_pred"], fixture.arrays[f"{stage}_gt"]
    if stage == "face":
        lost = np.concatenate(fixture.facts["face_prediction_missing"])
        found = np.repeat(~lost[:, None], target.shape[1], axis=1)
        return keypoints(generated, found), keypoints(target, np.ones_like(found))
    return keypoints(generated, generated[..., 0] != -1), keypoints(target, target[..., 0] != -1)


COORDINATE, EUCLIDEAN = AverageKeypointDistance(), AverageKeypointDistance("euclidean")


@pytest.mark.parametrize(
    ("stage", "key", "metric", "reduction"),
    [
        ("face", "akd_reference_mean_abs_over_frames", COORDINATE, "frames"),
        ("face", "akd_mean_abs_over_videos", COORDINATE, "clips"),
        ("face", "akd_euclidean_over_frames", EUCLIDEAN, "frames"),
        ("body", "akd_reference_over_frames", COORDINATE, "frames"),
        ("body", "akd_over_videos", COORDINATE, "clips"),
        ("body", "akd_euclidean_over_frames", EUCLIDEAN, "frames"),
        ("body", "mkr_reference_over_frames", MissingKeypointRate(), "frames"),
        ("body", "mkr_over_videos", MissingKeypointRate(), "clips"),
        ("identity", "aed_reference_sum_of_squares_over_frames", AverageEmbeddingDistance(), "frames"),
        ("identity", "aed_sum_of_squares_over_videos", AverageEmbeddingDistance(), "clips"),
        ("identity", "aed_l2_norm_over_frames", AverageEmbeddingDistance("rooted"), "frames"),
        ("identity", "aed_l2_norm_over_videos", AverageEmbeddingDistance("rooted"), "clips"),
        ("identity", "aed_mean_squared_over_frames", AverageEmbeddingDistance("mean-square"), "frames"),
        ("identity", "csim_cosine_over_frames", CosineSimilarity(), "frames"),
        ("identity", "csim_cosine_over_videos", CosineSimilarity(), "clips"),
    ],
)
def test_keypoint_and_identity_metrics_equal_every_convention(shared, stage, key, metric, reduction):
    fixture = Fixture(shared, "keypoint_identity_metrics")
    scores = metric.per_frame(*recorded_features(fixture, stage))
    ends = np.cumsum(fixture.facts["clips"][stage])[:-1]
    parts = [scores] if reduction == "frames" else np.split(scores, ends)
    value = np.mean([np.nanmean(part) for part in parts])
    assert value == pytest.approx(fixture.facts["values"][stage][key], rel=fixture.facts["tolerance"]["rtol"])


def test_as_many_frames_are_scored_as_the_scripts_score(shared):
    fixture = Fixture(shared, "keypoint_identity_metrics")
    face, body = recorded_features(fixture, "face"), recorded_features(fixture, "body")
    counts = fixture.facts["values"]
    assert np.isfinite(COORDINATE.per_frame(*face)).sum() == counts["face"]["frames_scored"]
    assert np.isfinite(COORDINATE.per_frame(*body)).sum() == counts["body"]["frames_in_akd"]
    assert np.isfinite(MissingKeypointRate().per_frame(*body)).sum() == counts["body"]["frames_in_mkr"]


def test_frechet_distances_equal_the_exact_ones(shared):
    fixture = Fixture(shared, "frechet")
    for case in fixture.facts["cases"]:
        name, exact = case["name"], case["symmetric_value"]
        mean_1, sigma_1, mean_2, sigma_2 = (
            fixture.arrays[f"{name}_{part}"].astype(np.float64) for part in ("mu1", "sigma1", "mu2", "sigma2")
        )
        value = frechet_distance(mean_1, covariance_factor(sigma_1), mean_2, covariance_factor(sigma_2))
        # The fixture's bounds: 1e-6 for regular covariances, 1e-3 for singular ones; float32 inputs are the cause.
        bound = (
            1e-6 * abs(exact) + 1e-9
            if name in ("regular", "identical", "diagonal")
            else 1e-3 * (1 + abs(exact))
        )
        assert abs(value - exact) <= bound, name


def test_the_frechet_distance_of_few_samples_equals_the_recorded_one(shared):
    fixture = Fixture(shared, "frechet")
    first, second = fixture.arrays["samples_a"], fixture.arrays["samples_b"]
    metric = FrechetDistance()
    samples = [
        Sample(torch.zeros(len(rows), 3, 1, 1), {"pooled": PooledFeatures(torch.from_numpy(rows))})
        for rows in (first, second)
    ]
    value = metric.finish(metric.accumulate(*samples))
    assert value == pytest.approx(fixture.facts["samples"]["gram_value"], rel=1e-9)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_equals_the_recorded_distances(shared, net):
    fixture = Fixture(shared, f"lpips_{net}")
    heads = load_heads(net, packaged_heads(net))
    network = PerceptualEvaluator(load_trunk(net, fixture.weights()), heads, "seeded")
    samples = []
    for name in ("image0_u8", "image1_u8"):
        sample = fixture.frames(name)
        samples.append(Sample(sample.frames, {"perceptual": network(sample.frames)}))
    bound = fixture.facts["tolerance"]["distance"]
    scores = LearnedPerceptualDistance().per_frame(*samples)
    np.testing.assert_allclose(scores, fixture.arrays["distance"], **bound)


def test_inception_features_equal_the_recorded_ones(shared):
    fixture = Fixture(shared, "fid_inception")
    network = InceptionEvaluator(load_network(fixture.weights()), "seeded")
    bound = fixture.facts["tolerance"]["features2048"]
    for images, features in (("images_u8", "features2048"), ("image_rect_u8", "features2048_rect")):
        ours = network(fixture.frames(images).frames).vectors.numpy()
        np.testing.assert_allclose(ours, fixture.arrays[features], **bound)


def test_inception_weights_may_lack_step_counters_but_nothing_else(shared):
    fixture = Fixture(shared, "fid_inception")
    tensors = {name: t for name, t in fixture.weights().items() if not name.endswith("num_batches_tracked")}
    load_network(tensors)
    del tensors["Mixed_7c.branch1x1.conv.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing \(Mixed_7c.branch1x1.conv.weight"):
        load_network(tensors)
