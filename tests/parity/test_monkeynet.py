"""Monkey-Net reproduces what the published implementation computes, stage by stage.

Fixtures hold clips `(N, C, D, H, W)` and key points `(N, D, K, ...)`; the networks work on single frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbed.methods.monkeynet.checkpoint import inference_networks
from benchbed.methods.monkeynet.config import MonkeyNetConfig, TransferConfig, monkeynet_config
from benchbed.methods.monkeynet.discriminator import Discriminator
from benchbed.methods.monkeynet.generator import Generation
from benchbed.methods.monkeynet.keypoints import SpreadKeypoints, transfer_spread_keypoints
from benchbed.methods.monkeynet.losses import (
    deformed_loss,
    discriminator_gan_loss,
    generator_gan_loss,
    reconstruction_losses,
)
from benchbed.methods.monkeynet.method import MonkeyNet

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "monkeynet"
Inputs = dict[str, Tensor]


def configuration(fixture: Fixture, *, align_corners: bool = False) -> MonkeyNetConfig:
    return monkeynet_config({**fixture.config, "align_corners": align_corners})


def unloaded(config: MonkeyNetConfig) -> nn.ModuleDict:
    """All networks of a configuration, freshly initialised."""
    built = inference_networks(config)
    if config.discriminator is not None:
        built["discriminator"] = Discriminator(config.discriminator)
    return built


@pytest.fixture(autouse=True, scope="module")
def release_networks() -> Iterator[None]:
    """Full-size networks do not outlive their tests."""
    yield
    networks.cache_clear()


@lru_cache(maxsize=2)
def networks(path: Path, align_corners: bool = False) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights."""
    fixture = load_fixture(path)
    return seeded(fixture, unloaded(configuration(fixture, align_corners=align_corners)))


def frames_of(clips: Tensor) -> Tensor:
    """Clips `(N, C, D, H, W)` -> frames `(N D, C, H, W)`."""
    return clips.transpose(1, 2).flatten(0, 1)


def clips_of(frames: Tensor, length: int) -> Tensor:
    """Frames `(N D, C, H, W)` -> clips `(N, C, D, H, W)`."""
    return frames.unflatten(0, (-1, length)).transpose(1, 2)


def keypoints(inputs: Inputs, role: str) -> SpreadKeypoints:
    """Key points `(N, D, K, ...)` of an input as those of frames."""
    covar = inputs.get(f"{role}_var")
    if covar is not None:
        covar = covar.flatten(0, 1)
        if covar.shape[-1] == 1:
            covar = covar * torch.eye(2)
    return SpreadKeypoints(inputs[f"{role}_mean"].flatten(0, 1), covar)


def given(fixture: Fixture, found: SpreadKeypoints, length: int) -> dict[str, Tensor]:
    results = {"mean": found.value.unflatten(0, (-1, length))}
    if found.covar is not None:
        single = configuration(fixture).keypoint_detector.kp_variance == "single"
        covar = found.covar[..., :1, :1] if single else found.covar
        results["var"] = covar.unflatten(0, (-1, length))
    return results


def repeated(points: SpreadKeypoints, count: int) -> SpreadKeypoints:
    """Key points of N sources, each for `count` driving frames."""
    covar = None if points.covar is None else points.covar.repeat_interleave(count, 0)
    return SpreadKeypoints(points.value.repeat_interleave(count, 0), covar)


def pair(inputs: Inputs) -> tuple[Tensor, SpreadKeypoints, SpreadKeypoints]:
    """Source images and key points, one per driving frame, and the driving key points."""
    length = inputs["driving_mean"].shape[1]
    source = frames_of(inputs["source"]).repeat_interleave(length, 0)
    return source, repeated(keypoints(inputs, "source"), length), keypoints(inputs, "driving")


