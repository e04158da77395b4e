"""DAM and HDAM reproduce what the published implementation computes, stage by stage; their fixtures are one set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbed.methods.blocks.anchor_animation import AnchorAnimation
from benchbed.methods.blocks.anchors import Anchors, split_anchors
from benchbed.methods.blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from benchbed.methods.blocks.grids import warp
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.patch_discriminator import MultiScaleDiscriminator
from benchbed.methods.blocks.transfer import transfer_keypoints
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid
from benchbed.methods.dam import losses as dam_losses
from benchbed.methods.dam.checkpoint import inference_networks as dam_networks
from benchbed.methods.dam.config import dam_config
from benchbed.methods.dam.method import Dam
from benchbed.methods.hdam import losses as hdam_losses
from benchbed.methods.hdam.checkpoint import inference_networks as hdam_networks
from benchbed.methods.hdam.config import hdam_config
from benchbed.methods.hdam.method import Hdam

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "dam"
Inputs = dict[str, Tensor]


def hierarchical(fixture: Fixture) -> bool:
    return fixture.config["model_params"]["kp_detector_params"].get("subroot_leaf_attention", False)


def discriminator(fixture: Fixture) -> MultiScaleDiscriminator:
    own = dict(fixture.config["model_params"]["discriminator_params"])
    return MultiScaleDiscriminator(
        scales=tuple(own.pop("scales", (1,))),
        num_channels=fixture.config["model_params"]["common_params"]["num_channels"],
        spectral=own.pop("sn", False),
        num_keypoints=0,
        **own,
    )


@lru_cache(maxsize=2)
def networks(path: Path) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights."""
    fixture = load_fixture(path)
    if hierarchical(fixture):
        built = hdam_networks(hdam_config(fixture.config))
    else:
        built = dam_networks(dam_config(fixture.config))
    if "discriminator" in fixture.record["parameter_counts"]:
        built["discriminator"] = discriminator(fixture)
    return seeded(fixture, built)


def method(fixture: Fixture, **animation: Any) -> AnchorAnimation:
    """The method as the bench calls it."""
    published = {**fixture.config, "animation": animation}
    if hierarchical(fixture):
        return Hdam(hdam_config(published), networks(fixture.path)).eval()
    return Dam(dam_config(published), networks(fixture.path)).eval()


def keypoints(inputs: Inputs, role: str) -> Keypoints:
    return Keypoints(inputs[f"kp_{role}_value"], inputs.get(f"kp_{role}_jacobian"))


def anchors(fixture: Fixture, inputs: Inputs, role: str) -> Anchors:
    return split_anchors(
        keypoints(inputs, role), fixture.config["model_params"]["generator_params"]["num_root_kp"]
    )


def out(**results: Tensor | None) -> dict[str, Tensor]:
    return {f"out/{name}": value for name, value in results.items() if value is not None}


