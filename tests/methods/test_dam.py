"""DAM: official configurations, weights files, anchors, batches, transfer, losses."""

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
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.anchors import carried_distances, split_anchors
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.dam.checkpoint import inference_networks
from benchbed.methods.dam.config import dam_config
from benchbed.methods.dam.losses import root_loss
from benchbed.methods.dam.method import Dam, build
from benchbed.methods.dam.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.dam.presets import presets
from benchbed.methods.dam.training import DamPairs, build_training
from benchbed.methods.training.equivariance_terms import equivariance_losses
from benchbed.methods.training.recipe import WarpConfig

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
        "use_bg_predictor": True,
        "common_params": {"num_kp": 5, "num_channels": 3, "estimate_jacobian": True},
        "bg_predictor_params": {**HOURGLASS, "bg_type": "affine"},
        "kp_detector_params": {**HOURGLASS, "temperature": 0.1, "scale_factor": 0.5},
        "generator_params": {
            "num_root_kp": 1,
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "skips": True,
            "dense_motion_params": {**HOURGLASS, "scale_factor": 0.5},
        },
    },
}


def changed(part: str, **words: Any) -> dict[str, Any]:
    """The small configuration with other words in one part of its model."""
    published = copy.deepcopy(SMALL)
    published["model_params"][part] |= words
    return published


def small_method(published: dict[str, Any] = SMALL, *, seed: int = 0, **animation: Any) -> Dam:
    torch.manual_seed(seed)
    method = Dam(dam_config({**published, "animation": animation})).eval()
    # Without these a fresh background and fresh jacobians are the same for all images.
    nn.init.normal_(method.kp_detector.jacobian.weight, std=0.01)
    nn.init.normal_(method.bg_predictor.fc.weight, std=0.1)
    return method


def released(path: Path, name: str) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, dam_config(official(name)))
    return write_released(
        path, networks, discriminator={"discs.1.conv.bias": torch.zeros(1)}, optimizer_generator=OPTIMIZER
    )


@pytest.fixture(scope="module")
def taichi_file(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("official") / "taichi-dam.pth", "taichi256")


@pytest.fixture(scope="module")
def vox_file(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("official") / "vox-dam.pth", "vox256")


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = dam_config(official(name))
    networks = on_meta(inference_networks, config)
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    expected = {"generator": 45_575_391, "kp_detector": 14_155_308}
    if name == "taichi256":
        # A map of jacobians for each of 11 anchors instead of one for all.
        expected["kp_detector"] += 10 * 4 * (35 * 49 + 1)
        expected["bg_predictor"] = 6_282_438
    assert counts == expected
    assert config.generator.skips == (name != "mgif256")
    assert (config.num_motion, config.num_intermediate, config.resolution) == (10, 0, (256, 256))


def test_files_and_datasets_name_official_configurations():
    assert set(OFFICIAL_FILES.values()) == set(official_names()) == set(DATASETS)
    for name in ("vox", "vox256+best", "vox256+background+still-background"):
        with pytest.raises(
            UnknownNameError, match=r"known: taichi256, vox256.*each also with \+adapted, and"
        ):
            official(name)


