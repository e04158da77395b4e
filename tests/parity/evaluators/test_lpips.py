"""LPIPS against what the lpips package gives: distance, per layer, spatial map, trunk statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchbed.interfaces.metric import Sample
from benchbed.metrics.evaluators.perceptual import (
    PerceptualEvaluator,
    load_heads,
    load_trunk,
    packaged_heads,
    prepare,
)
from benchbed.metrics.lpips import LearnedPerceptualDistance

FIXTURES = ("lpips",)


@pytest.fixture
def evaluator(recorded):
    net = recorded.facts["fixture"].split("_")[1]
    trunk = prepare(load_trunk(net, recorded.weights()), torch.device("cpu"))
    return PerceptualEvaluator(trunk, load_heads(net, packaged_heads(net)), "seeded")


@pytest.fixture
def samples(recorded, evaluator):
    frames = [recorded.frames(name) for name in ("image0_u8", "image1_u8")]
    return [Sample(images, {"perceptual": evaluator(images)}) for images in frames]


def maps(samples) -> list[torch.Tensor]:
    """Distance of every position `[N, 1, h, w]`, per layer."""
    first, second = (sample.features["perceptual"] for sample in samples)
    return [
        ((one - other).square() * head.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        for one, other, head in zip(first.layers, second.layers, first.weights, strict=True)
    ]


def test_the_distance_equals_the_recorded_one(recorded, samples):
    recorded.require("distance", LearnedPerceptualDistance().per_frame(*samples))


def test_every_layers_share_equals_the_recorded_one(recorded, samples):
    shares = torch.stack([layer.mean(dim=(1, 2, 3)) for layer in maps(samples)], dim=1)
    recorded.require("per_layer", shares.numpy(), bound="distance")


def test_the_spatial_map_equals_the_recorded_one(recorded, samples):
    size = samples[0].frames.shape[2:]
    upsampled = [
        functional.interpolate(layer, size=size, mode="bilinear", align_corners=False)
        for layer in maps(samples)
    ]
    recorded.require("spatial_map_pair0", torch.stack(upsampled).sum(dim=0)[0, 0].numpy(), bound="distance")


def test_the_trunk_equals_the_recorded_statistics(recorded, evaluator):
    with torch.no_grad():
        layers = evaluator._activations(recorded.frames("image0_u8"))
    means = torch.cat([layer.mean(dim=(2, 3)) for layer in layers], dim=1).numpy()
    deviations = torch.cat([layer.std(dim=(2, 3)) for layer in layers], dim=1).numpy()
    sizes = np.sqrt(np.square(recorded.arrays["relu_mean"]).mean())
    for name, ours in (("relu_mean", means), ("relu_std", deviations)):
        # Bounded as the distance is, in units of the activations.
        allowed = recorded.tolerance["distance"]
        np.testing.assert_allclose(
            ours, recorded.arrays[name], atol=allowed["atol"] * max(1.0, sizes), rtol=allowed["rtol"]
        )
