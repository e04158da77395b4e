"""MRAA: official configurations, weights files, background, disentanglement, batches, transfer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import TrainingRequest
from benchbed.methods.blocks.background import ENTRIES, BackgroundPredictor, background_motion
from benchbed.methods.blocks.disentanglement import DisentanglementNetwork
from benchbed.methods.blocks.gaussians import second_moments
from benchbed.methods.blocks.grids import coordinate_grid
from benchbed.methods.blocks.occlusion import blend
from benchbed.methods.blocks.transforms import random_warp
from benchbed.methods.mraa.checkpoint import inference_networks
from benchbed.methods.mraa.config import mraa_config
from benchbed.methods.mraa.method import Mraa, build
from benchbed.methods.mraa.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.mraa.presets import presets
from benchbed.methods.mraa.regions import Regions, principal_axes
from benchbed.methods.mraa.training import RegionPairs, RegionReconstruction, build_training
from benchbed.methods.training.equivariance_terms import equivariance_losses

from .released import (
    OPTIMIZER,
    check_batch,
    check_same_frames,
    check_wrong_transfers,
    frames,
    on_meta,
    write_own,
    write_released,
)

HOURGLASS = {"block_expansion": 4, "max_features": 8, "num_blocks": 2}
SMALL: dict[str, Any] = {
    "resolution": 32,
    "model_params": {
        "num_regions": 4,
        "num_channels": 3,
        "estimate_affine": True,
        "revert_axis_swap": True,
        "bg_predictor_params": {**HOURGLASS, "bg_type": "affine"},
        "region_predictor_params": {
            **HOURGLASS,
            "temperature": 0.1,
            "scale_factor": 0.5,
            "pca_based": True,
            "pad": 0,
        },
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "skips": True,
            "pixelwise_flow_predictor_params": {
                **HOURGLASS,
                "scale_factor": 0.5,
                "use_covar_heatmap": True,
                "estimate_occlusion_map": True,
            },
        },
        "avd_network_params": {"id_bottle_size": 8, "pose_bottle_size": 8},
    },
}


def published(**animation: Any) -> dict[str, Any]:
    return {**SMALL, "animation": animation}


def small_method(seed: int = 0, **animation: Any) -> Mraa:
    torch.manual_seed(seed)
    method = Mraa(mraa_config(published(**animation))).eval()
    # Without this a fresh background predictor gives the identity for all images.
    nn.init.normal_(method.bg_predictor.fc.weight, std=0.1)
    return method


def released(path: Path, name: str, *, avd: bool) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, mraa_config(official(name)), avd=avd)
    return write_released(path, networks, optimizer_reconstruction=OPTIMIZER, epoch_reconstruction=99)


@pytest.fixture(scope="module")
def taichi_file(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("official") / "taichi256.pth", "taichi256", avd=False)


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    networks = on_meta(inference_networks, mraa_config(official(name)))
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    expected = {"region_predictor": 14_146_728, "bg_predictor": 6_282_438, "generator": 45_575_391}
    expected["avd_network"] = 2_290_620
    if name == "mgif256":
        expected["bg_predictor"] = 0
    if name == "ted-youtube384":
        # ten regions more: a 7x7 filter each, 4 flow inputs and a 7x7 mask each, 6 numbers in and out of the AVD
        del expected["region_predictor"], expected["generator"], expected["avd_network"]
    assert counts.items() >= expected.items()
    assert mraa_config(official(name)).regions.num_regions == (20 if name == "ted-youtube384" else 10)
    assert mraa_config(official(name)).regions.pad == (3 if name == "vox256" else 0)


def test_files_and_datasets_name_official_configurations():
    assert set(OFFICIAL_FILES.values()) == set(official_names()) == set(DATASETS)
    for name in ("vox", "vox256+best", "vox256+background+still-background"):
        with pytest.raises(UnknownNameError, match="known: vox256"):
            official(name)


def test_a_missing_file_says_which_files_would_do():
    with pytest.raises(WeightsMissingError, match=r"vox256\.pth"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_loads_under_its_name_without_an_avd_network(taichi_file):
    method = build(checkpoint=taichi_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("taichi-hd", (256, 256))
    assert method.conventions["configuration"] == "taichi256"
    assert method.conventions["absolute_background"] == "predicted"
    assert method.conventions["relative_background"] == "still"
    # The constants of the constructor stay, whatever the file says of them.
    assert method.region_predictor.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)
    with pytest.raises(CheckpointError, match=r"leave out \+avd"):
        build(checkpoint=taichi_file, configuration="taichi256+avd")


def test_a_renamed_file_must_say_its_configuration_because_the_padding_is_not_in_the_tensors(taichi_file):
    renamed = taichi_file.rename(taichi_file.with_name("found.pth"))
    try:
        with pytest.raises(
            CheckpointError, match="fits vox256, taichi256, ted384, which compute differently"
        ):
            build(checkpoint=renamed, configuration=None)
        method = build(checkpoint=renamed, configuration="taichi256+still-background+aligned")
    finally:
        renamed.rename(taichi_file)
    assert method.trained_on == "unknown"
    assert method.conventions["absolute_background"] == "still"
    assert method.conventions["align_corners"] == "true"


def test_a_file_with_an_avd_network_and_no_background_predictor_loads(tmp_path):
    path = released(tmp_path / "mgif256.pth", "mgif256", avd=True)
    method = build(checkpoint=path, configuration="mgif256+avd")
    assert method.conventions["absolute_pose"] == "avd"
    assert method.conventions["absolute_background"] == "still"
    with pytest.raises(CheckpointError, match=r"leave out \+background"):
        build(checkpoint=path, configuration="mgif256+background")


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(taichi_file):
    with pytest.raises(CheckpointError, match=r"misshapen \(generator.*they fit 'vox256'"):
        build(checkpoint=taichi_file, configuration="ted-youtube384")
    with pytest.raises(CheckpointError, match=r"unexpected \(bg_predictor\.encoder"):
        build(checkpoint=taichi_file, configuration="mgif256")


def test_our_file_carries_its_configuration(tmp_path):
    method = small_method()
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), SMALL), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    path = write_own(tmp_path, method.state_dict(), SMALL, **{"generator.final.bias": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.final\.bias \[4\] instead of \[3\]"):
        build(checkpoint=path, configuration=None)


@pytest.mark.parametrize(("transfer", "avd"), [("absolute", False), ("absolute", True), ("relative", False)])
def test_a_batch_equals_frame_by_frame(transfer, avd):
    method, driving = small_method(avd=avd), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose_but_the_driving_covariance():
    method, source = small_method(), frames(1)
    encoding = method.encode(source)
    initial = frames(1, seed=3)
    regions = method.driving_regions(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(regions.shift, encoding.regions.shift, atol=1e-6)
    # 1e-4: an inverse in float32
    assert torch.allclose(regions.affine, encoding.regions.affine, atol=1e-4)
    assert torch.equal(regions.covar, method.region_predictor(initial).covar)


def test_the_background_is_predicted_for_absolute_transfer_alone_unless_told_otherwise():
    default, still, always = (small_method(background=use) for use in ("absolute", "never", "always"))
    source, driving = frames(1), frames(2, seed=4)

    def animated(method: Mraa, transfer: str) -> Tensor:
        return method.animate(method.encode(source), driving, initial_driving=driving[:1], transfer=transfer)

    assert torch.equal(animated(default, "absolute"), animated(always, "absolute"))
    assert not torch.allclose(animated(default, "absolute"), animated(still, "absolute"), atol=1e-4)
    assert torch.equal(animated(default, "relative"), animated(still, "relative"))
    assert not torch.allclose(animated(default, "relative"), animated(always, "relative"), atol=1e-4)
    avd = small_method(avd=True)
    assert not avd.predicts_background("absolute")


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "mraa", frames(1))
    with pytest.raises(BenchbedError, match="multiples of 8"):
        method.encode(frames(1, size=30))
    with pytest.raises(BenchbedError, match="lacks 'model_params'"):
        mraa_config({})
    unknown = copy.deepcopy(SMALL)
    unknown["model_params"]["bg_predictor_params"]["bg_type"] = "rigid"
    with pytest.raises(BenchbedError, match="bg_type 'rigid' is none of zero, shift, affine, perspective"):
        mraa_config(unknown)


def test_second_moments_and_axes_of_a_tilted_region_are_found():
    heatmaps = torch.zeros(1, 1, 5, 5)
    heatmaps[0, 0, 0, 0] = heatmaps[0, 0, 4, 4] = 0.5
    covar = second_moments(heatmaps, torch.zeros(1, 1, 2))
    assert torch.allclose(covar, torch.ones(1, 1, 2, 2))
    axes = principal_axes(covar)
    # The published convention for a positive off-diagonal: determinant -1, here both entries of one sign.
    assert torch.allclose(axes.axes.abs(), torch.full((1, 1, 2, 2), 0.5**0.5), atol=1e-6)
    assert torch.allclose(torch.linalg.det(axes.axes), -torch.ones(1, 1), atol=1e-6)
    assert torch.allclose(axes.variances, torch.tensor([[[2.0, 0.0]]]), atol=1e-6)


def test_flow_does_not_depend_on_the_signs_of_the_axes():
    method = small_method(background="never")
    encoding = method.encode(frames(1))
    driving = method.region_predictor(frames(2, seed=5))
    flipped = Regions(driving.shift, -driving.affine, driving.covar)
    assert torch.equal(
        method.generate(encoding, driving).prediction, method.generate(encoding, flipped).prediction
    )


@pytest.mark.parametrize("kind", list(ENTRIES))
def test_a_fresh_background_predictor_gives_the_identity(kind):
    network = BackgroundPredictor(kind=kind, num_channels=3, **HOURGLASS).eval()
    matrix = network(frames(2), frames(2, seed=6))
    assert torch.equal(matrix, torch.eye(3).expand(2, 3, 3))
    still = background_motion(matrix, 4, 6, like=matrix)
    assert torch.allclose(still, coordinate_grid(4, 6, like=matrix).expand(2, 4, 6, 2))
    assert (kind == "zero") == (not list(network.parameters()))


def test_background_motion_divides_by_the_third_coordinate():
    matrix = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]])
    corner = background_motion(matrix, 3, 3, like=matrix)[0, 0, 0]
    assert corner.tolist() == [-0.25, -1.0]


def test_disentanglement_reads_pose_before_identity():
    network = DisentanglementNetwork(size=6, id_bottle_size=3, pose_bottle_size=5).eval()
    assert network.decoder[0].in_features == 8
    with torch.no_grad():
        network.decoder[0].weight[:, :5] = 0
    identity, poses = frames(2).flatten(1)[:, :6], frames(2, seed=7).flatten(1)[:, :6]
    assert torch.equal(network(identity, poses), network(identity, identity))


def test_blend_without_occlusion_drops_what_was_inpainted():
    warped, inpainted = torch.ones(1, 2, 4, 4), torch.full((1, 2, 4, 4), 3.0)
    assert blend(warped, inpainted, None) is warped
    assert torch.allclose(blend(warped, inpainted, torch.full((1, 1, 2, 2), 0.25)), torch.tensor(2.5))
    assert torch.allclose(blend(warped, None, torch.full((1, 1, 2, 2), 0.25)), torch.tensor(0.25))


class Taps(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames]


def test_a_fresh_tiny_generator_copies_its_source_when_nothing_moves():
    torch.manual_seed(0)
    pairs = RegionPairs(presets()["tiny"]())
    source = nn.functional.interpolate(frames(2, size=6), size=64, mode="bilinear")
    made = pairs.reconstruct(source, source)
    # the background, which stands still, has 4 in its logit, and so has what is visible
    assert (made.prediction - source).abs().mean() < 0.25 * source.std()
    assert (made.deformed - source).abs().mean() < 0.25 * source.std()


def test_equivariance_does_not_depend_on_the_signs_of_the_axes():
    torch.manual_seed(1)
    pairs, driving = RegionPairs(presets()["tiny"]()), frames(2, size=64)
    regions = pairs.detect(driving)
    flipped = Regions(regions.shift, -regions.affine, regions.covar)

    def losses(found: Regions) -> dict[str, Tensor]:
        torch.manual_seed(2)
        return pairs.losses(driving, driving, RegionReconstruction(driving, driving=found))

    assert losses(regions).keys() == {"equivariance_value", "equivariance_jacobian"}
    assert losses(regions) == losses(flipped)


def test_regions_that_move_with_the_warp_cost_nothing():
    torch.manual_seed(3)
    preset, driving = presets()["tiny"](), frames(2, size=64)
    options = {"sigma_affine": preset.warps.sigma_affine, "sigma_tps": 0.0, "points_tps": 5}
    warp, regions = random_warp(driving, **options), RegionPairs(preset).keypoints(driving)
    transformed = type(regions)(warp.points(regions.value), warp.derivative(regions.value) @ regions.jacobian)
    # the warped frame shows the point p' at w(p'): what is found there is taken back to the frame by w
    torch.manual_seed(3)
    again = random_warp(driving, **options)
    assert torch.equal(again.theta, warp.theta)
    torch.manual_seed(3)
    losses = equivariance_losses(
        lambda _: regions,
        driving,
        transformed,
        type(preset.warps)(preset.warps.sigma_affine, 0.0),
        value=1.0,
        jacobian=1.0,
        align_corners=True,
        free_sign=True,
    )
    # 1e-4: inverses of small axes in float32
    assert all(value < 1e-4 for value in losses.values())


def test_the_paper_preset_is_the_published_recipe():
    recipe = presets()["paper"]().recipe
    assert recipe.schedule.steps == 100 * (424 * 75 // 14)
    assert [milestone * 100 // recipe.schedule.steps for milestone in recipe.milestones] == [60, 90]
    with torch.device("meta"):
        networks = RegionPairs(presets()["paper"]()).networks
    assert set(networks) == {"generator", "bg_predictor", "region_predictor"}


def test_a_background_that_is_predicted_learns():
    published = copy.deepcopy(SMALL) | {"align_corners": True}
    preset = replace(presets()["tiny"](), published=published)
    pairs = RegionPairs(preset)
    assert "avd_network" not in pairs.networks
    pairs.reconstruct(frames(2), frames(2, seed=1)).prediction.sum().backward()
    assert pairs.background_predictor.fc.weight.grad.abs().sum() > 0


def test_steps_and_resolution_can_be_overridden():
    task = build_training(TrainingRequest("tiny", Taps(), 32, 7))
    assert (task.schedule.resolution, task.schedule.steps) == (32, 7)
