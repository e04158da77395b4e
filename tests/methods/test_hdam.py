"""HDAM: official configurations, weights files, hierarchy, attention, batches, transfer, losses."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.methods.blocks.anchors import Anchors, split_anchors
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.hdam.checkpoint import inference_networks
from benchbed.methods.hdam.config import hdam_config
from benchbed.methods.hdam.losses import (
    completeness_loss,
    intermediate_loss,
    orthogonality_loss,
    root_loss,
)
from benchbed.methods.hdam.method import Hdam, build
from benchbed.methods.hdam.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.hdam.presets import presets
from benchbed.methods.hdam.training import HdamPairs

from .released import OPTIMIZER, check_batch, frames, on_meta, write_released

HOURGLASS = {"block_expansion": 4, "max_features": 8, "num_blocks": 2}
SMALL: dict[str, Any] = {
    "resolution": 32,
    "model_params": {
        "use_bg_predictor": True,
        "common_params": {"num_kp": 7, "num_channels": 3, "estimate_jacobian": True},
        "bg_predictor_params": {**HOURGLASS, "bg_type": "affine"},
        "kp_detector_params": {
            **HOURGLASS,
            "temperature": 0.1,
            "scale_factor": 0.5,
            "subroot_leaf_attention": True,
            "ignore_kp_list": [2],
        },
        "generator_params": {
            "num_root_kp": 3,
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


def small_method(published: dict[str, Any] = SMALL, *, seed: int = 0, **animation: Any) -> Hdam:
    torch.manual_seed(seed)
    method = Hdam(hdam_config({**published, "animation": animation})).eval()
    # Without these a fresh background and fresh jacobians are the same for all images.
    nn.init.normal_(method.kp_detector.jacobian.weight, std=0.01)
    nn.init.normal_(method.bg_predictor.fc.weight, std=0.1)
    return method


def released(path: Path, name: str) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, hdam_config(official(name)))
    return write_released(path, networks, optimizer_generator=OPTIMIZER)


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = hdam_config(official(name))
    networks = on_meta(inference_networks, config)
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    # DAM's detector of 11 anchors with one map of jacobians, 7x7 heads for further anchors, two blocks of attention.
    head = 35 * 49 + 1
    expected = {"generator": 45_575_391, "kp_detector": 14_155_308 + 3 * head + 2 * (36 * 64 + 2 * 64)}
    if name == "taichi256":
        expected["kp_detector"] = 14_254_552
        expected["bg_predictor"] = 6_282_438
    if name == "mgif256":
        expected["kp_detector"] += head
    assert counts == expected
    assert (config.anchors.num_motion, config.anchors.num_intermediate) == (10, 4 if name == "mgif256" else 3)
    assert config.anchors.generator.skips == (name != "mgif256")


def test_files_and_datasets_name_official_configurations():
    assert set(OFFICIAL_FILES.values()) == set(official_names()) == set(DATASETS)
    with pytest.raises(UnknownNameError, match="unknown HDAM configuration 'vox256\\+aligned'"):
        official("vox256+aligned")


def test_a_missing_file_says_which_files_would_do():
    with pytest.raises(WeightsMissingError, match=r"vox-hdam\.pth"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_loads_under_any_name_and_only_as_what_it_is(tmp_path):
    path = released(tmp_path / "00000099-checkpoint.pth.tar", "taichi256")
    method = build(checkpoint=path, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("unknown", (256, 256))
    assert method.conventions["configuration"] == "taichi256"
    assert method.conventions["absolute_background"] == "predicted"
    with pytest.raises(CheckpointError, match=r"they fit 'taichi256'"):
        build(checkpoint=path, configuration="mgif256")
    named = path.rename(tmp_path / "taichi-hdam.pth")
    method = build(checkpoint=named, configuration="taichi256+still-background")
    assert method.trained_on == "taichi-hd"
    assert method.conventions["absolute_background"] == "still"


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(transfer):
    method, driving = small_method(), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    method = small_method(adapt_movement_scale=True)
    encoding = method.encode(frames(1))
    initial = frames(1, seed=3)
    points = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(points.value, encoding.keypoints.value, atol=1e-6)
    # 1e-4: an inverse in float32
    assert torch.allclose(points.jacobian, encoding.keypoints.jacobian, atol=1e-4)


def test_anchors_are_split_into_motion_intermediate_and_root():
    method = small_method()
    everything = method.kp_detector(frames(2)).value
    anchors = method.anchors(frames(2))
    parts = [part.value for part in (anchors.motion, anchors.intermediate, anchors.root)]
    assert [part.shape[1] for part in parts] == [4, 2, 1]
    assert torch.equal(torch.cat(parts, dim=1), everything)
    assert method.encode(frames(1)).keypoints.value.shape == (1, 4, 2)


def test_attention_is_a_distribution_over_the_motion_anchors_that_count():
    method = small_method()
    detection = method.kp_detector.detect(frames(2))
    attention = method.kp_detector.attention(detection.features, split_anchors(detection.keypoints, 3))
    assert attention.shape == (2, 2, 4)
    assert torch.allclose(attention.sum(dim=2), torch.ones(2, 2))
    assert (attention[:, :, 2] == 0).all() and (attention[:, :, [0, 1, 3]] > 0).all()


def test_attention_reads_the_features_at_the_anchors():
    detector = small_method(changed("kp_detector_params", ignore_kp_list=[])).kp_detector
    features = torch.zeros(1, 7, 4, 4)
    features[..., 2] = (
        1.0  # the third column, whose centre is at x = 0.25 where the outer edges are at -1 and 1
    )
    with torch.no_grad():
        for block in (detector.subroot_attention_block, detector.leaf_attention_block):
            nn.init.ones_(block[0].weight)
            nn.init.zeros_(block[0].bias)
    intermediate = Keypoints(torch.tensor([[[0.25, 0.25]]]))
    motion = Keypoints(torch.tensor([[[0.25, 0.25], [0.5, 0.25], [-0.75, 0.25]]]))
    attention = detector.attention(features, Anchors(motion, intermediate, intermediate))
    # 64 channels of 7 x 7, 7 x 3.5 and 0; batch norm in its initial state divides each factor by sqrt(1 + 1e-5)
    logits = 64 * torch.tensor([49.0, 24.5, 0.0]) / (1 + 1e-5)
    assert torch.allclose(attention[0, 0], torch.softmax(logits, dim=0))


@pytest.mark.parametrize("detached", [True, False])
def test_the_gradient_of_the_attention_stops_at_the_features_where_told_so(detached):
    detector = small_method(changed("kp_detector_params", detach_feature=detached)).kp_detector
    features = torch.rand(1, 7, 16, 16, generator=torch.Generator().manual_seed(5)).requires_grad_()
    anchors = split_anchors(Keypoints(frames(1)[:, 0, :7, :2]), 3)
    detector.attention(features, anchors)[0, 0, 0].backward()
    assert (features.grad is None) == detached


@pytest.mark.parametrize(
    ("published", "sentence"),
    [
        ({}, "lacks 'model_params'"),
        (changed("generator_params", num_root_kp=1), "choose method dam"),
        (changed("kp_detector_params", subroot_leaf_attention=False), "choose method dam"),
        (changed("kp_detector_params", attention_channel=32), "attention_channel must be 64"),
        (changed("kp_detector_params", ignore_kp_list=[4]), r"ignore_kp_list \[4\]"),
        (changed("kp_detector_params", ignore_kp_list=[0, 1, 2, 3]), "must leave some of 4 motion anchors"),
    ],
)
def test_wrong_configurations_are_answered_with_a_sentence(published, sentence):
    with pytest.raises(BenchbedError, match=sentence):
        hdam_config(published)


def test_losses_of_the_hierarchy_are_zero_where_all_anchors_move_as_one():
    points = frames(2)[:, 0, :7, :2]
    turned = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    driving = split_anchors(Keypoints(points, torch.eye(2).expand(2, 7, 2, 2)), 3)
    source = split_anchors(Keypoints(points @ turned.T + 0.1, turned.expand(2, 7, 2, 2)), 3)
    attention = torch.full((2, 2, 4), 0.25)
    assert root_loss(source, driving).item() == pytest.approx(0, abs=1e-6)
    assert intermediate_loss(source, driving, attention).item() == pytest.approx(0, abs=1e-6)
    apart = Anchors(
        Keypoints(source.motion.value + torch.tensor([3.0, 4.0])), source.intermediate, source.root
    )
    # Every pair is 5 apart, and two intermediate anchors have an attention of 1 each to give.
    assert intermediate_loss(apart, driving, attention).item() == pytest.approx(10, abs=1e-4)


def test_losses_of_the_attention_leave_out_ignored_motion_anchors():
    attention = torch.tensor([[[0.5, 0.0, 0.5], [0.1, 0.0, 0.9]]])
    assert orthogonality_loss(attention).item() == pytest.approx(-0.4)
    assert completeness_loss(attention, 0.8).item() == pytest.approx(0.1)
    assert orthogonality_loss(attention[:, :1]).item() == 0


def test_the_terms_of_the_hierarchy_are_weighted_and_reach_the_attention():
    torch.manual_seed(0)
    weights = {
        "root_weight": 1.0,
        "intermediate_weight": 10.0,
        "orthogonality_weight": 5.0,
        "completeness_weight": 20.0,
    }
    preset = replace(
        presets()["tiny"](), published={**SMALL, "align_corners": True}, threshold=2.0, **weights
    )
    pairs = HdamPairs(preset)
    made = pairs.reconstruct(frames(2), frames(2, seed=1))
    terms = pairs.hierarchy_losses(made)
    source, driving = pairs.anchors(made.of_source), pairs.anchors(made.of_driving)
    pairs.networks.train()
    attention = pairs.detector.attention(made.of_driving.features, driving)
    expected = {
        "root": root_loss(source, driving),
        "intermediate": intermediate_loss(source, driving, attention),
        "orthogonality": orthogonality_loss(attention),
        "completeness": completeness_loss(attention, 2.0),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(weights[f"{name}_weight"] * value.item(), rel=1e-4)
    sum(terms.values()).backward()
    blocks = (pairs.detector.subroot_attention_block, pairs.detector.leaf_attention_block)
    assert all(block[0].weight.grad.abs().sum() > 0 for block in blocks)
    # The generator is moved by the motion anchors alone: none of these terms reaches it.
    assert all(p.grad is None for p in pairs.generator.parameters())
