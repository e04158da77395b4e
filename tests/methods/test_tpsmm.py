"""TPSMM: official configurations, weights files, splines, batches, transfer and background."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair
from benchbed.methods.blocks.grids import coordinate_grid
from benchbed.methods.blocks.keypoint_set_animation import keypoint_set_networks
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.multi_occlusion_motion import MultiOcclusionMotionNetwork, dropout_softmax
from benchbed.methods.blocks.resnet_keypoints import ResNet18
from benchbed.methods.blocks.thin_plate import fit_spline, random_spline
from benchbed.methods.tpsmm.config import tpsmm_config
from benchbed.methods.tpsmm.method import Tpsmm, build
from benchbed.methods.tpsmm.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.tpsmm.presets import presets
from benchbed.methods.training.keypoint_set_pairs import (
    Dropout,
    KeypointSetPairs,
    KeypointSetTraining,
    coarse_difference,
)
from benchbed.methods.training.keypoint_set_terms import warp_loss

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

SMALL = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_tps": 2, "num_channels": 3, "bg": True, "multi_mask": True},
        "generator_params": {"block_expansion": 4, "max_features": 8, "num_down_blocks": 3},
        "dense_motion_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
            "scale_factor": 0.25,
        },
        "avd_network_params": {"id_bottle_size": 4, "pose_bottle_size": 4},
    },
}


def small_method(**animation: object) -> Tpsmm:
    torch.manual_seed(0)
    method = Tpsmm(tpsmm_config({**SMALL, "animation": animation})).eval()
    # Fresh networks put all points near the centre, where splines are steep, and fresh predictors keep the background still.
    nn.init.normal_(method.kp_detector.fg_encoder.fc.weight, std=0.1)
    assert method.bg_predictor is not None and method.avd_network is not None
    nn.init.normal_(method.avd_network.decoder[9].bias, std=0.3)
    nn.init.normal_(method.bg_predictor.bg_encoder.fc.weight, std=0.01)
    return method


@pytest.fixture(scope="module")
def official_files(tmp_path_factory) -> Path:
    """A folder with one file in the released format per official name; their tensors are views of single zeros."""
    folder = tmp_path_factory.mktemp("official")
    for file, name in OFFICIAL_FILES.items():
        networks = on_meta(keypoint_set_networks, tpsmm_config(official(name)), frozenset({"bg_predictor"}))
        write_released(folder / file, networks, optimizer=OPTIMIZER)
    return folder


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = tpsmm_config(official(name))
    networks = on_meta(keypoint_set_networks, config)
    expected = {
        "kp_detector": 11_227_812,
        "dense_motion_network": 37_941_397,
        "inpainting_network": 24_737_283,
        "bg_predictor": 11_188_998,
        "avd_network": 2_583_652,
    }
    if name == "mgif-256":
        del expected["bg_predictor"]
    assert {
        key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()
    } == expected
    assert config.resolution == ((384, 384) if name == "ted-384" else (256, 256))


def test_every_official_file_and_configuration_has_its_dataset():
    assert set(OFFICIAL_FILES.values()) == set(official_names()) == set(DATASETS)


def test_options_after_a_configuration_change_pose_and_background():
    animation = tpsmm_config(official("vox-256+avd+background")).animation
    assert (animation.avd, animation.background) == (True, "always")
    assert tpsmm_config(official("vox-256+still-background")).animation.background == "never"
    for wrong in ("vox-512", "vox-256+sideways", "vox-256+background+still-background"):
        with pytest.raises(UnknownNameError, match="vox-256"):
            official(wrong)


def test_a_method_without_weights_names_the_official_files():
    with pytest.raises(WeightsMissingError, match=r"vox\.pth\.tar"):
        build(checkpoint=None, configuration=None)


def test_official_files_load_by_their_names(official_files):
    vox = build(checkpoint=official_files / "vox.pth.tar", configuration=None)
    assert isinstance(vox, Method)
    assert (vox.trained_on, vox.resolution) == ("voxceleb", (256, 256))
    assert (vox.conventions["configuration"], vox.conventions["align_corners"]) == ("vox-256", "true")
    assert (vox.conventions["absolute_background"], vox.conventions["relative_background"]) == (
        "predicted",
        "still",
    )
    # The constants of the constructor stay, whatever the file says of them.
    assert vox.dense_motion_network.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)
    mgif = build(checkpoint=official_files / "mgif.pth.tar", configuration=None)
    assert mgif.conventions["absolute_background"] == "still"
    assert mgif.trained_on == "mgif"


def test_a_file_of_unknown_name_needs_its_configuration(official_files):
    renamed = official_files / "00000099-checkpoint.pth.tar"
    renamed.symlink_to(official_files / "ted.pth.tar")
    with pytest.raises(CheckpointError, match="vox-256, taichi-256, ted-384, which compute differently"):
        build(checkpoint=renamed, configuration=None)
    assert build(checkpoint=renamed, configuration="ted-384").resolution == (384, 384)


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(official_files):
    with pytest.raises(CheckpointError, match=r"unexpected \(bg_predictor\.bg_encoder.*fit 'vox-256'"):
        build(checkpoint=official_files / "vox.pth.tar", configuration="mgif-256")


def test_options_that_need_a_missing_network_are_refused(official_files):
    with pytest.raises(CheckpointError, match=r"leave out \+avd"):
        build(checkpoint=official_files / "vox.pth.tar", configuration="vox-256+avd")
    with pytest.raises(CheckpointError, match=r"leave out \+background"):
        build(checkpoint=official_files / "mgif.pth.tar", configuration="mgif-256+background")


def test_our_file_carries_its_configuration_and_misshapen_tensors_are_named(tmp_path):
    method = small_method()
    path = write_own(tmp_path, method.state_dict(), SMALL)
    loaded = build(checkpoint=path, configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    path = write_own(
        tmp_path, method.state_dict(), SMALL, **{"inpainting_network.final.bias": torch.zeros(4)}
    )
    with pytest.raises(
        CheckpointError, match=r"1 misshapen \(inpainting_network\.final\.bias \[4\] instead of \[3\]"
    ):
        build(checkpoint=path, configuration=None)


def test_a_file_of_another_network_fits_no_configuration(tmp_path):
    save_file({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="fits no official TPSMM configuration"):
        build(checkpoint=tmp_path / "other.safetensors", configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
@pytest.mark.parametrize("avd", [False, True])
def test_a_batch_equals_frame_by_frame(transfer, avd):
    method, driving = small_method(avd=avd), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


def test_frames_that_are_not_square_keep_their_size():
    method, wide = small_method(), torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(3))
    assert method.animate(method.encode(wide[:1]), wide).shape == wide.shape


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    method, initial = small_method(), frames(1, seed=3)
    encoding = method.encode(frames(1))
    points = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.equal(points.value, encoding.keypoints.value)


def test_absolute_transfer_alone_moves_the_background_unless_told_otherwise():
    driving = frames(1, seed=4)

    def generated(transfer: str, **animation: object) -> Tensor:
        method = small_method(**animation)
        encoding = method.encode(frames(1))
        return method.animate(encoding, driving, initial_driving=driving, transfer=transfer)

    assert not torch.allclose(generated("absolute"), generated("absolute", background="never"), atol=1e-4)
    assert torch.equal(generated("absolute"), generated("absolute", background="always"))
    assert torch.equal(generated("relative"), generated("relative", background="never"))
    assert not torch.allclose(generated("relative"), generated("relative", background="always"), atol=1e-4)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "tpsmm", frames(1))
    for size in (30, 16):
        with pytest.raises(BenchbedError, match="multiples of 16, one of them larger"):
            method.encode(frames(1, size=size))


@pytest.mark.parametrize(
    ("part", "word", "value", "sentence"),
    [
        ("common_params", "num_tps", None, "lacks 'num_tps'"),
        ("common_params", "num_kp", 10, "num_kp"),
        ("common_params", "num_channels", 1, "num_channels is 1"),
        ("dense_motion_params", "scale_factor", 0.3, "scale_factor 0.3"),
        ("dense_motion_params", "num_blocks", 1, "needs 4 resolutions"),
        ("generator_params", "num_down_blocks", 2, "needs num_down_blocks 3"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_answered_with_a_sentence(part, word, value, sentence):
    published = json.loads(json.dumps(SMALL))
    published["model_params"][part][word] = value
    if value is None:
        del published["model_params"][part][word]
    with pytest.raises(BenchbedError, match=f"the TPSMM configuration .*{sentence}"):
        tpsmm_config(published)


def test_one_occlusion_map_serves_all_resolutions_without_multi_mask():
    published = json.loads(json.dumps(SMALL))
    published["model_params"]["common_params"]["multi_mask"] = False
    method = Tpsmm(tpsmm_config(published)).eval()
    generation = method.generate(method.encode(frames(1)), Keypoints(torch.zeros(2, 10, 2)))
    assert [maps.shape for maps in generation.motion.occlusion_maps] == [(2, 1, 8, 8)]
    assert generation.prediction.shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("scale", "sizes"), [(1, [4, 8, 16, 32]), (0.5, [4, 8, 16, 32]), (0.125, [4, 8, 16, 32])]
)
def test_occlusion_maps_double_up_to_the_image_at_every_scale_of_the_motion(scale, sizes):
    network = MultiOcclusionMotionNetwork(
        num_motions=2,
        num_keypoints=5,
        num_channels=3,
        block_expansion=4,
        max_features=8,
        num_blocks=1 if scale == 0.125 else 4,
        scale_factor=scale,
        multi_mask=True,
    )
    low, points = network.downsample(frames(1)), Keypoints(torch.zeros(1, 5, 2))
    motions = torch.zeros(1, 2, *low.shape[2:], 2)
    maps = network(low, points, points, motions).occlusion_maps
    assert [occlusion.shape[-1] for occlusion in maps] == sizes


def test_a_spline_agrees_with_its_equations_solved_in_double_precision():
    generator = torch.Generator().manual_seed(5)
    driving, source = torch.rand(2, 3, 5, 2, generator=generator) * 2 - 1
    spline = fit_spline(driving, source)
    points = torch.rand(7, 2, generator=generator) * 2 - 1
    for index in range(3):
        c, s, p = (t.double().numpy() for t in (driving[index], source[index], points))

        def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            squared = ((a[:, None] - b[None]) ** 2).sum(-1)
            return squared * np.log(squared + 1e-9)

        plane = np.hstack([c, np.ones((5, 1))])
        system = np.block([[kernel(c, c), plane], [plane.T, np.zeros((3, 3))]]) + 0.01 * np.eye(8)
        solution = np.linalg.solve(system, np.vstack([s, np.zeros((3, 2))]))
        wanted = kernel(p, c) @ solution[:5] + np.hstack([p, np.ones((7, 1))]) @ solution[5:]
        # 1e-4: a system of condition about 1e3 in float32
        assert np.allclose(spline.points(points)[index].numpy(), wanted, atol=1e-4)


def test_a_random_spline_without_noise_moves_nothing():
    image = frames(2)
    spline = random_spline(image, sigma_affine=0, sigma_tps=0, points_tps=5)
    # 1e-6: float noise of bilinear weights
    assert torch.allclose(spline.frame(image), image, atol=1e-6)


def test_dropped_motions_count_nothing_and_the_rest_sums_to_one():
    logits = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(6))
    maps = dropout_softmax(logits, torch.tensor([[1.0, 0.0, 1.0]]))
    assert maps[:, 1].abs().max() == 0
    # 1e-4: the published 1e-6 in the denominator
    assert torch.allclose(maps.sum(dim=1), torch.ones(1, 4, 4), atol=1e-4)


def test_reduced_precision_stays_out_of_the_geometry():
    method, driving = small_method(), frames(2, seed=7)
    with torch.autocast("cpu", torch.bfloat16):
        encoding = method.encode(frames(1))
        generation = method.generate(encoding, method.driving_keypoints(encoding, driving))
    assert generation.motion.deformation.dtype == torch.float32


class Taps(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames]


def small_pairs(**changes: object) -> KeypointSetPairs:
    """Training of a small network that predicts the background, at 32 pixels."""
    torch.manual_seed(0)
    preset = replace(presets()["tiny"](), published=SMALL, **changes)
    config = tpsmm_config(SMALL)
    networks = keypoint_set_networks(config, frozenset({"bg_predictor"}))
    return KeypointSetPairs(Tpsmm(config, networks), networks, preset)


def test_narrow_residual_networks_have_the_names_and_the_results_of_the_library():
    library, ours = torchvision.models.resnet18(num_classes=4).eval(), ResNet18(4).eval()
    assert list(ours.state_dict()) == list(library.state_dict())
    ours.load_state_dict(library.state_dict())
    assert torch.equal(ours(frames(1)), library(frames(1)))
    assert ResNet18(4, in_channels=6, width=8).eval()(torch.zeros(2, 6, 32, 32)).shape == (2, 4)


def test_motions_are_dropped_along_the_published_ramp():
    dropout = Dropout(epochs=35, largest=0.3, first=0.1)
    probabilities = [dropout.probability(epoch) for epoch in (0, 5, 10, 34, 35, 99)]
    assert probabilities == pytest.approx([0.1, 0.25, 0.3, 0.3, 0, 0])


def test_the_background_is_never_dropped_and_nothing_is_after_the_last_epoch_of_dropping_or_at_rest():
    pairs = small_pairs(dropout=Dropout(epochs=5, largest=1.0, first=1.0))
    pairs.networks.train()
    assert pairs.kept(frames(2)).tolist() == [[1, 0, 0]] * 2
    pairs.epoch = 5
    assert pairs.kept(frames(2)) is None
    pairs.epoch = 0
    pairs.networks.eval()
    assert pairs.kept(frames(2)) is None


def test_the_background_is_predicted_from_its_epoch_on_and_then_has_its_loss():
    pairs = small_pairs(background_start=10, background_weight=4.0)
    source, driving = frames(2), frames(2, seed=1)
    names = []
    for pairs.epoch in (9, 10):
        made = pairs.reconstruct(source, driving)
        names.append(set(pairs.losses(source, driving, made)))
    assert names[1] - names[0] == {"background"}
    # a fresh predictor gives the identity both ways
    assert pairs.losses(source, driving, made)["background"] == 0


def test_warped_features_teach_the_motion_alone():
    pairs = small_pairs()
    source, driving = frames(2), frames(2, seed=1)
    pairs.losses(source, driving, pairs.reconstruct(source, driving))["warp"].backward()
    assert all(p.grad is None for p in pairs.networks["inpainting_network"].parameters())
    assert all(p.grad is None for p in pairs.method.dense_motion_network.occlusion.parameters())
    assert pairs.method.dense_motion_network.maps.weight.grad.abs().sum() > 0
    assert pairs.method.kp_detector.fg_encoder.fc.weight.grad.abs().sum() > 0


def test_warped_features_cost_nothing_where_they_are_what_the_driving_frame_has():
    network = small_pairs().method.inpainting_network
    appearance = network.look(frames(1))
    still = coordinate_grid(32, 32, like=appearance.image).unsqueeze(0)
    visible = [torch.ones(1, 1, size, size) for size in (4, 8, 16, 32)]
    # 1e-5: a still grid samples between pixels by float32 rounding
    assert warp_loss(network, appearance, appearance, still, visible) < 1e-5
    assert warp_loss(network, appearance, network.look(frames(1, seed=1)), still, visible) > 0.1


def test_sets_of_key_points_begin_apart_and_inside_the_image():
    pairs = small_pairs()
    nn.init.zeros_(pairs.method.kp_detector.fg_encoder.fc.weight)
    points = pairs.detect(frames(2)).value.unflatten(1, (-1, 5))
    centres = points.mean(dim=2)
    assert (centres[0, 0] - centres[0, 1]).norm() > 0.3
    assert points.abs().max() < 0.9
    # a small cross around each centre
    assert torch.allclose(
        (points - centres.unsqueeze(2)).norm(dim=-1)[..., 1:], torch.tensor(0.25), atol=1e-5
    )


def test_the_coarse_difference_is_that_of_block_means():
    driving = torch.zeros(1, 1, 8, 8)
    deformed = driving.clone()
    deformed[0, 0, 0, 0] = 1.0
    # one of four blocks of 16 pixels differs by a sixteenth, the only block of 64 by a sixty-fourth
    assert coarse_difference(deformed, driving).item() == pytest.approx(1 / 64 + 1 / 64)


def test_training_knows_its_epoch():
    preset = replace(presets()["tiny"](), published=SMALL, epochs=4).resized(32, 8)
    pairs = small_pairs()
    pairs.preset = preset
    task = KeypointSetTraining(pairs, Taps())
    optimizers = task.optimizers()
    seen = []
    for _ in range(4):
        task.step(FramePair(frames(2), frames(2, seed=1)), optimizers, lambda loss: loss.backward())
        seen.append(pairs.epoch)
    assert seen == [0, 0, 1, 1]


def test_the_paper_preset_is_the_published_recipe():
    preset = presets()["paper"]()
    steps = preset.recipe.schedule.steps
    assert steps == 100 * (424 * 75 // 28)
    assert [milestone * 100 // steps for milestone in preset.recipe.milestones] == [70, 90]
    assert (preset.recipe.weight_decay, preset.recipe.gradient_order) == (1e-4, float("inf"))
    halved = preset.resized(None, steps // 2).recipe
    assert halved.milestones == tuple(milestone // 2 for milestone in preset.recipe.milestones)
