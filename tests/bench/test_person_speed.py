"""Body evaluators beside the library's path of one frame at a time, for `nox -s bench`: ratios, no verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchbed.frames import to_uint8
from benchbed.metrics.evaluators import keypoint_rcnn
from benchbed.metrics.evaluators.keypoint_rcnn import BodyJointsEvaluator, load_keypoint_rcnn
from benchbed.metrics.evaluators.osnet import OSNet, load_osnet
from benchbed.metrics.evaluators.person_identity import (
    DEVIATION,
    MEAN,
    OSNET_INPUT,
    PersonIdentityEvaluator,
    quickened,
)
from benchbed.metrics.evaluators.reid_resnet50 import ReidResNet50, load_reid_resnet50, reid_evaluator

ROUNDS = 3


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.rand(16, 3, 256, 256, generator=torch.Generator().manual_seed(0))


def transform(height: int, width: int, kernel: str, divisions: int) -> Callable[[Tensor], Tensor]:
    """torchvision's path from one frame `[3, H, W]` to a network's input, through PIL."""
    from torchvision import transforms

    mode = transforms.InterpolationMode(kernel)
    steps = [
        transforms.ToPILImage(),
        transforms.Resize((height, width), interpolation=mode),
        transforms.ToTensor(),
        *[lambda image: image / 255] * (divisions - 1),
        transforms.Normalize(MEAN, DEVIATION),
    ]
    return transforms.Compose(steps)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(
    benchmark, record_property, name: str, ours, library, frames: Tensor, *, rounds: int = ROUNDS
) -> None:
    """Time both, one after the other and warmed up, and print the ratio of the best times."""
    device = frames.device.type
    with torch.inference_mode():
        ours(frames[:1])
        library(frames[0])
        best = min(seconds(lambda: [library(frame) for frame in frames]) for _ in range(rounds))
        benchmark.pedantic(lambda: ours(frames), rounds=rounds)
    ratio = best / benchmark.stats.stats.min
    benchmark.extra_info["ratio to the library's single frames"] = ratio
    record_property("ratio", ratio)
    print(
        f"\n{name} on {device}, {torch.get_num_threads()} threads: {ratio:.2f}x the library's single frames"
    )


def test_osnet_of_16_frames(benchmark, record_property, frames):
    torchreid = pytest.importorskip("torchreid", reason="torchreid is a development dependency")
    tensors = OSNet().state_dict()
    network = torchreid.models.build_model("osnet_x1_0", num_classes=1, pretrained=False).eval()
    network.load_state_dict(tensors, strict=False)
    prepare = transform(256, 128, "bilinear", 1)
    ours = PersonIdentityEvaluator(quickened(load_osnet(tensors)), OSNET_INPUT, "seeded")

    def library(frame: Tensor) -> Tensor:
        return network(prepare(to_uint8(frame[None])[0])[None])

    compare(benchmark, record_property, "OSNet", ours, library, frames)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_resnet50_of_16_frames(benchmark, record_property, frames, mode):
    network = ReidResNet50()
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train(mode == "train")
    prepare = transform(288, 144, "bicubic", 2 if mode == "train" else 1)
    ours = reid_evaluator(load_reid_resnet50(tensors, mode=mode), mode, "seeded")

    def library(frame: Tensor) -> Tensor:
        return network(prepare(to_uint8(frame[None])[0])[None])

    compare(benchmark, record_property, f"ResNet-50 ({mode})", ours, library, frames)


def test_keypoint_rcnn_of_2_frames(benchmark, record_property, frames):
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    network = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
        # Random weights see people in every box; a real frame has about one.
        network.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([0.0, 2.0]))
        network.roi_heads.detections_per_img = 1
    ours = BodyJointsEvaluator(
        load_keypoint_rcnn(dict(network.state_dict()), min_size=keypoint_rcnn.MIN_SIZE),
        score_threshold=0.5,
        joint_threshold=2.0,
        fingerprint="seeded",
    )
    compare(
        benchmark,
        record_property,
        "Keypoint R-CNN",
        ours,
        lambda frame: network([frame]),
        frames[:2],
        rounds=2,
    )
