"""MTIA reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbed.methods.blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from benchbed.methods.blocks.first_order_config import TransferConfig
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid
from benchbed.methods.mtia.checkpoint import inference_networks
from benchbed.methods.mtia.config import mtia_config
from benchbed.methods.mtia.losses import background_mask_loss, mask_concentration_loss
from benchbed.methods.mtia.method import Mtia

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import StageFunction, check_stage

METHOD = "mtia"
Inputs = dict[str, Tensor]
Results = Mapping[str, Tensor]


@lru_cache(maxsize=3)
def networks(path: Path) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights."""
    fixture = load_fixture(path)
    return seeded(fixture, inference_networks(mtia_config(fixture.config)))


def method(fixture: Fixture, transfer: TransferConfig) -> Mtia:
    """The method as the bench calls it."""
    return Mtia(replace(mtia_config(fixture.config), transfer=transfer), networks(fixture.path)).eval()


def outputs(compute: Callable[[Fixture, Inputs], Results]) -> StageFunction:
    """A stage whose outputs are recorded under `out/`."""

    @wraps(compute)
    def stage_function(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
        return {f"out/{name}": value for name, value in compute(fixture, inputs).items()}

    return stage_function


def keypoints(inputs: Inputs, role: str) -> Keypoints:
    return Keypoints(inputs[f"kp_{role}_value"], inputs[f"kp_{role}_jacobian"])


def given(points: Keypoints, prefix: str = "") -> dict[str, Tensor]:
    assert points.jacobian is not None
    return {f"{prefix}value": points.value, f"{prefix}jacobian": points.jacobian}


@outputs
def backbone(fixture: Fixture, inputs: Inputs) -> Results:
    return {"feature": networks(fixture.path)["kp_detector"].pre_feature(inputs["image"])}


@outputs
def read_tokens(fixture: Fixture, inputs: Inputs) -> Results:
    return given(networks(fixture.path)["kp_detector"].transformer(inputs["feature"]))


@outputs
def positions(fixture: Fixture, inputs: Inputs) -> Results:
    return {"pos_embedding": networks(fixture.path)["kp_detector"].transformer.pos_embedding}


@outputs
def detect(fixture: Fixture, inputs: Inputs) -> Results:
    return given(networks(fixture.path)["kp_detector"](inputs["image"]))


@outputs
def background(fixture: Fixture, inputs: Inputs) -> Results:
    return {"bg_params": networks(fixture.path)["bg_predictor"](inputs["source"], inputs["driving"])}


@outputs
def dense_motion(fixture: Fixture, inputs: Inputs) -> Results:
    network = networks(fixture.path)["generator"].dense_motion_network
    motion = network(
        network.downsample(inputs["source"]),
        keypoints(inputs, "source"),
        keypoints(inputs, "driving"),
        inputs.get("bg_params"),
    )
    return {
        "mask": motion.mask,
        "deformation": motion.deformation,
        "occlusion_map": motion.occlusion_map,
        "sparse_deformed": motion.sparse_deformed,
    }


@outputs
def generate(fixture: Fixture, inputs: Inputs) -> Results:
    generator = networks(fixture.path)["generator"]
    generation = generator(
        inputs["source"],
        keypoints(inputs, "source"),
        keypoints(inputs, "driving"),
        inputs.get("bg_params"),
    )
    return {
        "prediction": generation.prediction,
        "deformed": generator.deform(inputs["source"], generation.motion),
    }


@outputs
def paint(fixture: Fixture, inputs: Inputs) -> Results:
    generator = networks(fixture.path)["generator"]
    appearance = generator.look(inputs["source"])
    return {"prediction": generator.paint(appearance, inputs["deformation"], inputs["occlusion_map"])}


@outputs
def reconstruct(fixture: Fixture, inputs: Inputs) -> Results:
    """The method itself, a source at a time as the bench calls it."""
    animated = method(fixture, TransferConfig())
    found: dict[str, list[Tensor]] = {"prediction": [], "occlusion_map": []}
    for source, driving in zip(inputs["source"], inputs["driving"], strict=True):
        encoding = animated.encode(source[None])
        found["prediction"].append(animated.animate(encoding, driving[None]))
        matrix = None
        if animated.bg_predictor is not None:
            matrix = animated.bg_predictor(source[None], driving[None])
        generation = animated.generate(encoding, animated.keypoints(driving[None]), matrix)
        assert generation.motion.occlusion_map is not None
        found["occlusion_map"].append(generation.motion.occlusion_map)
    return {name: torch.cat(values) for name, values in found.items()}


@outputs
def animate_relative(fixture: Fixture, inputs: Inputs) -> Results:
    """The method itself; one source and one clip, of which the first frame is a batch of one."""
    animated = method(fixture, TransferConfig(adapt_movement_scale=True))
    encoding = animated.encode(inputs["source"][:1])
    driving = inputs["driving"]
    initial = inputs["driving_initial"][:1]
    posed = animated.driving_keypoints(encoding, driving, initial_driving=initial, transfer="relative")
    prediction = animated.animate(encoding, driving, initial_driving=initial, transfer="relative")
    return given(posed, "kp_norm_") | {"prediction": prediction}


@outputs
def losses(fixture: Fixture, inputs: Inputs) -> Results:
    params = inputs["control_params"].flatten(1)
    warp = ThinPlateWarp(inputs["theta"], control_grid(round(params.shape[1] ** 0.5), params), params)
    driving, transformed = keypoints(inputs, "driving"), keypoints(inputs, "transformed")
    weights = fixture.config["train_params"]["loss_weights"]
    return {
        "bg_mask_loss": weights["bg_fg_mask"] * background_mask_loss(inputs["mask"]),
        "fg_mask_concentration": weights["fg_mask_concentration"] * mask_concentration_loss(inputs["mask"]),
        "equivariance_value": weights["equivariance_value"]
        * equivariance_value_loss(warp, driving, transformed),
        "equivariance_jacobian": weights["equivariance_jacobian"]
        * equivariance_jacobian_loss(warp, driving, transformed),
    }


STAGES = {
    "backbone": backbone,
    "transformer_explicit_feature": read_tokens,
    "position_embedding": positions,
    "keypoints": detect,
    "background": background,
    "dense_motion": dense_motion,
    "generator_explicit_keypoints": generate,
    "decoder_explicit_motion": paint,
    "end_to_end_reconstruction": reconstruct,
    "end_to_end_relative": animate_relative,
    "losses": losses,
}


@pytest.fixture(scope="module", autouse=True)
def released_afterwards():
    yield
    networks.cache_clear()


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    check_published(load_fixture(fixture_path), networks(fixture_path))
