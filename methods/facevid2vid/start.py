"""A start from which minutes of training suffice: a painter that copies its source, a motion that stands still."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.convolution import ResidualBlock
from ..training.copying import GAIN, start_still
from .canonical_keypoints import CanonicalKeypointDetector
from .dense_motion import DenseMotionNetwork
from .generator import PlainGenerator
from .head_pose import HeadPoseEstimator
from .losses import MEAN_DEPTH

COLOURS = 3
POSE_SHARE = 0.05
# A Gaussian of the heat maps over the few pixels of a small motion has a sum near 7; normalised heat maps peak near 16.
REGION_WEIGHT = 0.08
BLUR = 1.5  # pixels of the motion
MASK_SHARE = 0.1
SPREAD = 0.7
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@torch.no_grad()
def start_as_copier(generator: PlainGenerator) -> None:
    """Set initial weights with which the generator returns its source, warped.

    The architecture is untouched: the first convolution copies colours and their negatives, every depth of the volume
    holds the same copies, their mean over depth goes through the blocks after the warp, the last convolution
    reads them. Residual branches start at zero.

    Raises:
        BenchbedError: the generator has down-sampling blocks, through which nothing can be copied exactly.
    """
    if len(generator.down_blocks):
        raise BenchbedError(
            "a generator with down-sampling blocks cannot start as a copier; set num_down_blocks to 0"
        )
    depth = generator.depth
    for sign, colour, channel in _copies():
        _connect(generator.first.conv, channel, {colour: sign})
        for level in range(depth):
            _connect(generator.second, channel * depth + level, {channel: 1.0})
        # A colour and its negative carry one value through the rectifiers: relu(x) - relu(-x) = x.
        volume = {
            level + depth * other: sign * own / depth
            for own, same, other in _copies()
            if same == colour
            for level in range(depth)
        }
        _connect(generator.third.conv, channel, volume)
        _connect(generator.fourth, channel, {channel: 1.0})
    for colour in range(COLOURS):
        reads = {channel: GAIN * sign for sign, same, channel in _copies() if same == colour}
        _connect(generator.final, colour, reads)
    for blocks in (generator.resblocks_3d, generator.resblocks_2d):
        for block in cast(Iterable[ResidualBlock], blocks):
            last = cast(nn.Conv3d | nn.Conv2d, block.conv2)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast(Tensor, last.bias))


@torch.no_grad()
def start_around_keypoints(motion: DenseMotionNetwork) -> None:
    """Let every motion begin where its driving key point is, and the background, visible, elsewhere.

    Heat maps of key points pass the hourglass by its skip; its last convolution copies them, and masks read them
    blurred, at all depths.
    """
    copy, mask = motion.hourglass.decoder.conv, motion.mask
    motions, side = mask.out_channels, mask.kernel_size[1]
    inputs = motion.compress.out_channels + 1  # per motion, its heat map first
    skip = motion.hourglass.out_channels - motions * inputs
    offsets = torch.arange(side) - side // 2
    blur = torch.exp(-0.5 * (offsets / BLUR).square())
    mask.weight.mul_(MASK_SHARE)
    for index in range(1, motions):
        channel = skip + index * inputs
        copy.weight[channel] = 0
        copy.weight[channel, channel, 1, 1, 1] = 1
        mask.weight[index, channel] = REGION_WEIGHT * torch.outer(blur, blur)
    start_still(mask, [motion.occlusion])


@torch.no_grad()
def start_spread(detector: CanonicalKeypointDetector, estimator: HeadPoseEstimator) -> None:
    """Let poses begin small and key points spread over the image, none far outside it.

    Canonical key points begin close to the centre; the expression's constant part lays them out on a spiral, whose points
    are equally dense throughout.
    """
    detector.kp.weight.mul_(POSE_SHARE)
    for head in (estimator.fc_roll, estimator.fc_pitch, estimator.fc_yaw, estimator.fc_t, estimator.fc_exp):
        head.weight.mul_(POSE_SHARE)
        nn.init.zeros_(head.bias)
    points = estimator.fc_exp.bias.view(-1, 3)
    index = torch.arange(len(points)) + 0.5
    radius, angle = SPREAD * (index / len(points)).sqrt(), index * GOLDEN_ANGLE
    points[:, 0], points[:, 1] = radius * angle.cos(), radius * angle.sin()
    points[:, 2] = MEAN_DEPTH


def _copies() -> list[tuple[float, int, int]]:
    """Sign, colour and channel of every copy."""
    return [
        (sign, colour, COLOURS * half + colour)
        for half, sign in enumerate((1.0, -1.0))
        for colour in range(COLOURS)
    ]


def _connect(convolution: nn.Module, channel: int, reads: Mapping[int, float]) -> None:
    """Let a channel be a weighted sum of those it reads, at its own position."""
    convolution = cast(nn.Conv2d, convolution)
    centre = convolution.kernel_size[0] // 2
    convolution.weight[channel] = 0
    cast(Tensor, convolution.bias)[channel] = 0
    for read, weight in reads.items():
        convolution.weight[channel, read, centre, centre] = weight
