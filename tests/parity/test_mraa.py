"""MRAA reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchbed.methods.blocks.animation import AnimationConfig
from benchbed.methods.blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid
from benchbed.methods.mraa.checkpoint import inference_networks
from benchbed.methods.mraa.config import MraaConfig, mraa_config
from benchbed.methods.mraa.method import Mraa, relative_regions
from benchbed.methods.mraa.regions import Regions, principal_axes

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "mraa"
Inputs = dict[str, Tensor]
EQUIVARIANCE_WEIGHT = 10
MODES = {"standard": ("absolute", False), "relative": ("relative", False), "avd": ("absolute", True)}


def configuration(fixture: Fixture, *, align_corners: bool = False) -> MraaConfig:
    return mraa_config({**fixture.config, "align_corners": align_corners})


@lru_cache(maxsize=2)
def networks(path: Path, align_corners: bool = False) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights."""
    fixture = load_fixture(path)
    return seeded(fixture, inference_networks(configuration(fixture, align_corners=align_corners)))


def method(fixture: Fixture, mode: str = "standard", *, background: str = "never") -> Mraa:
    """The method as the bench calls it, in one of the published modes."""
    animation = AnimationConfig(avd=MODES[mode][1], background=background)
    return Mraa(replace(configuration(fixture), animation=animation), networks(fixture.path)).eval()


def regions(inputs: Inputs, role: str) -> Regions:
    return Regions(inputs[f"{role}_shift"], inputs.get(f"{role}_affine"), inputs.get(f"{role}_covar"))


def given(found: Regions) -> dict[str, Tensor]:
    results = {"shift": found.shift, "affine": found.affine, "covar": found.covar}
    return {name: value for name, value in results.items() if value is not None}


def predict(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    prediction = networks(fixture.path)["region_predictor"].predict(inputs["image"])
    return given(prediction.regions) | {"heatmap": prediction.heatmaps}


def decompose(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    axes = principal_axes(inputs["covar"])
    return {"affine": axes.affine, "singular_values": axes.variances, "u": axes.axes}


def background(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"matrix": networks(fixture.path)["bg_predictor"](inputs["source"], inputs["driving"])}


def flow(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = networks(fixture.path)["generator"].pixelwise_flow_predictor
    found = network(
        network.downsample(inputs["source"]),
        regions(inputs, "source"),
        regions(inputs, "driving"),
        inputs.get("background"),
    )
    height, width = found.sparse_motions.shape[2:4]
    probes = (found.sparse_motions[:, :, 0, 0], found.sparse_motions[:, :, height // 2, width // 2])
    results = {
        "optical_flow": found.optical_flow,
        "heatmap": found.heatmaps.unsqueeze(2),
        "sparse_motion_at_corner_and_centre": torch.stack(probes, dim=2),
    }
    return results if found.occlusion_map is None else results | {"occlusion_map": found.occlusion_map}


def _generated(
    generator: nn.Module, source: Tensor, of_source: Regions, driving: Regions, matrix: Tensor | None
) -> dict[str, Tensor]:
    generation = generator(source, of_source, driving, matrix)
    results = {
        "prediction": generation.prediction,
        "deformed": generator.deform(source, generation.flow),
        "optical_flow": generation.flow.optical_flow,
    }
    occlusion_map = generation.flow.occlusion_map
    return results if occlusion_map is None else results | {"occlusion_map": occlusion_map}


def generate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    aligned = stage.kind == "generate_align_corners_true"
    return _generated(
        networks(fixture.path, aligned)["generator"],
        inputs["source"],
        regions(inputs, "source"),
        regions(inputs, "driving"),
        inputs.get("background"),
    )


def reconstruct(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    built = networks(fixture.path)
    source, driving = inputs["source"], inputs["driving"]
    return _generated(
        built["generator"],
        source,
        built["region_predictor"](source),
        built["region_predictor"](driving),
        built["bg_predictor"](source, driving),
    )


def transfer(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source, driving = regions(inputs, "source"), regions(inputs, "driving")
    mode = stage.params.get("mode", "avd")  # the stage `avd` calls its network with the same arguments
    if mode == "relative":
        return given(relative_regions(source, driving, regions(inputs, "initial")))
    return given(method(fixture, mode).posed_regions(source, driving))


def animate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it."""
    video, mode = inputs["video"], stage.params["mode"]
    animated = method(fixture, mode)
    options = {"initial_driving": video[:1], "transfer": MODES[mode][0]}
    encoding = animated.encode(inputs["source"])
    posed = animated.driving_regions(encoding, video, **options)
    return given(posed) | {"prediction": animated.animate(encoding, video, **options)}


def equivariance(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    params = inputs["control_params"].flatten(1)
    warp = ThinPlateWarp(inputs["theta"], control_grid(round(params.shape[1] ** 0.5), params), params)
    driving, transformed = regions(inputs, "driving").keypoints, regions(inputs, "transformed").keypoints
    affine = equivariance_jacobian_loss(
        warp, driving, transformed, free_sign=stage.params["revert_axis_swap"]
    )
    return {
        "equivariance_shift": EQUIVARIANCE_WEIGHT * equivariance_value_loss(warp, driving, transformed),
        "equivariance_affine": EQUIVARIANCE_WEIGHT * affine,
        "transformed_frame": warp.frame(inputs["image"], align_corners=False),
    }


STAGES = {
    "regions": predict,
    "affine_from_covar": decompose,
    "background": background,
    "flow": flow,
    "generate": generate,
    "generate_align_corners_true": generate,
    "reconstruct": reconstruct,
    "avd": transfer,
    "transfer": transfer,
    "animate": animate,
    "equivariance": equivariance,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    check_published(load_fixture(fixture_path), networks(fixture_path))


def test_absolute_transfer_with_its_background_is_the_recorded_reconstruction(fixture_path):
    """What the bench's reconstruction protocol computes, frame by frame."""
    fixture = load_fixture(fixture_path)
    stage = next((stage for stage in fixture.stages if stage.kind == "reconstruct"), None)
    if stage is None:
        pytest.skip("the fixture records no reconstruction")
    inputs = fixture.inputs(stage)
    animated = method(fixture, background="absolute")
    frames = [
        animated.animate(animated.encode(source[None]), driving[None])
        for source, driving in zip(inputs["source"], inputs["driving"], strict=True)
    ]
    assert fixture.compare(f"{stage.name}.prediction", torch.cat(frames)).within
