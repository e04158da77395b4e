"""The face embedding against what facenet-pytorch gives: the library's network and the frozen form used to measure."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from benchbed.metrics.evaluators.facenet import FacenetEvaluator, standardised
from benchbed.metrics.evaluators.facenet_network import FrozenInceptionResnet, load_network

FIXTURES = ("facenet_inception_resnet_v1",)


@functools.cache
def seeded(recorded):
    return recorded.weights()


@pytest.fixture
def network(recorded):
    return FrozenInceptionResnet(load_network(seeded(recorded)))


@pytest.fixture
def crops(recorded):
    return recorded.frames("images_u8") * 255


def test_the_embedding_equals_the_recorded_one(recorded, network, crops):
    vectors = FacenetEvaluator(network, lambda frames: [], "seeded").embed(crops).numpy()
    recorded.require("embedding", vectors)
    recorded.require("cosine", vectors @ vectors.T, bound="embedding")


def test_the_output_before_unit_length_equals_the_recorded_one(recorded, network, crops):
    with torch.no_grad():
        recorded.require("pre_norm", network(standardised(crops)).numpy(), bound="embedding")


def test_every_stage_equals_the_recorded_one(recorded, network, crops):
    seen: dict[str, np.ndarray] = {}
    for stage in (name.removeprefix("mean_") for name in recorded.arrays if name.startswith("mean_")):
        network.get_submodule(stage).register_forward_hook(
            lambda _, __, output, stage=stage: seen.update({stage: output.mean(dim=(2, 3)).numpy()})
        )
    with torch.no_grad():
        network(standardised(crops))
    assert seen
    for stage, mean in seen.items():
        recorded.require(f"mean_{stage}", mean, bound="embedding")


def test_the_library_network_with_the_same_tensors_gives_the_recorded_embedding(recorded, crops):
    with torch.no_grad():
        vectors = load_network(seeded(recorded))(standardised(crops)).numpy()
    recorded.require("embedding", vectors)