def test_a_missing_file_says_which_files_would_do():
    with pytest.raises(WeightsMissingError, match=r"vox-dam\.pth"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_loads_under_its_name(taichi_file):
    method = build(checkpoint=taichi_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("taichi-hd", (256, 256))
    assert method.conventions == {
        "configuration": "taichi256",
        "align_corners": "false",
        "relative_jacobian": "true",
        "adapt_movement_scale": "false",
        "absolute_background": "predicted",
        "relative_background": "still",
    }
    # The constants of the constructor stay, whatever the file says of them.
    assert method.kp_detector.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)


def test_a_file_without_a_background_predictor_leaves_the_background_still(taichi_file, tmp_path):
    content = torch.load(taichi_file)
    del content["bg_predictor"]
    torch.save(content, tmp_path / "taichi-dam.pth")
    method = build(checkpoint=tmp_path / "taichi-dam.pth", configuration="taichi256+adapted")
    assert method.conventions["absolute_background"] == "still"
    assert method.conventions["adapt_movement_scale"] == "true"
    with pytest.raises(CheckpointError, match=r"leave out \+background"):
        build(checkpoint=tmp_path / "taichi-dam.pth", configuration="taichi256+background")


def test_a_renamed_file_must_say_its_configuration_because_skips_are_not_in_the_tensors(vox_file, tmp_path):
    renamed = tmp_path / "00000099-checkpoint.pth.tar"
    renamed.symlink_to(vox_file)
    with pytest.raises(CheckpointError, match="fits vox256, fashion256, mgif256, which compute differently"):
        build(checkpoint=renamed, configuration=None)
    method = build(checkpoint=renamed, configuration="mgif256")
    assert not method.generator.skips
    assert method.trained_on == "unknown"


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(taichi_file):
    with pytest.raises(
        CheckpointError, match=r"misshapen \(kp_detector\.jacobian.*|unexpected \(bg_predictor.*"
    ) as refused:
        build(checkpoint=taichi_file, configuration="vox256")
    assert "they fit 'taichi256'" in str(refused.value)


def test_our_file_carries_its_configuration(tmp_path):
    method = small_method()
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), SMALL), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    path = write_own(tmp_path, method.state_dict(), SMALL, **{"generator.final.bias": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.final\.bias \[4\] instead of \[3\]"):
        build(checkpoint=path, configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
@pytest.mark.parametrize("skips", [True, False])
def test_a_batch_equals_frame_by_frame(transfer, skips):
    method = small_method(changed("generator_params", skips=skips))
    driving = frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


@pytest.mark.parametrize("adapted", [True, False])
def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose(adapted):
    method = small_method(adapt_movement_scale=adapted)
    encoding = method.encode(frames(1))
    initial = frames(1, seed=3)
    points = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(points.value, encoding.keypoints.value, atol=1e-6)
    # 1e-4: an inverse in float32
    assert torch.allclose(points.jacobian, encoding.keypoints.jacobian, atol=1e-4)


def test_the_root_never_reaches_the_generator():
    method = small_method()
    encoding = method.encode(frames(1))
    assert encoding.keypoints.value.shape == (1, 4, 2)
    anchors = method.anchors(frames(2))
    assert [part.value.shape[1] for part in (anchors.motion, anchors.intermediate, anchors.root)] == [4, 0, 1]


def test_the_background_is_predicted_for_absolute_transfer_alone_unless_told_otherwise():
    default, still, always = (small_method(background=use) for use in ("absolute", "never", "always"))
    source, driving = frames(1), frames(2, seed=4)

    def animated(method: Dam, transfer: str) -> Tensor:
        return method.animate(method.encode(source), driving, initial_driving=driving[:1], transfer=transfer)

    assert torch.equal(animated(default, "absolute"), animated(always, "absolute"))
    assert not torch.allclose(animated(default, "absolute"), animated(still, "absolute"), atol=1e-4)
    assert torch.equal(animated(default, "relative"), animated(still, "relative"))
    assert not torch.allclose(animated(default, "relative"), animated(always, "relative"), atol=1e-4)


def test_a_static_background_is_seen_moving_but_combined_standing_still():
    published = changed("generator_params")
    published["model_params"]["generator_params"]["dense_motion_params"]["set_static_bg"] = True
    static, moving = (small_method(words).generator.dense_motion_network for words in (published, SMALL))
    moved = torch.eye(3)[None] + torch.tensor([[[0.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    points = Keypoints(frames(1)[:, 0, :4, :2])
    low = frames(1, size=16)
    one, other = (network(low, points, points, moved) for network in (static, moving))
    assert torch.equal(one.mask, other.mask)
    shift = other.deformation - one.deformation
    assert torch.allclose(shift[..., 0], 0.5 * one.mask[:, 0], atol=1e-5)
    assert torch.allclose(shift[..., 1], torch.zeros(()), atol=1e-5)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "dam", frames(1))
    with pytest.raises(BenchbedError, match="multiples of 8"):
        method.encode(frames(1, size=30))


@pytest.mark.parametrize(
    ("published", "sentence"),
    [
        ({}, "lacks 'model_params'"),
        (changed("generator_params", num_root_kp=5), "must leave motion anchors"),
        (changed("generator_params", num_root_kp=2), "choose method hdam"),
        (changed("kp_detector_params", subroot_leaf_attention=True), "choose method hdam"),
        (changed("generator_params", root_motion=True), "root_motion lets the generator see the root"),
        (changed("bg_predictor_params", bg_type="rigid"), "bg_type 'rigid' is none of zero, shift"),
        (changed("generator_params", skip=True), "unexpected keyword argument 'skip'"),
        ({**SMALL, "animation": {"background": "maybe"}}, "background 'maybe' is none of absolute"),
    ],
)
def test_wrong_configurations_are_answered_with_a_sentence(published, sentence):
    with pytest.raises(BenchbedError, match=sentence):
        dam_config(published)


def test_an_anchor_carries_points_with_its_own_affine_motion():
    turned = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    above_driving = Keypoints(torch.tensor([[[0.5, 0.0]]]), torch.eye(2)[None, None])
    above_source = Keypoints(torch.tensor([[[0.0, 0.5]]]), turned[None, None])
    driving = Keypoints(torch.tensor([[[0.75, 0.0], [0.5, 0.0]]]))
    source = Keypoints(torch.tensor([[[0.0, 0.75], [0.3, 0.9]]]))
    distances = carried_distances(above_source, above_driving, source, driving)
    assert torch.allclose(distances, torch.tensor([[[0.0, 0.5]]]), atol=1e-6)


def test_the_root_loss_is_zero_where_all_anchors_move_as_one():
    points = frames(2)[:, 0, :5, :2]
    turned = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    still = Keypoints(points, torch.eye(2).expand(2, 5, 2, 2))
    moved = Keypoints(points @ turned.T + 0.1, turned.expand(2, 5, 2, 2))
    assert root_loss(split_anchors(moved, 1), split_anchors(still, 1)).item() == pytest.approx(0, abs=1e-6)
    assert root_loss(split_anchors(still, 1), split_anchors(still, 1)).item() == 0
    apart = Keypoints(points + torch.tensor([[3.0, 4.0]] * 4 + [[0.0, 0.0]]), still.jacobian)
    assert root_loss(split_anchors(apart, 1), split_anchors(still, 1)).item() == pytest.approx(5, abs=1e-5)


class Pixels(nn.Module):
    """A perceptual network of one tap: the frames themselves."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images]


def small_pairs(**changes: Any) -> DamPairs:
    """Training on pairs of the small networks, in eval mode so that a call changes nothing."""
    torch.manual_seed(0)
    pairs = DamPairs(replace(presets()["tiny"](), published={**SMALL, "align_corners": True}, **changes))
    pairs.networks.eval()
    nn.init.normal_(pairs.detector.jacobian.weight, std=0.01)
    return pairs


def test_the_second_prediction_is_of_a_warped_driving_frame_with_its_own_anchors():
    source, driving = frames(2), frames(2, seed=1)
    prediction, target = small_pairs().reconstruct(source, driving).augmented
    assert not torch.allclose(target, driving, atol=1e-2)
    # where warps are the identity it is the first prediction once more
    made = small_pairs(warps=WarpConfig(0.0)).reconstruct(source, driving)
    prediction, target = made.augmented
    assert torch.allclose(target, driving, atol=1e-4)
    assert torch.allclose(prediction, made.prediction, atol=1e-3)


def test_equivariance_is_asked_of_the_source_and_the_root_of_both_frames():
    pairs, source, driving = small_pairs(), frames(2), frames(2, seed=1)
    made = pairs.reconstruct(source, driving)
    torch.manual_seed(4)
    terms = pairs.losses(source, driving, made)
    torch.manual_seed(4)
    expected = equivariance_losses(
        pairs.detect, source, pairs.detect(source), pairs.warps, value=3.0, jacobian=3.0, align_corners=True
    )
    assert set(terms) == {*expected, "root"}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4)
    of_source, of_driving = (split_anchors(pairs.detect(images), 1) for images in (source, driving))
    assert terms["root"].item() == pytest.approx(10 * root_loss(of_source, of_driving).item(), rel=1e-4)


def test_the_share_of_the_augmented_frame_weighs_its_perceptual_loss_alone():
    source, driving = frames(2, 64), frames(2, 64, seed=1)

    def terms(share: float) -> dict[str, Tensor]:
        torch.manual_seed(0)
        task = build_training(TrainingRequest("tiny", Pixels(), None, 40))
        task.recipe = replace(task.recipe, additions=replace(task.recipe.additions, augmented_share=share))
        torch.manual_seed(1)
        return task.step(FramePair(source, driving), task.optimizers(), lambda loss: loss.backward())

    whole, quarter = terms(1.0), terms(0.25)
    ratio = quarter["perceptual_augmented"] / whole["perceptual_augmented"]
    assert ratio.item() == pytest.approx(0.25, rel=1e-4)
    assert quarter["perceptual"].item() == pytest.approx(whole["perceptual"].item(), rel=1e-4)


def test_the_gradient_of_the_detector_is_no_longer_than_one():
    task = build_training(TrainingRequest("tiny", Pixels(), None, 40))
    optimizers = task.optimizers()
    norms: dict[str, float] = {}

    def measure(name: str):
        parameters = list(task.networks[name].parameters())
        return lambda *_: norms.update(
            {name: torch.cat([p.grad.flatten() for p in parameters]).norm().item()}
        )

    for name, optimizer in optimizers.items():
        optimizer.register_step_pre_hook(measure(name))
    # ten times the loss, so that there is something to shorten
    pair = FramePair(frames(2, 64), frames(2, 64, seed=1))
    task.step(pair, optimizers, lambda loss: (10 * loss).backward())
    assert norms["kp_detector"] == pytest.approx(1, rel=1e-3)
    assert norms["generator"] > 1.01


def test_the_paper_preset_is_the_published_recipe_for_voxceleb():
    preset = presets()["paper"]()
    recipe, schedule = preset.recipe, preset.recipe.schedule
    assert (schedule.resolution, schedule.batch_size, schedule.id_sampling) == (256, 48, True)
    assert [milestone * 100 // schedule.steps for milestone in recipe.milestones] == [60, 90]
    assert (recipe.perceptual, recipe.gradient_norms) == ((10,) * 5, {"kp_detector": 1.0})
    assert (preset.equivariance_value, preset.equivariance_jacobian, preset.root_weight) == (10, 10, 10)
    with torch.device("meta"):
        assert set(DamPairs(preset).networks) == {"generator", "kp_detector"}