def detect(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    detection = networks(fixture.path)["kp_detector"].detect(inputs["image"])
    return out(
        value=detection.keypoints.value,
        jacobian=detection.keypoints.jacobian,
        heatmap=detection.heatmaps,
        feature_map=detection.features,
    )


def background(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return out(bg_params=networks(fixture.path)["bg_predictor"](inputs["source"], inputs["driving"]))


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["generator"].dense_motion_network
    motion = network(
        network.downsample(inputs["source"]),
        keypoints(inputs, "source"),
        keypoints(inputs, "driving"),
        inputs.get("bg_params"),
    )
    return out(
        mask=motion.mask,
        deformation=motion.deformation,
        occlusion_map=motion.occlusion_map,
        sparse_deformed=motion.sparse_deformed,
    )


def generate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path)["generator"]
    generation = generator(
        inputs["source"],
        keypoints(inputs, "source"),
        keypoints(inputs, "driving"),
        inputs.get("bg_params"),
    )
    return out(
        prediction=generation.prediction, deformed=generator.deform(inputs["source"], generation.motion)
    )


def paint(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator, source = networks(fixture.path)["generator"], inputs["source"]
    deformation = inputs["deformation"]
    return out(
        prediction=generator.paint(generator.look(source), deformation, inputs.get("occlusion_map")),
        deformed=warp(source, deformation, align_corners=generator.align_corners),
    )


def reconstruct(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    model, source, driving = method(fixture), inputs["source"], inputs["driving"]
    matrix = None if model.bg_predictor is None else model.bg_predictor(source, driving)
    generation = model.generator(source, model.keypoints(source), model.keypoints(driving), matrix)
    return out(prediction=generation.prediction, occlusion_map=generation.motion.occlusion_map)


def transfer(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    results: dict[str, Tensor | None] = {}
    for name in ("adapt", "plain"):
        moved = transfer_keypoints(
            keypoints(inputs, "source"),
            keypoints(inputs, "driving"),
            keypoints(inputs, "initial"),
            relative=True,
            adapt_movement_scale=name == "adapt",
        )
        results |= {f"{name}_value": moved.value, f"{name}_jacobian": moved.jacobian}
    return out(**results)


def animate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it."""
    model = method(fixture, adapt_movement_scale=True)
    encoding = model.encode(inputs["source"])
    options = {"initial_driving": inputs["driving_initial"], "transfer": "relative"}
    points = model.driving_keypoints(encoding, inputs["driving"], **options)
    return out(
        kp_norm_value=points.value,
        kp_norm_jacobian=points.jacobian,
        prediction=model.animate(encoding, inputs["driving"], **options),
    )


def attend_given(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    detector = networks(fixture.path)["kp_detector"]
    features = detector.detect(inputs["image"]).features
    nothing = Keypoints(inputs["leaf_kp"][:, :0])
    given = Anchors(Keypoints(inputs["leaf_kp"]), Keypoints(inputs["sub_root_kp"]), nothing)
    return out(attention=detector.attention(features, given))


def attend_detected(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    detector = networks(fixture.path)["kp_detector"]
    detection = detector.detect(inputs["image"])
    found = split_anchors(detection.keypoints, method(fixture).num_root_kp)
    return out(attention=detector.attention(detection.features, found))


def _warp(inputs: Inputs) -> ThinPlateWarp:
    params = inputs["control_params"].flatten(1)
    return ThinPlateWarp(inputs["theta"], control_grid(round(params.shape[1] ** 0.5), params), params)


def transform(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    warped = _warp(inputs)
    return out(
        frame=warped.frame(inputs["frame"], align_corners=False), points=warped.points(inputs["points"])
    )


def losses(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    weights = fixture.config["train_params"]["loss_weights"]
    source, driving = anchors(fixture, inputs, "source"), anchors(fixture, inputs, "driving")
    # Equivariance is of the source frame, and of all anchors.
    points = (_warp(inputs), keypoints(inputs, "source"), keypoints(inputs, "transformed"))
    results = {
        "equivariance_value": weights["equivariance_value"] * equivariance_value_loss(*points),
        "equivariance_jacobian": weights["equivariance_jacobian"] * equivariance_jacobian_loss(*points),
    }
    if not hierarchical(fixture):
        distance = weights["root_motion_kp_distance"] * dam_losses.root_loss(source, driving)
        return out(**results, root_motion_kp_distance=distance)
    attention = inputs["attention"]
    carried = hdam_losses.intermediate_loss(source, driving, attention)
    distance = weights["root_motion_sub_root_distance"] * hdam_losses.root_loss(source, driving)
    complete = hdam_losses.completeness_loss(attention, weights["sub_leaf_attention_value"])
    return out(
        **results,
        # Both distances are logged as one value.
        root_motion_kp_distance=distance + weights["sub_root_motion_kp_distance"] * carried,
        sub_attetion_distance=weights["orthognal_sub_leaf"] * hdam_losses.orthogonality_loss(attention),
        complete_sub_leaf_attention=weights["complete_sub_leaf_attention"] * complete,
    )


def discriminate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    (score,) = networks(fixture.path)["discriminator"]([inputs["image"]])
    means = {f"feature_mean_{i}": features.mean(dim=(2, 3)) for i, features in enumerate(score.features)}
    return out(prediction_map=score.scores, **means)


STAGES = {
    "keypoints": detect,
    "background": background,
    "dense_motion": dense_motion,
    "dense_motion_no_bg": dense_motion,
    "generator_explicit_keypoints": generate,
    "decoder_explicit_motion": paint,
    "end_to_end_reconstruction": reconstruct,
    "relative_keypoints": transfer,
    "end_to_end_relative": animate,
    "attention_explicit": attend_given,
    "attention_detected": attend_detected,
    "equivariance_transform": transform,
    "losses": losses,
    "discriminator": discriminate,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    check_published(load_fixture(fixture_path), networks(fixture_path))


def test_absolute_transfer_with_its_background_is_the_recorded_reconstruction(fixture_path):
    """What the bench's reconstruction protocol computes, frame by frame."""
    fixture = load_fixture(fixture_path)
    stage = next((stage for stage in fixture.stages if stage.kind == "end_to_end_reconstruction"), None)
    if stage is None:
        pytest.skip("the fixture records no reconstruction")
    inputs, model = fixture.inputs(stage), method(fixture)
    frames = [
        model.animate(model.encode(source[None]), driving[None])
        for source, driving in zip(inputs["source"], inputs["driving"], strict=True)
    ]
    assert fixture.compare(f"{stage.name}/out/prediction", torch.cat(frames)).within
