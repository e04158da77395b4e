"""Face-vid2vid reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from torch import Tensor, nn

from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.transfer import transfer_keypoints
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid
from benchbed.methods.facevid2vid.checkpoint import inference_networks
from benchbed.methods.facevid2vid.config import facevid2vid_config
from benchbed.methods.facevid2vid.losses import (
    equivariance_loss,
    expression_loss,
    head_pose_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    keypoint_prior_loss,
)
from benchbed.methods.facevid2vid.method import Facevid2vid
from benchbed.methods.facevid2vid.pose import HeadPose, View, degrees, posed, rotation

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "facevid2vid"
Inputs = dict[str, Tensor]


@lru_cache(maxsize=1)
def networks(path: Path) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights; one fixture's at a time."""
    fixture = load_fixture(path)
    return seeded(fixture, inference_networks(facevid2vid_config(fixture.config)))


@pytest.fixture(scope="module", autouse=True)
def _freed():
    """Full-size networks do not outlive this file."""
    yield
    networks.cache_clear()


def method(fixture: Fixture) -> Facevid2vid:
    """The method as the bench calls it; relative transfer adapts the movement scale, as recorded."""
    config = replace(facevid2vid_config(fixture.config), adapt_movement_scale=True)
    return Facevid2vid(config, networks(fixture.path)).eval()


def recorded_view(fixture: Fixture, stage: Stage) -> View:
    """The angles that a stage fixes; they stand in its note alone."""
    note = next(one["note"] for one in fixture.record["stages"] if one["name"] == stage.name)
    found = re.findall(r"(yaw|pitch|roll)(?: fixed)? to (-?\d+)", note)
    if not found:
        raise AssertionError(f"the note of {stage.name} names no fixed angle: {note}")
    return View(**{angle: float(value) for angle, value in found})


def keypoints(inputs: Inputs, role: str) -> Keypoints:
    return Keypoints(inputs[f"kp_{role}"], inputs.get(f"jac_{role}"))


def under(results: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"out/{name}": value for name, value in results.items()}


def detect(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    canonical = networks(fixture.path)["kp_detector"](inputs["image"])
    results = {"value": canonical.value}
    return under(results if canonical.jacobian is None else results | {"jacobian": canonical.jacobian})


def estimate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    pose = networks(fixture.path)["he_estimator"](inputs["image"])
    angles = {"yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll}
    in_degrees = {f"{name}_degree": degrees(logits) for name, logits in angles.items()}
    return under(angles | in_degrees | {"t": pose.translation, "exp": pose.expression.flatten(1)})


def bins(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return under({"degree": degrees(inputs["logits"])})


def turn(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    angles = {name: inputs[f"{name}_degree"] for name in ("yaw", "pitch", "roll")}
    return under({"rotation": rotation(**angles)})


def given_pose(inputs: Inputs) -> HeadPose:
    translation = inputs.get("t", inputs["exp"].new_zeros(len(inputs["exp"]), 3))
    expression = inputs["exp"].unflatten(1, (-1, 3))
    return HeadPose(inputs["yaw"], inputs["pitch"], inputs["roll"], translation, expression)


def transform(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    canonical = Keypoints(inputs["kp_canonical"], inputs.get("jacobian_canonical"))
    pose = given_pose(inputs)
    own = posed(canonical, pose)
    # The stage with jacobians leaves the angles to the one without.
    plain = replace(stage, name=stage.name.removesuffix("_jacobian"))
    results = {"value": own.value}
    results["free_view_value"] = posed(canonical, pose, view=recorded_view(fixture, plain)).value
    return under(results if own.jacobian is None else results | {"jacobian": own.jacobian})


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["generator"].dense_motion_network
    motion = network(
        network.compressed(inputs["feature"]), keypoints(inputs, "source"), keypoints(inputs, "driving")
    )
    return under(
        {"mask": motion.mask, "deformation": motion.deformation, "occlusion_map": motion.occlusion_map},
    )


def generate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path)["generator"]
    generation = generator(inputs["source"], keypoints(inputs, "source"), keypoints(inputs, "driving"))
    motion = generation.motion
    return under(
        {
            "prediction": generation.prediction,
            "mask": motion.mask,
            "occlusion_map": motion.occlusion_map,
        },
    )


def render(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path)["generator"]
    volume = generator.encode(inputs["source"]).volume
    return under({"prediction": generator.render(volume, inputs["deformation"], inputs["occlusion_map"])})


def reconstruct(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    model, driving = method(fixture), inputs["driving"]
    encoding = model.encode(inputs["source"])
    return under(
        {
            "kp_source": encoding.keypoints.value,
            "kp_driving": model.driving_keypoints(encoding, driving).value,
            "prediction": model.animate(encoding, driving),
        },
    )


def relative(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    sets = (Keypoints(inputs[f"kp_{role}"]) for role in ("source", "driving", "initial"))
    source, driving, initial = sets
    return under(
        {
            name: transfer_keypoints(
                source, driving, initial, relative=True, adapt_movement_scale=adapt
            ).value
            for name, adapt in (("adapt", True), ("plain", False))
        },
    )


def _animate(
    fixture: Fixture, stage: Stage, inputs: Inputs, view: View | None = None
) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it."""
    model, driving, initial = method(fixture), inputs["driving"], inputs["driving_initial"]
    encoding = model.encode(inputs["source"])
    points = model.driving_keypoints(
        encoding, driving, initial_driving=initial, transfer="relative", view=view
    )
    prediction = model.animate(encoding, driving, initial_driving=initial, transfer="relative", view=view)
    return under({"kp_norm": points.value, "prediction": prediction})


def animate_relative(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return _animate(fixture, stage, inputs)


def animate_free_view(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return _animate(fixture, stage, inputs, recorded_view(fixture, stage))


def losses(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    weights = fixture.config["train_params"]["loss_weights"]
    driving, pose = Keypoints(inputs["kp_driving"]), given_pose(inputs)
    params = inputs["control_params"].flatten(1)
    warp = ThinPlateWarp(inputs["theta"], control_grid(round(params.shape[1] ** 0.5), params), params)
    teacher = {name: inputs[f"{name}_teacher"] for name in ("yaw", "pitch", "roll")}
    real, fake = inputs["map_real"], inputs["map_fake"]
    terms = {
        "equivariance_value": equivariance_loss(warp, driving, Keypoints(inputs["kp_transformed"])),
        "keypoint": keypoint_prior_loss(driving),
        "headpose": head_pose_loss(pose, **teacher),
        "expression": expression_loss(pose),
    }
    return under(
        {name: weights[name] * term for name, term in terms.items()}
        | {
            "discriminator_hinge": weights["discriminator_gan"] * hinge_discriminator_loss(real, fake),
            "generator_hinge": weights["generator_gan"] * hinge_generator_loss(fake),
        },
    )


STAGES = {
    "canonical_keypoints": detect,
    "headpose_expression": estimate,
    "bins_to_degrees": bins,
    "rotation_matrix": turn,
    "keypoint_transformation": transform,
    "keypoint_transformation_jacobian": transform,
    "dense_motion": dense_motion,
    "generator_explicit_keypoints": generate,
    "decoder_explicit_motion": render,
    "end_to_end_reconstruction": reconstruct,
    "relative_keypoints": relative,
    "end_to_end_relative": animate_relative,
    "end_to_end_free_view": animate_free_view,
    "losses": losses,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    fixture = load_fixture(fixture_path)
    built = networks(fixture_path)
    assert set(built) == set(fixture.record["parameter_counts"])
    check_published(fixture, built)
