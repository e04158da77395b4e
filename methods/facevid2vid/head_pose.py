"""Face-vid2vid's estimator of head pose and expression: a residual network over the whole frame."""

from __future__ import annotations

import torch.nn.functional as functional
from torch import Tensor, nn

from .config import HeadPoseConfig
from .pose import HeadPose

# (name of the strided block or None, name of the group, prefix in it) of every stage; published names.
_STAGES: tuple[tuple[str | None, str, str], ...] = (
    (None, "block1", "b1"),
    ("block2", "block3", "b3"),
    ("block4", "block5", "b5"),
    ("block6", "block7", "b7"),
)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution over a quarter of the channels, plus the input; `(B, C, H, W)`.

    With a stride the 3x3 convolution and a convolution of the input both take it.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = channels // 4
        # Declared in the order of the published state dict, not in the order of use.
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(inner, channels, 1)
        self.norm1 = nn.BatchNorm2d(inner)
        self.norm2 = nn.BatchNorm2d(inner)
        self.norm3 = nn.BatchNorm2d(channels)
        self.strided = stride != 1
        if self.strided:
            self.skip = nn.Conv2d(channels, channels, 1, stride=stride)
            self.norm4 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(features)))
        inner = functional.relu(self.norm2(self.conv2(inner)))
        shortcut = self.norm4(self.skip(features)) if self.strided else features
        return functional.relu(self.norm3(self.conv3(inner)) + shortcut)


class HeadPoseEstimator(nn.Module):
    """Image `(B, C, H, W)` in [0, 1], at full resolution -> head pose and expression.

    Source: face-vid2vid, section 3.1; names, widths and the interchange below are the unofficial
    implementation's.
    """

    def __init__(self, config: HeadPoseConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(config.image_channel, config.block_expansion, 7, stride=2, padding=3)
        self.norm1 = nn.BatchNorm2d(config.block_expansion)
        before = config.block_expansion
        stages = zip(_STAGES, config.widths, config.blocks, strict=True)
        for index, ((strided, group, prefix), width, count) in enumerate(stages, start=2):
            self.add_module(f"conv{index}", nn.Conv2d(before, width, 1))
            self.add_module(f"norm{index}", nn.BatchNorm2d(width))
            if strided is not None:
                self.add_module(strided, Bottleneck(width, stride=2))
            blocks = nn.Sequential()
            for position in range(count):
                blocks.add_module(f"{prefix}_{position}", Bottleneck(width))
            self.add_module(group, blocks)
            before = width
        self.fc_roll = nn.Linear(before, config.num_bins)
        self.fc_pitch = nn.Linear(before, config.num_bins)
        self.fc_yaw = nn.Linear(before, config.num_bins)
        self.fc_t = nn.Linear(before, 3)
        self.fc_exp = nn.Linear(before, 3 * config.num_kp)

    def forward(self, image: Tensor) -> HeadPose:
        features = functional.relu(self.norm1(self.conv1(image)))
        features = functional.max_pool2d(features, 3, stride=2, padding=1)
        for index, (strided, group, _) in enumerate(_STAGES, start=2):
            features = self.get_submodule(f"conv{index}")(features)
            features = functional.relu(self.get_submodule(f"norm{index}")(features))
            if strided is not None:
                features = self.get_submodule(strided)(features)
            features = self.get_submodule(group)(features)
        pooled = features.mean(dim=(2, 3))
        # Yaw comes from fc_roll and roll from fc_yaw: the published weights were trained that way.
        # float32 from here on, so that reduced precision ends with the network.
        return HeadPose(
            yaw=self.fc_roll(pooled).float(),
            pitch=self.fc_pitch(pooled).float(),
            roll=self.fc_yaw(pooled).float(),
            translation=self.fc_t(pooled).float(),
            expression=self.fc_exp(pooled).float().unflatten(1, (-1, 3)),
        )
