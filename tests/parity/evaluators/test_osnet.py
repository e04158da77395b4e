"""Our OSNet against the recorded embeddings, stage averages and resize of the published one."""

from __future__ import annotations

import numpy as np
import torch

from benchbed.metrics.evaluators.osnet import load_osnet
from benchbed.metrics.evaluators.person_identity import OSNET_INPUT, PersonIdentityEvaluator

from .recorded import Recorded

FIXTURES = ("osnet_x1_0",)
BOUND = "embedding"


def evaluator(recorded: Recorded) -> PersonIdentityEvaluator:
    return PersonIdentityEvaluator(load_osnet(recorded.weights()), OSNET_INPUT, "seeded")


def test_embeddings_and_their_distances_are_the_recorded_ones(recorded):
    vectors = evaluator(recorded)(recorded.frames("images_u8")).vectors.numpy()
    recorded.require("embedding", vectors)
    squared = ((vectors[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=-1)
    recorded.require("squared_l2_distance", squared, BOUND)
    recorded.require("l2_distance", np.sqrt(squared), BOUND)


def test_a_frame_of_another_shape_is_resized_as_recorded(recorded):
    recorded.require(
        "embedding_square", evaluator(recorded)(recorded.frames("image_square_u8")).vectors, BOUND
    )


def test_every_stage_has_the_recorded_averages(recorded):
    ours = evaluator(recorded)
    # The fixture's text names `images_u8`, but a row per call was kept and the last call was the square image.
    rows = len(recorded.arrays["mean_conv1"])
    taken = "images_u8" if rows == len(recorded.arrays["images_u8"]) else "image_square_u8"
    with torch.no_grad():
        stages = ours.network.stages(ours.prepare(recorded.frames(taken)))
    for name, activations in stages.items():
        recorded.require(f"mean_{name}", activations.mean(dim=(2, 3)).numpy(), BOUND)
