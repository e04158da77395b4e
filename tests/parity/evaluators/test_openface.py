"""OpenFace nn4.small2 against the embeddings recorded from its PyTorch port."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.metrics.evaluators.openface import OpenfaceEvaluator, frozen
from benchbed.metrics.evaluators.openface_network import load_network

FIXTURES = ("openface_nn4_small2",)


@pytest.fixture
def network(recorded):
    return frozen(recorded.weights())


def bgr(recorded):
    return recorded.frames("images_u8").flip(1)


def test_the_embedding_equals_the_recorded_one(recorded, network):
    vectors = OpenfaceEvaluator(network, "seeded")(recorded.frames("images_u8")).vectors.numpy()
    recorded.require("embedding", vectors)
    squares = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    recorded.require("aed_sum_of_squares", squares, bound="embedding")
    # The root is steep at 0: its bound is the one of the vectors.
    recorded.require("aed_l2", np.linalg.norm(vectors[:, None] - vectors[None], axis=2), bound="embedding")


@pytest.mark.parametrize(
    ("anti_aliasing", "output"), [(False, "embedding_no_antialias"), (True, "embedding_antialias")]
)
def test_a_resized_frame_gives_the_recorded_embedding(recorded, network, anti_aliasing, output):
    evaluator = OpenfaceEvaluator(network, "seeded", anti_aliasing=anti_aliasing)
    vectors = evaluator(recorded.frames("image_large_u8")).vectors.numpy()
    recorded.require(output, vectors[0], bound="embedding")


def test_every_stage_equals_the_recorded_one(recorded, network):
    seen: dict[str, np.ndarray] = {}
    for stage in (name.removeprefix("mean_") for name in recorded.arrays if name.startswith("mean_")):
        network.get_submodule(stage).register_forward_hook(
            lambda _, __, output, stage=stage: seen.update({stage: output.mean(dim=(2, 3)).numpy()})
        )
    with torch.no_grad():
        recorded.require("features736", network.pooled(bgr(recorded)).numpy(), bound="embedding")
    assert seen
    for stage, mean in seen.items():
        recorded.require(f"mean_{stage}", mean, bound="embedding")


def test_the_network_without_folded_norms_gives_the_recorded_features(recorded):
    with torch.no_grad():
        features = load_network(recorded.weights()).pooled(bgr(recorded)).numpy()
    recorded.require("features736", features, bound="embedding")
