"""FOMM reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.methods.blocks.antialias import AntiAliasDownsample, ImagePyramid, antialias_kernel
from benchbed.methods.blocks.best_frame import best_frame
from benchbed.methods.blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from benchbed.methods.blocks.first_order import OcclusionAwareGenerator
from benchbed.methods.blocks.keypoint_detector import KeypointDetector
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.patch_discriminator import MultiScaleDiscriminator
from benchbed.methods.blocks.transfer import transfer_keypoints
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid
from benchbed.methods.fomm.config import FommConfig, TransferConfig, fomm_config
from benchbed.methods.fomm.method import Fomm
from benchbed.methods.fomm.training import build_discriminator
from benchbed.methods.training.terms import (
    discriminator_gan_loss,
    feature_matching_loss,
    generator_gan_loss,
    perceptual_loss,
)
from benchbed.training.perceptual import Vgg19Features

from .fixtures import Fixture, Stage, load_fixture
from .stages import check_stage

METHOD = "fomm"
Inputs = dict[str, Tensor]


def configuration(fixture: Fixture, *, align_corners: bool = False) -> FommConfig:
    return fomm_config({**fixture.config, "align_corners": align_corners})


@lru_cache(maxsize=4)
def networks(path: Path, align_corners: bool = False) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights."""
    fixture = load_fixture(path)
    config = configuration(fixture, align_corners=align_corners)
    built: dict[str, nn.Module] = {}
    for name in fixture.record["parameter_counts"]:
        if name == "kp_detector" and config.keypoint_detector is not None:
            built[name] = KeypointDetector(config.keypoint_detector)
        elif name == "generator" and config.generator is not None:
            built[name] = OcclusionAwareGenerator(config.generator)
        elif name == "discriminator" and config.discriminator is not None:
            built[name] = build_discriminator(config.discriminator)
        elif name == "vgg19":
            # Checks names and shapes itself; the deepest layers feed no tap and are not built.
            built[name] = Vgg19Features(fixture.weights(name))
            continue
        else:
            raise AssertionError(f"{path.name} lists a network '{name}' that its config does not describe")
        fixture.load(name, built[name])
    return nn.ModuleDict(built)


def keypoints(inputs: Inputs, role: str) -> Keypoints:
    return Keypoints(inputs[f"{role}_value"], inputs.get(f"{role}_jacobian"))


def given(points: Keypoints) -> dict[str, Tensor]:
    return {"value": points.value} | ({} if points.jacobian is None else {"jacobian": points.jacobian})


