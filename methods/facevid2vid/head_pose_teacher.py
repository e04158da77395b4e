"""The frozen network of faces that tells the head-pose estimator in training what angles it should see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from benchbed.errors import CheckpointError
from benchbed.weights import find_weights, fit_report, load_tensors

from ..blocks.grids import resize
from ..blocks.vision_transformer import IMAGENET_MEAN, IMAGENET_STD

WEIGHTS = "hopenet"
BINS, SIDE, WIDTH = 66, 224, 2048
ANGLES = ("yaw", "pitch", "roll")
COUNTER = "num_batches_tracked"  # files of its time have none


class HeadAngles(NamedTuple):
    """Logits of bins of 3 degrees, `(B, 66)` each, as those of `pose.HeadPose`."""

    yaw: Tensor
    pitch: Tensor
    roll: Tensor


class HeadPoseTeacher(nn.Module):
    """Hopenet: ResNet-50 with a head per angle. Never trained; stays in eval mode.

    Source: Fine-Grained Head Pose Estimation Without Keypoints (Ruiz et al., 2018); computed by torchvision's ResNet.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.trunk = resnet50()
        self.trunk.fc = nn.Sequential()  # no classes
        self.heads = nn.ModuleDict({angle: nn.Linear(WIDTH, BINS) for angle in ANGLES})
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> HeadPoseTeacher:
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, frames: Tensor) -> HeadAngles:
        """Angles of the heads in frames `(B, 3, H, W)` in [0, 1]."""
        features = self.trunk((resize(frames, (SIDE, SIDE)) - self.mean) / self.std)
        return HeadAngles(*(self.heads[angle](features) for angle in ANGLES))


def load_teacher(tensors: Mapping[str, Tensor]) -> HeadPoseTeacher:
    """The network with tensors of the published file: the trunk's as torchvision names them, heads `fc_<angle>`.

    Raises:
        CheckpointError: a tensor is missing or of another shape.
    """
    teacher = HeadPoseTeacher()
    state = {_published(name): value for name, value in teacher.state_dict().items() if COUNTER not in name}
    expected = {name: tuple(value.shape) for name, value in state.items()}
    given = {name: tuple(tensors[name].shape) for name in expected if name in tensors}
    if complaint := fit_report(expected, given, name=WEIGHTS):
        raise CheckpointError(complaint)
    for name, value in state.items():
        value.copy_(tensors[name])
    return teacher


def stored_teacher() -> HeadPoseTeacher:
    """The network with its weights from the weights store.

    Raises:
        WeightsMissingError: they are not on this machine; says which command brings them.
        CheckpointError: they do not fit.
    """
    return load_teacher(load_tensors(find_weights(WEIGHTS)).tensors)


def _published(name: str) -> str:
    part, _, rest = name.partition(".")
    return rest if part == "trunk" else f"fc_{rest}"
