"""Body joints by the 18-point OpenPose network: maps averaged over scales and mirror images, then decoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from .openpose import FIELDS, STRIDE, Maps, PoseNetwork, load_network
from .pose_decoding import JOINTS, LIMBS, DecodingRule, decode

NAME = "body-pose"
# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
BOX_HEIGHT = 368
"""Height in pixels of the frame at scale 1."""
PAD_GREY = 128 / 255
# Frames whose full-size maps (57 x H x W numbers each) are held at once.
FRAMES = 8
IMAGES = {"cpu": 1, "cuda": 16}
"""Images of 368 x 368 pixels in one pass of the network, more of smaller ones. One CPU core needs the same time per
image for 1 to 8 at once (within 4 %); the number for GPUs is not measured."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def rtpose_input(images: Tensor) -> Tensor:
    """Input of the original model: BGR, 0..255, x / 256 - 0.5."""
    return images.flip(1) * (255 / 256) - 0.5


def vgg_input(images: Tensor) -> Tensor:
    """Input of ports that start from ImageNet's VGG: RGB in [0, 1] less mean, by deviation."""
    mean = images.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
    return (images - mean) / images.new_tensor(IMAGENET_DEVIATION).view(3, 1, 1)


INPUTS: dict[str, Callable[[Tensor], Tensor]] = {"rtpose": rtpose_input, "vgg": vgg_input}