def detect(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    video = inputs["video"]
    return given(fixture, networks(fixture.path)["kp_detector"](frames_of(video)), video.shape[2])


def gaussian(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    variance = configuration(fixture).keypoint_detector.kp_variance
    maps = keypoints(inputs, "driving").maps(tuple(stage.params["size"]), variance)
    return {"heatmap": maps.unflatten(0, inputs["driving_mean"].shape[:2])}


def embed(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = networks(fixture.path)["generator"]
    source, of_source, driving = pair(inputs)
    if stage.params["module"] == "generator":
        embedding = generator.kp_embedding(source, of_source, driving)
    else:
        motion = generator.dense_motion_module
        embedding = motion.embed(motion.downsample(source), of_source, driving)
    return {"embedding": clips_of(embedding, inputs["driving_mean"].shape[1])}


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    motion = networks(fixture.path)["generator"].dense_motion_module
    source, of_source, driving = pair(inputs)
    deformation = motion(motion.downsample(source), of_source, driving)
    flat = torch.cat((deformation, torch.zeros_like(deformation[..., :1])), dim=-1)
    return {"deformation": flat.unflatten(0, inputs["driving_mean"].shape[:2])}


def clips_generated(generation: Generation, length: int) -> dict[str, Tensor]:
    return {
        "prediction": clips_of(generation.prediction, length),
        "deformed": clips_of(generation.deformed, length),
    }


def generate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generation = networks(fixture.path)["generator"](*pair(inputs))
    return clips_generated(generation, inputs["driving_mean"].shape[1])


def generate_aligned(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generation = networks(fixture.path, align_corners=True)["generator"](*pair(inputs))
    return clips_generated(generation, inputs["driving_mean"].shape[1])


def normalize(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    length = inputs["driving_mean"].shape[1]
    initial = keypoints({name: value[:, :1] for name, value in inputs.items()}, "driving")
    found = transfer_spread_keypoints(
        repeated(keypoints(inputs, "source"), length),
        keypoints(inputs, "driving"),
        repeated(initial, length),
        **stage.params,
    )
    return given(fixture, found, length)


def reconstruct(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    built, video = networks(fixture.path), inputs["video"]
    length = video.shape[2]
    source = frames_of(video[:, :, :1])
    of_source = repeated(built["kp_detector"](source), length)
    driving = built["kp_detector"](frames_of(video))
    generation = built["generator"](source.repeat_interleave(length, 0), of_source, driving)
    return clips_generated(generation, length)


def transfer(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it, clip by clip."""
    switches = dict(stage.params)
    mode = "relative" if switches.pop("move_location") else "absolute"
    config = replace(configuration(fixture), transfer=TransferConfig(**switches))
    method = MonkeyNet(config, networks(fixture.path)).eval()
    results: list[dict[str, Tensor]] = []
    for source, clip in zip(inputs["source"], inputs["video"], strict=True):
        driving, length = clip.transpose(0, 1), clip.shape[1]
        encoding = method.encode(source.transpose(0, 1))
        options = {"initial_driving": driving[:1], "transfer": mode}
        points = method.driving_keypoints(encoding, driving, **options)
        prediction = method.animate(encoding, driving, **options)
        results.append(given(fixture, points, length) | {"prediction": clips_of(prediction, length)})
    return {role: torch.cat([result[role] for result in results]) for role in results[0]}


def discriminate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["discriminator"]
    image, points = frames_of(inputs["image"]), (keypoints(inputs, "source"), keypoints(inputs, "driving"))
    scores = network(image, *points)
    return {
        f"map.{index}": clips_of(features, 1)
        for index, features in enumerate((*scores.features, scores.scores), start=1)
    }


def losses(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network, weights = networks(fixture.path)["discriminator"], stage.params["loss_weights"]
    image, generated, deformed = (frames_of(inputs[name]) for name in ("image", "generated", "deformed"))
    points = (keypoints(inputs, "source"), keypoints(inputs, "driving"))
    real, fake = network(image, *points), network(generated, *points)
    reconstruction = reconstruction_losses(image, generated, real, fake, tuple(weights["reconstruction"]))
    return {
        "rec_def": weights["reconstruction_deformed"] * deformed_loss(image, deformed),
        "gen_gan": weights["generator_gan"] * generator_gan_loss(fake),
        "disc_gan": weights["discriminator_gan"] * discriminator_gan_loss(real, fake),
    } | {f"layer-{index}_rec": loss for index, loss in enumerate(reconstruction)}


STAGES = {
    "keypoints": detect,
    "gaussian": gaussian,
    "embedding": embed,
    "dense_motion": dense_motion,
    "generate": generate,
    "generate_align_corners_true": generate_aligned,
    "normalize": normalize,
    "reconstruct": reconstruct,
    "transfer": transfer,
    "discriminator": discriminate,
    "losses": losses,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    fixture = load_fixture(fixture_path)
    with torch.device("meta"):
        built = unloaded(configuration(fixture))
    check_published(fixture, built)
