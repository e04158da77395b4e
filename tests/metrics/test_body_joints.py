"""Body joints: Keypoint R-CNN batched equals torchvision's single images; the first person, or nobody."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from benchbed.datasets.video_io import read_video
from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.frames import to_float
from benchbed.golden import golden_numbers, same_numbers
from benchbed.metrics.evaluators import keypoint_rcnn
from benchbed.metrics.evaluators.keypoint_rcnn import BodyJointsEvaluator, load_keypoint_rcnn
from benchbed.registry import card

SMALL = 128
"""Shorter side in the tests: the full 800 pixels take seconds a frame."""

SEVERAL = 3
"""People the library is asked for; it spends most of its time on those after the first."""


@pytest.fixture(scope="module")
def library():
    """torchvision's own network with random weights that see people, of certain and uncertain joints, everywhere."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    # the library draws its weights from the global generator
    with torch.random.fork_rng():
        torch.manual_seed(6)
        network = keypointrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, min_size=SMALL, box_detections_per_img=SEVERAL
        )
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                # as the library overwrites it for the released file
                module.eps = 0.0
                module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
                if name.endswith("bn3"):  # keeps sixteen residual sums from growing
                    module.weight.fill_(0.2)
        predictor = network.roi_heads.box_predictor
        predictor.cls_score.bias.copy_(torch.tensor([0.0, 2.0]))
        predictor.cls_score.weight.mul_(10)
        network.roi_heads.keypoint_predictor.kps_score_lowres.weight.mul_(10)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tensors(library):
    return dict(library.state_dict())


@pytest.fixture(scope="module")
def frames(shared):
    video = read_video(shared / "data" / "clips" / "taichi" / "lia_driving1.mp4").frames
    return to_float(torch.from_numpy(video[[0, len(video) // 2]]).permute(0, 3, 1, 2))


def evaluator(tensors, **options) -> BodyJointsEvaluator:
    settings = {"score_threshold": 0.5, "joint_threshold": 0.0} | options
    return BodyJointsEvaluator(load_keypoint_rcnn(tensors, min_size=SMALL), fingerprint="seeded", **settings)


def test_a_batch_equals_the_librarys_single_images(library, tensors, frames, monkeypatch):
    monkeypatch.setitem(keypoint_rcnn.BATCH, "cpu", 2)
    ours = evaluator(tensors)(frames)
    with torch.no_grad():
        expected = [library([frame])[0] for frame in frames]
    for index, people in enumerate(expected):
        assert len(people["scores"]) > 1 and people["scores"][0] >= 0.5  # the first of several people
        torch.testing.assert_close(ours.positions[index], people["keypoints"][0, :, :2], atol=1e-4, rtol=1e-5)
        assert torch.equal(ours.found[index], people["keypoints_scores"][0] > 0)


def test_the_batch_changes_nothing(tensors, frames, monkeypatch):
    small = evaluator(tensors)
    singly = small(frames)
    monkeypatch.setitem(keypoint_rcnn.BATCH, "cpu", 2)
    together = small(frames)
    torch.testing.assert_close(together.positions, singly.positions, atol=1e-4, rtol=1e-5)
    assert torch.equal(together.found, singly.found)


def test_a_person_counts_from_the_threshold_on_and_a_joint_above_its_own(tensors, frames):
    assert not evaluator(tensors, score_threshold=1.0)(frames[:1]).found.any()
    assert not evaluator(tensors, joint_threshold=1e6)(frames[:1]).found.any()
    assert evaluator(tensors, score_threshold=0.0, joint_threshold=-1e6)(frames[:1]).found.all()


@pytest.mark.parametrize("size", [(1, 1), (9, 50)])
def test_frames_of_any_size_have_seventeen_joints(size, tensors):
    frame = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(8))
    joints = evaluator(tensors)(frame)
    assert joints.positions.shape == (1, 17, 2) and joints.positions.isfinite().all()
    assert joints.found.shape == (1, 17)


def test_a_change_in_any_head_fails_the_golden_test(tensors):
    joints = evaluator(tensors)
    recorded = golden_numbers(joints)
    assert same_numbers(recorded, golden_numbers(joints))
    for name in (
        "backbone.body.layer4.2.conv3.bias",
        "backbone.fpn.layer_blocks.3.0.bias",
        "rpn.head.bbox_pred.bias",
        "roi_heads.box_head.fc7.weight",
        "roi_heads.box_predictor.bbox_pred.bias",
        "roi_heads.keypoint_head.14.weight",
        "roi_heads.keypoint_predictor.kps_score_lowres.bias",
    ):
        parameter = joints.network.get_parameter(name)
        kept = parameter.detach().clone()
        parameter.add_(0.5)
        assert not same_numbers(recorded, golden_numbers(joints)), name
        parameter.copy_(kept)


def _old_name(name: str) -> str:
    name = re.sub(r"^(backbone\.fpn\.\w+_blocks\.\d)\.0\.", r"\1.", name)
    return name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")


def test_the_released_files_older_names_are_read(tensors):
    old = {
        _old_name(name): tensor
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    assert "backbone.fpn.inner_blocks.0.weight" in old and "rpn.head.conv.weight" in old
    new, again = load_keypoint_rcnn(tensors).state_dict(), load_keypoint_rcnn(old).state_dict()
    assert new.keys() == again.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in new.items())


def test_files_of_another_network_are_refused(tensors):
    partly = {name: tensor for name, tensor in tensors.items() if not name.startswith("roi_heads.keypoint")}
    with pytest.raises(CheckpointError, match="do not fit Keypoint R-CNN: 18 missing"):
        load_keypoint_rcnn(partly)
    with pytest.raises(CheckpointError, match="misshapen"):
        load_keypoint_rcnn({**tensors, "roi_heads.box_predictor.cls_score.bias": torch.zeros(91)})


def test_without_its_file_the_evaluator_says_which_command_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with pytest.raises(WeightsMissingError, match="weights missing: benchbed weights pull body-joints"):
        keypoint_rcnn.build(device=torch.device("cpu"), **card("evaluator", "body-joints").data["params"])