def downsample(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    scale, image = stage.params["scale"], inputs["image"]
    return {
        "image": AntiAliasDownsample(image.shape[1], scale)(image),
        "kernel": antialias_kernel(scale),
    }


def detect(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return given(networks(fixture.path)["kp_detector"](inputs["image"]))


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["generator"].dense_motion_network
    motion = network(
        network.downsample(inputs["source"]), keypoints(inputs, "source"), keypoints(inputs, "driving")
    )
    results = {
        "mask": motion.mask,
        "deformation": motion.deformation,
        "sparse_deformed": motion.sparse_deformed,
    }
    return results if motion.occlusion_map is None else results | {"occlusion_map": motion.occlusion_map}


def _generated(
    generator: nn.Module, source: Tensor, of_source: Keypoints, driving: Keypoints
) -> dict[str, Tensor]:
    generation = generator(source, of_source, driving)
    return {
        "prediction": generation.prediction,
        "deformed": generator.deform(source, generation.motion),
        "deformation": generation.motion.deformation,
    }


def generate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path)["generator"]
    return _generated(generator, inputs["source"], keypoints(inputs, "source"), keypoints(inputs, "driving"))


def generate_aligned(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path, align_corners=True)["generator"]
    return _generated(generator, inputs["source"], keypoints(inputs, "source"), keypoints(inputs, "driving"))


def normalize(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return given(
        transfer_keypoints(
            keypoints(inputs, "source"),
            keypoints(inputs, "driving"),
            keypoints(inputs, "initial"),
            relative=stage.params["use_relative_movement"],
            relative_jacobian=stage.params["use_relative_jacobian"],
            adapt_movement_scale=stage.params["adapt_movement_scale"],
        )
    )


def reconstruct(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    detector, generator = networks(fixture.path)["kp_detector"], networks(fixture.path)["generator"]
    return _generated(generator, inputs["source"], detector(inputs["source"]), detector(inputs["driving"]))


def animate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it."""
    transfer = TransferConfig(adapt_movement_scale=stage.params.get("adapt_movement_scale", False))
    method = Fomm(replace(configuration(fixture), transfer=transfer), networks(fixture.path)).eval()
    video, mode = inputs["video"], "relative" if stage.params["relative"] else "absolute"
    encoding = method.encode(inputs["source"])
    points = method.driving_keypoints(encoding, video, initial_driving=video[:1], transfer=mode)
    prediction = method.animate(encoding, video, initial_driving=video[:1], transfer=mode)
    return given(points) | {"prediction": prediction}


def _warp(inputs: Inputs) -> ThinPlateWarp:
    params = inputs["control_params"].flatten(1)
    return ThinPlateWarp(inputs["theta"], control_grid(round(params.shape[1] ** 0.5), params), params)


def transform(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    warp = _warp(inputs)
    return {
        "frame": warp.frame(inputs["image"], align_corners=False),
        "points": warp.points(inputs["points"]),
        "jacobian": warp.derivative(inputs["points"]),
    }


def equivariance(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    losses = (_warp(inputs), keypoints(inputs, "driving"), keypoints(inputs, "transformed"))
    weights = stage.params
    return {
        "equivariance_value": weights["equivariance_value"] * equivariance_value_loss(*losses),
        "equivariance_jacobian": weights["equivariance_jacobian"] * equivariance_jacobian_loss(*losses),
    }


def search_best_frame(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    index = best_frame(inputs["source_landmarks"].numpy(), inputs["driving_landmarks"].numpy())
    return {"index": torch.tensor(float(index))}


def _discriminator(fixture: Fixture) -> tuple[MultiScaleDiscriminator, ImagePyramid]:
    network = networks(fixture.path)["discriminator"]
    if not isinstance(network, MultiScaleDiscriminator):
        raise AssertionError("the fixture's discriminator is of another kind")
    return network, ImagePyramid(network.scales)


def discriminate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network, pyramid = _discriminator(fixture)
    results = {}
    scores = network(pyramid(inputs["image"]), inputs.get("driving_value"))
    for scale, score in zip(network.scales, scores, strict=True):
        results[f"prediction_map_{scale:g}"] = score.scores
        for index, features in enumerate(score.features):
            results[f"feature_maps_{scale:g}.{index}"] = features
    return results


def training_losses(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    weights = stage.params["loss_weights"]
    features, levels = networks(fixture.path)["vgg19"], ImagePyramid(tuple(stage.params["scales"]))
    network, pyramid = _discriminator(fixture)
    generated, driving = inputs["generated"], inputs["driving"]
    perceptual = perceptual_loss(features, levels(generated), levels(driving), tuple(weights["perceptual"]))
    real = network(pyramid(driving), inputs["driving_value"])
    fake = network(pyramid(generated), inputs["driving_value"])
    return {
        "perceptual": perceptual,
        "gen_gan": weights["generator_gan"] * generator_gan_loss(fake),
        "feature_matching": feature_matching_loss(real, fake, tuple(weights["feature_matching"])),
        "disc_gan": weights["discriminator_gan"] * discriminator_gan_loss(real, fake),
    } | {f"vgg_mean_abs.{index}": tap.abs().mean() for index, tap in enumerate(features(generated))}


STAGES = {
    "downsample": downsample,
    "keypoints": detect,
    "dense_motion": dense_motion,
    "generate": generate,
    "generate_align_corners_true": generate_aligned,
    "normalize": normalize,
    "reconstruct": reconstruct,
    "animate": animate,
    "transform": transform,
    "equivariance": equivariance,
    "best_frame": search_best_frame,
    "discriminator": discriminate,
    "training_losses": training_losses,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    fixture = load_fixture(fixture_path)
    built = networks(fixture_path)
    for name, count in fixture.record["parameter_counts"].items():
        if name == "vgg19":
            continue
        assert list(built[name].state_dict()) == list(fixture.shapes(name))
        assert sum(parameter.numel() for parameter in built[name].parameters()) == count
