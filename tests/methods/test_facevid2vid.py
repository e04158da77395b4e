"""Face-vid2vid: official configurations, weights files, head pose and free view, batches, transfer, its 3-D blocks, training."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.grids import sample_each, warp
from benchbed.methods.blocks.linear_maps import inverse, product
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.patch_discriminator import PatchScores
from benchbed.methods.blocks.transfer import movement_scale
from benchbed.methods.blocks.volume_grids import coordinate_volume, expected_point, gaussian_volumes
from benchbed.methods.blocks.volumetric import VolumeHourglass
from benchbed.methods.facevid2vid.checkpoint import inference_networks
from benchbed.methods.facevid2vid.config import facevid2vid_config
from benchbed.methods.facevid2vid.dense_motion import sparse_motions
from benchbed.methods.facevid2vid.head_pose_teacher import HeadPoseTeacher, load_teacher, stored_teacher
from benchbed.methods.facevid2vid.losses import HINGE, blurred_difference, head_pose_loss, keypoint_prior_loss
from benchbed.methods.facevid2vid.method import Facevid2vid, build, size_multiple
from benchbed.methods.facevid2vid.official import DATASETS, official, official_names
from benchbed.methods.facevid2vid.pose import HeadPose, View, degrees, posed, rotation
from benchbed.methods.facevid2vid.presets import AdversaryWeights, preset_named
from benchbed.methods.facevid2vid.spade import SpadeBlock
from benchbed.methods.facevid2vid.start import start_as_copier
from benchbed.methods.facevid2vid.training import Facevid2vidPairs, Facevid2vidTraining, build_training

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
    "generator": "original",
    "model_params": {
        "common_params": {
            "num_kp": 5,
            "image_channel": 3,
            "feature_channel": 4,
            "estimate_jacobian": False,
        },
        "kp_detector_params": {
            **HOURGLASS,
            "temperature": 0.1,
            "scale_factor": 0.5,
            "reshape_channel": 24,
            "reshape_depth": 3,
        },
        "he_estimator_params": {"block_expansion": 4, "max_features": 2048, "num_bins": 66},
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 2,
            "reshape_channel": 4,
            "reshape_depth": 3,
            "num_resblocks": 1,
            "estimate_occlusion_map": True,
            "dense_motion_params": {**HOURGLASS, "reshape_depth": 3, "compress": 2},
        },
    },
}


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def changed(part: str, **words: Any) -> dict[str, Any]:
    published = copy.deepcopy(SMALL)
    published["model_params"][part].update(words)
    return published


@pytest.fixture(scope="module")
def method() -> Facevid2vid:
    return small_method()


def small_method(published: dict[str, Any] = SMALL) -> Facevid2vid:
    torch.manual_seed(0)
    method = Facevid2vid(facevid2vid_config(published)).eval()
    # Fresh heads give all frames nearly the same pose.
    with torch.no_grad():
        for head in (method.he_estimator.fc_roll, method.he_estimator.fc_exp):
            head.weight.mul_(20)
    return method


def released(path: Path, name: str) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, facevid2vid_config(official(name)))
    optimizers = {f"optimizer_{network}": OPTIMIZER for network in networks}
    return write_released(path, networks, discriminator={"discs.1.conv.weight": torch.zeros(1)}, **optimizers)


@pytest.fixture(scope="module")
def official_files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("official")
    return {name: released(folder / f"{name}-checkpoint.pth.tar", name) for name in official_names()}


def test_official_configurations_have_the_published_parameter_counts():
    for name in official_names():
        networks = on_meta(inference_networks, facevid2vid_config(official(name)))
        counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
        generator = 100_988_176 if name == "vox-256" else 53_101_392
        assert counts == {"generator": generator, "kp_detector": 41_940_047, "he_estimator": 30_254_838}
    assert set(DATASETS) == set(official_names())


def test_names_of_configurations_carry_options():
    assert official("vox-256")["rotation"] == "current"
    assert official("vox-256-beta")["rotation"] == "beta"
    assert official("vox-256-beta+current-rotation")["rotation"] == "current"
    assert official("vox-256+adapted")["animation"]["adapt_movement_scale"]
    for name in ("vox", "vox-256+avd"):
        with pytest.raises(UnknownNameError, match="known: vox-256"):
            official(name)
    with pytest.raises(UnknownNameError, match="two rotations"):
        official("vox-256+beta-rotation+current-rotation")


def test_a_missing_file_says_which_files_would_do():
    with pytest.raises(WeightsMissingError, match="Vox-256-New"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_is_told_by_its_tensors(official_files):
    # vox-256-original would be told as well; two of the large networks are enough.
    for name in ("vox-256", "vox-256-beta"):
        method = build(checkpoint=official_files[name], configuration=None)
        assert isinstance(method, Method)
        assert (method.resolution, method.trained_on) == ((256, 256), "unknown")
        assert method.conventions["configuration"] == name
        assert method.conventions["generator"] == ("spade" if name == "vox-256" else "original")
        assert method.conventions["rotation"] == ("current" if name == "vox-256" else "beta")


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(official_files):
    with pytest.raises(
        CheckpointError, match=r"missing \(generator\.decoder\.fc.*they fit 'vox-256-original'"
    ):
        build(checkpoint=official_files["vox-256-original"], configuration="vox-256")
    with pytest.raises(CheckpointError, match=r"unexpected \(kp_detector\.down\.weight.*'vox-256-original'"):
        build(checkpoint=official_files["vox-256-original"], configuration="vox-256-beta")


def test_our_file_carries_its_configuration(tmp_path, method):
    path = write_own(tmp_path, method.state_dict(), SMALL)
    loaded = build(checkpoint=path, configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    path = write_own(tmp_path, method.state_dict(), SMALL, **{"generator.final.bias": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.final\.bias \[4\] instead of \[3\]"):
        build(checkpoint=path, configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
@pytest.mark.parametrize("view", [None, View(yaw=20, pitch=-5)])
def test_a_batch_equals_frame_by_frame(method, transfer, view):
    driving, encoding = frames(5, seed=2), method.encode(frames(1))
    options: dict[str, Any] = {"initial_driving": driving[:1], "transfer": transfer, "view": view}
    check_batch(method, encoding, driving, **options)


@pytest.mark.parametrize("jacobians", [False, True])
def test_relative_transfer_of_the_initial_frame_keeps_the_source_pose(jacobians):
    method = small_method(changed("common_params", estimate_jacobian=jacobians))
    encoding, initial = method.encode(frames(1)), frames(1, seed=3)
    kept = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(kept.value, encoding.keypoints.value, atol=1e-6)
    if jacobians:
        assert kept.jacobian is not None and encoding.keypoints.jacobian is not None
        # 1e-5: an inverse in float32
        assert torch.allclose(kept.jacobian, encoding.keypoints.jacobian, atol=1e-5)
    assert torch.allclose(
        method.animate(encoding, initial, initial_driving=initial, transfer="relative"),
        method.generate(encoding, encoding.keypoints).prediction,
        atol=1e-5,
    )


def test_the_sources_own_frame_has_the_sources_key_points(method):
    source = frames(1)
    encoding = method.encode(source)
    assert torch.equal(method.driving_keypoints(encoding, source).value, encoding.keypoints.value)


def test_a_view_replaces_angles_of_the_driving_frames_alone(method):
    encoding, driving = method.encode(frames(1)), frames(2, seed=4)
    pose = method.he_estimator(driving)
    same = View(yaw=degrees(pose.yaw)[0].item())
    free, own = (method.driving_keypoints(encoding, driving, view=view).value for view in (same, None))
    assert torch.allclose(free[0], own[0], atol=1e-5)
    options: dict[str, Any] = {"initial_driving": driving[:1], "transfer": "relative"}
    turned = method.driving_keypoints(encoding, driving[:1], view=View(yaw=40), **options)
    assert not torch.allclose(turned.value, encoding.keypoints.value, atol=1e-2)


def test_the_rotation_of_a_configuration_is_used(method):
    beta = Facevid2vid(
        facevid2vid_config({**SMALL, "rotation": "beta"}),
        torch.nn.ModuleDict(dict(method.named_children())),
    ).eval()
    source = frames(1)
    assert not torch.allclose(
        beta.encode(source).keypoints.value, method.encode(source).keypoints.value, atol=1e-3
    )


def test_bins_are_three_degrees_from_minus_99():
    logits = torch.full((2, 66), -100.0)
    logits[0, 0] = logits[1, 40] = 100
    assert degrees(logits).tolist() == [-99, 21]


@pytest.mark.parametrize("beta", [False, True])
def test_rotations_turn_about_x_y_and_z_in_this_order(beta):
    angles = {"yaw": torch.tensor([30.0]), "pitch": torch.tensor([-20.0]), "roll": torch.tensor([10.0])}
    order = ("roll", "pitch", "yaw") if beta else ("pitch", "yaw", "roll")
    matrix = torch.eye(3)
    for axis, name in enumerate(order):
        generator = torch.zeros(3, 3)
        generator[(axis + 2) % 3, (axis + 1) % 3], generator[(axis + 1) % 3, (axis + 2) % 3] = 1, -1
        matrix = matrix @ torch.linalg.matrix_exp(generator * angles[name] / 180 * 3.14)
    assert torch.allclose(rotation(**angles, beta=beta)[0], matrix, atol=1e-6)


def test_posed_key_points_are_turned_then_moved():
    bins = torch.zeros(1, 66)
    expression = torch.tensor([[[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]])
    pose = HeadPose(bins, bins, bins, torch.tensor([[0.1, 0.2, 0.3]]), expression)
    canonical = Keypoints(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]))
    quarter = posed(canonical, pose, view=View(yaw=90 * math.pi / 3.14, pitch=0, roll=0)).value
    assert torch.allclose(quarter, torch.tensor([[[0.1, 0.2, -0.2], [0.1, 1.2, 0.3]]]), atol=1e-6)


def test_wrong_calls_are_answered_with_a_sentence(method):
    check_wrong_transfers(method, "facevid2vid", frames(1))
    encoding = method.encode(frames(1))
    for call in (method.encode, lambda wrong: method.animate(encoding, wrong)):
        with pytest.raises(BenchbedError, match="multiples of 16"):
            call(frames(1, size=24))
    with pytest.raises(BenchbedError, match="lacks 'model_params'"):
        facevid2vid_config({})
    with pytest.raises(BenchbedError, match="generator 'gan' is none of original, spade"):
        facevid2vid_config({**SMALL, "generator": "gan"})
    with pytest.raises(BenchbedError, match="needs block_expansion 64"):
        facevid2vid_config({**SMALL, "generator": "spade"})
    with pytest.raises(BenchbedError, match="rotation 'gamma'"):
        facevid2vid_config({**SMALL, "rotation": "gamma"})
    with pytest.raises(BenchbedError, match="reshape_channel 20 is not its deepest width 8"):
        facevid2vid_config(changed("kp_detector_params", reshape_channel=20))
    with pytest.raises(BenchbedError, match="feature_channel 5"):
        facevid2vid_config(changed("common_params", feature_channel=5))


def test_an_adapted_movement_is_scaled_by_the_root_of_the_volumes():
    points = seeded(1, 9, 3)
    assert movement_scale(4 * points, points) == pytest.approx(8)
    with pytest.raises(BenchbedError, match="no area or volume"):
        movement_scale(points * torch.tensor([1.0, 1.0, 0.0]), points)


def test_close_key_points_cost_and_each_is_close_to_itself():
    apart = torch.tensor([[[0.0, 0.0, 0.33], [1.0, 1.0, 0.33]]])
    # Twice 0.1, each point with itself.
    assert keypoint_prior_loss(Keypoints(apart)).item() == pytest.approx(0.2, abs=1e-5)
    assert keypoint_prior_loss(Keypoints(torch.zeros(1, 2, 3))).item() == pytest.approx(0.73, abs=1e-5)


def test_candidate_motions_with_jacobians_agree_with_torch():
    driving = Keypoints(seeded(2, 3, 3), seeded(2, 3, 3, 3, seed=1) + 3 * torch.eye(3))
    source = Keypoints(seeded(2, 3, 3, seed=2), seeded(2, 3, 3, 3, seed=3))
    assert source.jacobian is not None and driving.jacobian is not None
    motions = sparse_motions(source, driving, (2, 4, 3))
    assert motions.shape == (2, 4, 2, 4, 3, 3)
    point = coordinate_volume(2, 4, 3, like=motions)[1, 2, 0]
    assert torch.equal(motions[0, 0, 1, 2, 0], point)
    linear = source.jacobian[0, 1] @ torch.linalg.inv(driving.jacobian[0, 1])
    expected = source.value[0, 1] + linear @ (point - driving.value[0, 1])
    assert torch.allclose(motions[0, 2, 1, 2, 0], expected, atol=1e-5)
    # 1e-5: float noise of a well-conditioned inverse
    identity = product(driving.jacobian, inverse(driving.jacobian))
    assert torch.allclose(identity, torch.eye(3).expand(2, 3, 3, 3), atol=1e-5)


def test_a_volume_has_x_first_and_corners_at_one():
    grid = coordinate_volume(2, 3, 5, like=torch.zeros(1))
    assert grid.shape == (2, 3, 5, 3)
    assert grid[0, 0, 0].tolist() == [-1, -1, -1]
    assert grid[1, 2, 4].tolist() == [1, 1, 1]
    assert grid[1, 0, 1].tolist() == [-0.5, -1, 1]


def test_points_and_gaussians_in_volumes_agree_with_the_whole_grid():
    grid, heatmaps = coordinate_volume(4, 3, 5, like=torch.zeros(1)), torch.zeros(1, 1, 4, 3, 5)
    heatmaps[0, 0, 3, 0, 2] = heatmaps[0, 0, 1, 2, 4] = 0.5
    expected = (grid[3, 0, 2] + grid[1, 2, 4]) / 2
    assert torch.allclose(expected_point(heatmaps)[0, 0], expected, atol=1e-6)
    points = seeded(2, 3, 3)
    squared = (grid - points[:, :, None, None, None]).square().sum(-1)
    assert torch.allclose(gaussian_volumes(points, (4, 3, 5), 0.1), torch.exp(-5 * squared), atol=1e-6)


def test_volumes_are_warped_and_read_along_each_motion():
    volume = seeded(2, 3, 4, 6, 5)
    still = coordinate_volume(4, 6, 5, like=volume).expand(2, -1, -1, -1, -1)
    # 1e-5: float noise of trilinear weights
    assert torch.allclose(warp(volume, still, align_corners=True), volume, atol=1e-5)
    each = sample_each(volume, torch.stack((still, -still), dim=1), align_corners=True)
    assert each.shape == (2, 2, 3, 4, 6, 5)
    assert torch.allclose(each[:, 0], volume, atol=1e-5)
    assert torch.allclose(each[:, 1], volume.flip(2, 3, 4), atol=1e-5)
    small = torch.zeros(2, 2, 3, 3, 3)
    assert warp(volume, small, align_corners=False).shape == volume.shape


def test_the_hourglass_keeps_depth():
    network = VolumeHourglass(block_expansion=4, in_channels=3, max_features=8, num_blocks=2).eval()
    assert network(seeded(1, 3, 5, 8, 12)).shape == (1, 7, 5, 8, 12)
    assert [name for name, _ in network.decoder.named_children()] == ["up_blocks", "conv", "norm"]


def test_a_spade_block_divides_its_weights_by_their_stored_spectral_norm():
    block = SpadeBlock(8, 4).eval()
    features, guide = seeded(1, 8, 6, 6), seeded(1, 256, 6, 6)
    before = block(features, guide)
    with torch.no_grad():
        for convolution in (block.conv_0, block.conv_1, block.conv_s):
            convolution.weight_orig.mul_(3)
        assert torch.allclose(block(features, guide), before, atol=1e-5)
        block.conv_0.weight_u.mul_(2)
        sigma = block.conv_0.weight_u @ block.conv_0.weight_orig.flatten(1) @ block.conv_0.weight_v
        block(features, guide)
        assert torch.allclose(block.conv_0.weight, block.conv_0.weight_orig / sigma, atol=1e-5)


def test_a_small_spade_generator_paints_from_instance_statistics():
    published = changed("generator_params", block_expansion=64)
    method = small_method({**published, "generator": "spade"})
    encoding = method.encode(frames(1))
    prediction = method.animate(encoding, frames(2, seed=5))
    assert prediction.shape == (2, 3, 32, 32)
    assert functional.relu(prediction).equal(prediction) and prediction.max() <= 1


class Blur(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, functional.avg_pool2d(image, 2)]


def patches(seed: int) -> Tensor:
    """Four images of colour patches `[4, 3, 32, 32]`, standard deviation about 0.2."""
    coarse = 0.5 + 0.2 * seeded(4, 3, 4, 4, seed=seed)
    return coarse.clamp(0.05, 0.95).repeat_interleave(8, 2).repeat_interleave(8, 3)


def tiny() -> Facevid2vidTraining:
    torch.manual_seed(0)
    return build_training(TrainingRequest("tiny", Blur(), 32, 10))


def test_a_generator_that_starts_as_a_copier_returns_its_source_and_its_motion_stands_still():
    model, source = tiny().model, patches(0)
    model.networks.train()
    made = model.reconstruct(source, patches(1))
    assert (made.deformed - source).abs().mean() < 0.02
    # the sigmoid bends dark and bright colours, a little of the other motions is mixed in
    for image, copy_ in zip(source, made.prediction.detach(), strict=True):
        assert torch.corrcoef(torch.stack((image.flatten(), copy_.flatten())))[0, 1] > 0.9


def test_only_a_generator_that_keeps_the_size_and_paints_plainly_starts_as_a_copier():
    generator = tiny().model.generator
    generator.down_blocks.append(nn.Identity())
    with pytest.raises(BenchbedError, match="set num_down_blocks to 0"):
        start_as_copier(generator)


def test_training_losses_are_those_of_the_driving_pose():
    model = tiny().model
    source, driving = patches(0), patches(1)
    made = model.reconstruct(source, driving)
    preset = model.preset
    # no loss of the head pose: its teacher is a network of faces
    assert set(losses := model.losses(source, driving, made)) == {
        "equivariance_value",
        "keypoint_prior",
        "expression",
        "depth",
        "blurred",
    }
    assert torch.equal(made.points, made.driving.value[..., :2])
    assert losses["keypoint_prior"].item() == pytest.approx(
        preset.keypoint_prior_weight * keypoint_prior_loss(made.driving).item()
    )
    depths = made.driving.value[..., 2]
    assert losses["depth"].item() == pytest.approx(preset.depth_weight * (depths - 0.33).abs().mean().item())
    expected = made.pose.expression.abs().sum() / 4
    assert losses["expression"].item() == pytest.approx(preset.expression_weight * expected.item(), rel=1e-4)


def test_the_source_is_compared_with_its_target_under_three_blurs():
    identity = coordinate_volume(2, 32, 32, like=torch.zeros(1))[:1, ..., :2].expand(4, -1, -1, -1)
    source, driving = patches(0), patches(1)
    expected = 0.0
    for side in (5, 9, 17):
        window = torch.ones(1, 1, side, side)
        inside = functional.conv2d(torch.ones(1, 1, 32, 32), window, padding=side // 2)
        sums = functional.conv2d((source - driving).flatten(0, 1).unsqueeze(1), window, padding=side // 2)
        expected += (sums / inside).abs().mean().item()
    assert blurred_difference(source, driving, identity, align_corners=True).item() == pytest.approx(
        expected, rel=1e-4
    )


def test_blurred_edges_pull_a_motion_that_is_several_pixels_off():
    image = torch.zeros(1, 3, 64, 64)
    image[..., 24:40, 24:30] = 1
    identity = coordinate_volume(2, 64, 64, like=torch.zeros(1))[:1, ..., :2]
    for pixels in (4, 8):
        shift = torch.zeros(2, requires_grad=True)
        loss = blurred_difference(image, image.roll(pixels, dims=3), identity + shift, align_corners=True)
        (slope,) = torch.autograd.grad(loss, shift)
        # sampled further to the left, the source moves to the right
        assert slope[0] > 10 * slope[1].abs()


def test_named_parts_learn_at_a_share_of_their_networks_rate():
    task = tiny()
    rates: dict[str, float] = {}
    for name, optimizer in task.optimizers().items():
        named = {parameter: key for key, parameter in task.networks[name].named_parameters()}
        for group in optimizer.param_groups:
            rates |= {f"{name}.{named[one]}": group["lr"] for one in group["params"]}
    assert set(rates) == {name for name, _ in task.networks.named_parameters()}
    base, shares = task.recipe.learning_rates, task.rate_shares
    motion = "generator.dense_motion_network"
    assert rates[f"{motion}.mask.weight"] == base["generator"] * shares[f"{motion}.mask"]
    assert rates[f"{motion}.occlusion.weight"] == base["generator"] * shares[motion]
    assert rates["generator.final.weight"] == base["generator"] * task.recipe.additions.colour_rate
    assert rates["he_estimator.fc_exp.bias"] == base["he_estimator"] * shares["he_estimator.fc"]
    assert rates["he_estimator.conv1.weight"] == base["he_estimator"]


def test_training_moves_every_network():
    task = tiny()
    optimizers = task.optimizers()
    before = {name: value.clone() for name, value in task.networks.named_parameters()}
    for step in range(3):
        task.step(FramePair(patches(step), patches(step + 3)), optimizers, lambda loss: loss.backward())
    for network in ("generator", "kp_detector", "he_estimator"):
        named = [name for name in before if name.startswith(network) and name.endswith("weight")]
        moved = [name for name in named if not torch.equal(before[name], task.networks.get_parameter(name))]
        assert moved == named


def test_a_smaller_motion_and_a_narrower_head_pose_estimator_animate():
    published = changed("he_estimator_params", widths=[8, 8, 12, 16], blocks=[1, 1, 2, 1])
    published["model_params"]["generator_params"]["dense_motion_params"]["scale_factor"] = 0.5
    method = small_method(published)
    assert size_multiple(method.config) == 32
    encoding, driving = method.encode(frames(1)), frames(2, seed=6)
    motion = method.generate(encoding, method.driving_keypoints(encoding, driving)).motion
    assert motion.deformation.shape == (2, 3, 4, 4, 3)
    check_batch(method, encoding, driving)
    with pytest.raises(BenchbedError, match="needs 4 widths"):
        facevid2vid_config(changed("he_estimator_params", widths=[8, 8]))


def test_the_hinge_sums_over_scales():
    real = [PatchScores((), torch.tensor([0.5, 2.0])), PatchScores((), torch.tensor([0.0]))]
    generated = [PatchScores((), torch.tensor([-2.0, 0.0])), PatchScores((), torch.tensor([1.0]))]
    assert HINGE.generator(generated).item() == pytest.approx(1 - 1)
    assert HINGE.discriminator(real, generated).item() == pytest.approx(0.25 + 0.5 + 1 + 2)


def teacher_file(path: Path) -> dict[str, Tensor]:
    """A file as the teacher's makers wrote it: no step counters, and a layer that nothing uses."""
    torch.manual_seed(1)
    state = HeadPoseTeacher().state_dict()
    tensors = {
        name.removeprefix("trunk.").replace("heads.", "fc_"): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    tensors["fc_finetune.weight"] = torch.zeros(3, 2051)
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return tensors


def test_the_teacher_of_head_poses_comes_from_the_weights_store(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    with pytest.raises(WeightsMissingError, match="hopenet"):
        stored_teacher()
    (tmp_path / "checkpoints").mkdir()
    tensors = teacher_file(tmp_path / "checkpoints" / "hopenet_robust_alpha1.pkl")
    teacher, faces = stored_teacher(), frames(2, size=64)
    assert torch.equal(teacher.heads["roll"].weight, tensors["fc_roll.weight"])
    angles = teacher(faces)
    assert [one.shape for one in angles] == [(2, 66)] * 3 and not angles.yaw.requires_grad
    # frames are seen at 224 pixels whatever their size
    larger = functional.interpolate(faces, size=(224, 224), mode="bilinear")
    assert torch.allclose(teacher(larger).pitch, angles.pitch, atol=1e-5)
    del tensors["fc_yaw.bias"]
    with pytest.raises(CheckpointError, match=r"fc_yaw\.bias"):
        load_teacher(tensors)


def test_a_teacher_and_an_adversary_add_their_published_terms():
    preset = replace(
        preset_named("tiny").resized(32, 10),
        head_pose_weight=20.0,
        adversary=AdversaryWeights(1.0, 1.0, (10.0, 10.0)),
    )
    rates = {**preset.recipe.learning_rates, "discriminator": 2e-4}
    preset = replace(preset, recipe=replace(preset.recipe, learning_rates=rates))
    teacher, driving = HeadPoseTeacher(), patches(1)
    task = Facevid2vidTraining(preset, Blur(), teacher)
    made = task.model.reconstruct(patches(0), driving)
    expected = 20 * head_pose_loss(made.pose, *teacher(driving)).item()
    assert task.model.losses(patches(0), driving, made)["head_pose"].item() == pytest.approx(
        expected, rel=1e-4
    )
    losses = task.step(FramePair(patches(0), driving), task.optimizers(), lambda loss: loss.backward())
    assert {"head_pose", "generator_gan", "feature_matching", "discriminator_gan"} <= set(losses)


def test_the_spade_generator_is_trained_but_cannot_start_as_a_copier():
    preset = preset_named("vox-256")
    with torch.device("meta"):
        assert Facevid2vidPairs(preset).generator.decoder is not None
        copier = replace(preset.recipe, additions=preset_named("tiny").recipe.additions)
        with pytest.raises(TypeError, match="only the original generator"):
            Facevid2vidPairs(replace(preset, recipe=copier))
