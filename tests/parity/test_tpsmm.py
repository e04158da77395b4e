"""TPSMM reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from torch import Tensor, nn

from benchbed.methods.blocks.animation import AnimationConfig
from benchbed.methods.blocks.antialias import ImagePyramid
from benchbed.methods.blocks.equivariance import equivariance_value_loss
from benchbed.methods.blocks.keypoint_set_animation import keypoint_set_networks
from benchbed.methods.blocks.multi_occlusion_motion import dropout_softmax
from benchbed.methods.blocks.spline_animation import splines
from benchbed.methods.blocks.thin_plate import ThinPlateSpline
from benchbed.methods.blocks.transforms import control_grid
from benchbed.methods.tpsmm.config import tpsmm_config
from benchbed.methods.tpsmm.method import Tpsmm
from benchbed.methods.training.keypoint_set_terms import (
    background_loss,
    masked_stages,
    stretched,
    warp_loss,
)

from .fixtures import Fixture, Stage, load_fixture
from .keypoint_set_stages import (
    Inputs,
    SharedStages,
    given,
    given_occlusions,
    motion_outputs,
    stored_channels,
)
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "tpsmm"


@lru_cache(maxsize=1)
def networks(path: Path) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights; one fixture's at a time."""
    fixture = load_fixture(path)
    return seeded(fixture, keypoint_set_networks(tpsmm_config(fixture.config)))


def method(fixture: Fixture, avd: bool = False) -> Tpsmm:
    config = replace(tpsmm_config(fixture.config), animation=AnimationConfig(avd, "never"))
    return Tpsmm(config, networks(fixture.path)).eval()


def spline_from_keypoints(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    spline = splines(given(inputs, "source"), given(inputs, "driving"))
    height, width = fixture.arrays["tps_grids"].shape[2:4]
    return {
        "tps_theta": spline.theta,
        "tps_control_params": spline.weights,
        "tps_grids": spline.grid(height, width),
    }


def downsample(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"source_low": networks(fixture.path)["dense_motion_network"].downsample(inputs["image_source"])}


def heatmaps(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["dense_motion_network"]
    size = network.downsample(inputs["image_source"]).shape[2:]
    return {"heatmap": network.heatmaps(given(inputs, "source"), given(inputs, "driving"), size)}


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    model, matrix = method(fixture), inputs.get("bg_param_given")
    low = model.dense_motion_network.downsample(inputs["image_source"])
    motion = model.move(low, given(inputs, "source"), given(inputs, "driving"), matrix)
    return motion_outputs("dm_nobg" if matrix is None else "dm", motion)


def warping_loss(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network, occlusions = networks(fixture.path)["inpainting_network"], given_occlusions(inputs)
    source, driving = network.look(inputs["image_source"]), network.look(inputs["image_driving"])
    stages = list(masked_stages(driving, occlusions))[::-1]
    loss = warp_loss(network, source, driving, inputs["deformation_given"], occlusions)
    return {"": loss} | stored_channels(fixture, "encode_map", stages)


def equivariance(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    weights = inputs["control_params_random_given"].transpose(1, 2)
    controls = control_grid(round(weights.shape[1] ** 0.5), weights)
    warp, driving = (
        ThinPlateSpline(inputs["theta_random_given"], controls, weights.expand(-1, -1, 2)),
        inputs["image_driving"],
    )
    detector, frame = networks(fixture.path)["kp_detector"], warp.frame(driving)
    transformed = detector(frame)
    return {
        "eq_grid": warp.grid(*driving.shape[2:]).permute(0, 3, 1, 2),
        "eq_frame": frame,
        "eq_kp": transformed.value,
        "eq_warped_kp": warp.points(transformed.value),
        "eq_value": equivariance_value_loss(warp, detector(driving), transformed),
    }


def background_cycle(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    predictor = networks(fixture.path)["bg_predictor"]
    source, driving = inputs["image_source"], inputs["image_driving"]
    return {"bg_loss": background_loss(predictor(source, driving), predictor(driving, source))}


def dropped(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"": dropout_softmax(inputs["logits_given"], inputs["drop_keep_given"])}


def pyramid(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    roles = [stage.role(output) for output in stage.outputs]
    scales = tuple(float(role.strip("_").replace("p", ".")) for role in roles)
    return dict(zip(roles, ImagePyramid(scales)(inputs["image_driving"]), strict=True))


def stretch(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"avd_scaled_kp": stretched(inputs["kp_driving_given"], inputs["random_scale_theta_given"])}


STAGES = {
    **SharedStages(networks, method).by_kind(),
    "tps_from_keypoints": spline_from_keypoints,
    "downsampled_source": downsample,
    "heatmaps": heatmaps,
    "dense_motion_given_keypoints": dense_motion,
    "dense_motion_given_keypoints_no_background": dense_motion,
    "warp_loss": warping_loss,
    "equivariance": equivariance,
    "background_loss": background_cycle,
    "dropout_softmax": dropped,
    "pyramid": pyramid,
    "avd_training_scale": stretch,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    fixture = load_fixture(fixture_path)
    built = networks(fixture_path)
    assert set(built) == set(fixture.record["parameter_counts"])
    check_published(fixture, built)