class BodyPoseEvaluator(nn.Module):
    """Frames to 18 body joints.

    Args:
        network: images `[N, 3, H, W]` to fields and heat maps at an eighth of their size.
        scales: of the search; at 1 the frame is 368 pixels high.
        preprocessing: `rtpose` or `vgg`.
        rule: thresholds of the decoding.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.

    Source: Cao et al. 2017, section 3 (search over scales); mirror image and padding as in the
    evaluation scripts of the field.
    """

    def __init__(
        self,
        network: PoseNetwork,
        scales: Sequence[float],
        preprocessing: str,
        rule: DecodingRule,
        fingerprint: str,
    ) -> None:
        super().__init__()
        self.network = network
        self.scales = tuple(scales)
        self.prepare = INPUTS[preprocessing]
        self.rule = rule
        self.fingerprint = fingerprint
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> KeypointFeatures:
        """Joints `[N, 18, 2]` of frames `[N, 3, H, W]`, RGB in [0, 1]: whole pixels, (-1, -1) where missing."""
        decoded = [decode(*self.averaged_maps(part), self.rule) for part in frames.split(FRAMES)]
        positions, found = (torch.cat(parts).to(frames.device) for parts in zip(*decoded, strict=True))
        return KeypointFeatures(positions, found)

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """All stages of the network on the frames themselves, `[N * 1368]`."""
        return self.network.probe(self.prepare(frames))

    @torch.no_grad()
    def averaged_maps(self, frames: Tensor) -> Maps:
        """Fields `[N, 38, H, W]` and heat maps of the joints `[N, 18, H, W]`, averaged over scales and mirror images."""
        height, width = frames.shape[-2:]
        total = frames.new_zeros(len(frames), FIELDS + len(JOINTS), height, width)
        for scale in self.scales:
            maps, (rows, columns) = self._maps_at(scale, torch.cat([frames, frames.flip(-1)]))
            straight, mirrored = maps.chunk(2)
            # Both are added to each other first, so that a mirrored frame gives the same sum.
            both = rows @ straight @ columns.T
            both += rows @ swap_sides(mirrored) @ columns.flip(0).T
            total += both
        total /= 2 * len(self.scales)
        return total[:, :FIELDS], total[:, FIELDS:]

    def _maps_at(self, scale: float, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The network's maps `[N, 56, h, w]` at one scale, and the matrices that bring rows and columns to frame size."""
        sizes = [max(1, round(side * scale * BOX_HEIGHT / images.shape[-2])) for side in images.shape[-2:]]
        padded = [size + -size % STRIDE for size in sizes]
        per_pass = max(1, IMAGES.get(images.device.type, 1) * BOX_HEIGHT**2 // (padded[0] * padded[1]))
        parts = []
        for part in images.split(per_pass):
            fields, heat_maps = self.network(self.prepare(resize_and_pad(part, sizes, padded)))
            parts.append(torch.cat([fields, heat_maps[:, : len(JOINTS)]], dim=1))
        rows, columns = (
            enlarging_matrix(total // STRIDE, size, side).to(images)
            for total, size, side in zip(padded, sizes, images.shape[-2:], strict=True)
        )
        return torch.cat(parts), (rows, columns)


def build(
    *,
    device: torch.device,
    scales: Sequence[float],
    preprocessing: str,
    peak: float,
    sample: float,
    limb_length: float,
    supported: float,
    fewest_joints: int,
    person_score: float,
) -> BodyPoseEvaluator:
    """The evaluator with the weights of the store.

    Args:
        device: where the network is to run.
        scales: see `BodyPoseEvaluator`.
        preprocessing: `rtpose` or `vgg`.
        peak, sample, limb_length, supported, fewest_joints, person_score: see `DecodingRule`.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network.
        BenchbedError: no scale, a scale that is not positive, or an unknown preprocessing.
    """
    if preprocessing not in INPUTS:
        raise BenchbedError(f"unknown preprocessing '{preprocessing}' of {NAME}; known: {', '.join(INPUTS)}")
    if not scales or min(scales) <= 0:
        raise BenchbedError(f"unusable scales {list(scales)} of {NAME}; give one or more positive numbers")
    rule = DecodingRule(
        peak=peak,
        sample=sample,
        limb_length=limb_length,
        supported=supported,
        fewest_joints=fewest_joints,
        person_score=person_score,
    )
    path = find_weights(NAME)
    network = load_network(load_tensors(path).tensors)
    options = json.dumps([preprocessing, [float(scale) for scale in scales], asdict(rule)])
    digest = hashlib.sha256(f"{sha256_of(path)}{options}".encode()).hexdigest()
    evaluator = BodyPoseEvaluator(network, scales, preprocessing, rule, f"{NAME}:{digest}:{PREPROCESSING}")
    return evaluator.to(device)


def resize_and_pad(images: Tensor, sizes: Sequence[int], padded: Sequence[int]) -> Tensor:
    """Images `[N, 3, H, W]` in [0, 1] resized to `sizes`, then padded right and below with grey to `padded`."""
    resized = functional.interpolate(images, size=tuple(sizes), mode="bicubic", align_corners=False)
    # Cubic interpolation overshoots; 8-bit images saturate.
    resized = resized.clamp(0, 1)
    margins = (0, padded[1] - sizes[1], 0, padded[0] - sizes[0])
    return functional.pad(resized, margins, value=PAD_GREY)


def enlarging_matrix(cells: int, size: int, side: int) -> Tensor:
    """`[side, cells]`: times a column of map cells gives it at frame size.

    The published way enlarges the maps eightfold, cuts the padding off and resizes to the frame, all bicubic.
    Both steps are linear and separable, so one small matrix per axis gives the same numbers without the
    large maps in between.

    Args:
        cells: of the map along this axis.
        size: of the resized frame, without padding.
        side: of the frame.
    """
    columns = torch.eye(cells)[None, None]
    enlarged = functional.interpolate(
        columns, size=(cells * STRIDE, cells), mode="bicubic", align_corners=False
    )
    resized = functional.interpolate(
        enlarged[:, :, :size], size=(side, cells), mode="bicubic", align_corners=False
    )
    return resized[0, 0]


def swap_sides(maps: Tensor) -> Tensor:
    """Maps `[N, 56, H, W]` of a mirror image, not flipped yet: left and right change names, x components their sign."""
    channels, signs = _SIDES
    return maps[:, channels] * maps.new_tensor(signs).view(-1, 1, 1)


def _side_table() -> tuple[list[int], list[float]]:
    """For each of the 56 channels the channel of the mirrored part and its sign."""
    other = {"left": "right", "right": "left"}
    names = [" ".join(other.get(word, word) for word in joint.split()) for joint in JOINTS]
    joints = [JOINTS.index(name) for name in names]
    by_ends = {(first, second): channel for first, second, channel in LIMBS}
    channels = list(range(FIELDS)) + [FIELDS + joint for joint in joints]
    signs = [1.0] * len(channels)
    for (first, second), channel in by_ends.items():
        mirrored = by_ends[joints[first], joints[second]]
        channels[channel : channel + 2] = mirrored, mirrored + 1
        signs[channel] = -1.0
    return channels, signs


_SIDES = _side_table()
