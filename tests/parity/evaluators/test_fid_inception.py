"""The FID Inception against the features that pytorch-fid gives."""

from __future__ import annotations

import pytest
import torch

from benchbed.metrics.evaluators.inception import InceptionEvaluator, load_network, prepare
from benchbed.metrics.evaluators.resizing import resize_pytorch_fid

FIXTURES = ("fid_inception",)
# What `--dims N` of pytorch-fid averages.
BLOCKS = {"pooled64": "maxpool1", "pooled192": "maxpool2", "pooled768": "Mixed_6e"}


@pytest.fixture
def evaluator(recorded):
    network = prepare(load_network(recorded.weights()), torch.device("cpu"))
    return InceptionEvaluator(network, "seeded")


def test_features_and_blocks_equal_the_recorded_ones(recorded, evaluator):
    pooled: dict[str, list[torch.Tensor]] = {name: [] for name in BLOCKS}
    for name, block in BLOCKS.items():
        evaluator.network.get_submodule(block).register_forward_hook(
            lambda _module, _given, output, name=name: pooled[name].append(output.mean(dim=(2, 3)))
        )
    recorded.require("features2048", evaluator(recorded.frames("images_u8")).vectors.numpy())
    for name in BLOCKS:
        recorded.require(name, torch.cat(pooled[name]).numpy(), bound="features2048")


def test_features_of_a_frame_that_is_not_square_equal_the_recorded_ones(recorded, evaluator):
    ours = evaluator(recorded.frames("image_rect_u8")).vectors.numpy()
    recorded.require("features2048_rect", ours, bound="features2048")


def test_the_resized_input_equals_the_recorded_one(recorded):
    ours = resize_pytorch_fid(recorded.frames("images_u8")[:1])[0, :, ::8, ::8]
    recorded.require("resized_first_stride8", ours.numpy(), bound="features2048")
