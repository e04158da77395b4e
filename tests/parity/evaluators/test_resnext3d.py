"""The 3-D ResNeXt-101 against the recorded network, features and stages."""

from __future__ import annotations

import pytest
import torch

from benchbed.metrics.evaluators.folding import fold_batch_norms
from benchbed.metrics.evaluators.resnext3d import MEAN, load_network

FIXTURES = ("resnext101_3d",)
# The fixture divides by this to keep random weights in range; published weights take the values undivided.
RANGE = 64


@pytest.fixture
def clips(recorded):
    clips = torch.from_numpy(recorded.arrays["clips_u8"]).permute(0, 4, 1, 2, 3).float()
    return (clips - torch.tensor(MEAN).view(1, 3, 1, 1, 1)) / RANGE


@torch.no_grad()
def test_features_equal_the_recorded_ones(recorded, clips):
    network = fold_batch_norms(load_network(recorded.weights()))
    recorded.require("features", network(clips).numpy())
    recorded.require("features_time_reversed", network(clips.flip(2)).numpy(), bound="features")


@torch.no_grad()
def test_every_stage_equals_the_recorded_mean(recorded, clips):
    network = load_network(recorded.weights())
    means = {}
    stages = ["maxpool", *(f"layer{index}" for index in range(1, 5))]
    for name in stages:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _given, output, name=name: means.update({name: output.mean(dim=(2, 3, 4))})
        )
    network(clips)
    for name in stages:
        recorded.require(f"mean_{name}", means[name].numpy(), bound="features")
