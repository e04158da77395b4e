"""Stand-in weights: random tensors under the names and in the file layouts of the published files.

They make every evaluator run, and mean nothing. `register` puts them into the weights store the way a user would
register a file that is not the published one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchbed.weights import add, weights_entry

Shapes = Mapping[str, Tensor]


def _alexnet() -> Shapes:
    from torchvision.models import alexnet

    return {f"features.{name}": tensor for name, tensor in alexnet().features.state_dict().items()}


def _squeezenet() -> Shapes:
    from torchvision.models import squeezenet1_1

    return {f"features.{name}": tensor for name, tensor in squeezenet1_1().features.state_dict().items()}


def _inception() -> Shapes:
    from benchbed.metrics.evaluators.inception import _network

    return _network().state_dict()


def _fan() -> Shapes:
    from benchbed.metrics.evaluators.fan import FaceAlignmentNetwork

    return FaceAlignmentNetwork().state_dict()


def _s3fd() -> Shapes:
    from benchbed.metrics.evaluators.s3fd import FaceDetectionNetwork

    return FaceDetectionNetwork().state_dict()


def _facenet() -> Shapes:
    from facenet_pytorch import InceptionResnetV1

    return InceptionResnetV1(pretrained=None).state_dict()


def _openface() -> Shapes:
    from benchbed.metrics.evaluators.openface_network import OpenfaceNetwork

    return OpenfaceNetwork().state_dict()


def _keypoint_rcnn() -> Shapes:
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    return keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()


def _osnet() -> Shapes:
    from benchbed.metrics.evaluators.osnet import OSNet

    return OSNet().state_dict()


def _reid() -> Shapes:
    from benchbed.metrics.evaluators.reid_resnet50 import ReidResNet50

    return ReidResNet50().state_dict()


def _resnext() -> Shapes:
    from benchbed.metrics.evaluators.resnext3d import ResNeXt3D

    return {f"module.{name}": tensor for name, tensor in ResNeXt3D().state_dict().items()}


NETWORKS: dict[str, Callable[[], Shapes]] = {
    "lpips-alex": _alexnet,
    "lpips-squeeze": _squeezenet,
    "inception-fid": _inception,
    "face-landmarks": _fan,
    "face-detector": _s3fd,
    "face-identity": _facenet,
    "openface": _openface,
    "body-joints": _keypoint_rcnn,
    "person-identity": _osnet,
    "reid-resnet50": _reid,
    "resnext101-3d": _resnext,
}


def stand_in(name: str) -> dict[str, Tensor]:
    """Random tensors of moderate size for a catalogue entry; detectors find something nearly everywhere."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        described = {key: (tensor.shape, tensor.dtype) for key, tensor in NETWORKS[name]().items()}
    tensors = {key: _random(key, shape, dtype, generator) for key, (shape, dtype) in described.items()}
    for key, tensor in tensors.items():
        if key.endswith("_conf.bias"):  # the face detector's scores
            tensor[-1] += 1.0
    if name == "body-joints":
        tensors["roi_heads.box_predictor.cls_score.bias"] = torch.tensor([0.0, 5.0])
        # boxes stay where they are proposed; moved at random they would leave the frame
        tensors["rpn.head.bbox_pred.weight"].zero_()
        tensors["roi_heads.box_predictor.bbox_pred.weight"].zero_()
        tensors["roi_heads.keypoint_predictor.kps_score_lowres.bias"].fill_(1.0)
    return tensors


def _random(name: str, shape: torch.Size, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    if name.endswith("running_var"):
        return 0.5 + torch.rand(shape, generator=generator)
    if name.endswith(("bias", "running_mean")):
        return 0.05 * noise
    if len(shape) <= 1:
        # the last norm of a residual branch is small, so that sums of many blocks do not grow
        return (0.2 if name.endswith(("bn3.weight", "bn2.weight")) else 1.0) * (1 + 0.1 * noise)
    return 0.8 * math.sqrt(2 / math.prod(shape[1:])) * noise


def register(names: Iterable[str], folder: Path) -> None:
    """Write stand-ins to `folder` and add them to the weights store as unverified."""
    for name in names:
        path = folder / weights_entry(name).file
        tensors = stand_in(name)
        torch.save(
            {"arch": "resnext-101", "state_dict": tensors} if name == "resnext101-3d" else tensors, path
        )
        add(path, name, unverified=True)
