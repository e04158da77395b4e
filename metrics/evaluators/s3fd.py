"""S3FD: the face detector of Zhang et al., from its published tensors, batched over frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .released import fill

# Frames per pass, chosen by measurement (tests/bench/test_landmark_speed.py): on one core single frames are
# fastest, four at once take 2 to 13 % longer. For a GPU it is a guess by memory, not measured.
BATCH = {"cpu": 1, "cuda": 32}
# Mean of ImageNet in BGR, which the network's trunk was trained with.
MEAN_BGR = (104.0, 117.0, 123.0)
STRIDES = (4, 8, 16, 32, 64, 128)
ANCHOR_STRIDES = 4
VARIANCES = (0.1, 0.2)
NMS_OVERLAP = 0.3
LEAST_SCORE = 0.5
# Coordinates beyond this are overflows of the exponential, no faces.
LARGEST_COORDINATE = 2.0**20
# Five poolings must leave a pixel; a face in less is smaller than the smallest anchor anyway.
LEAST_SIDE = 32
# Widths of the VGG-16 trunk; a max pooling follows every group.
TRUNK = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@dataclass(frozen=True)
class ScaleOutput:
    """What the network says at one stride.

    Args:
        confidence: logits `[N, 2, h, w]` of background and face; at the finest stride `[N, 4, h, w]`, three
            kinds of background and the face.
        location: `[N, 4, h, w]`, offsets of centre and log size from the anchor, in units of its size.
    """

    confidence: Tensor
    location: Tensor


class ChannelNorm(nn.Module):
    """Unit length over channels, then a learned scale per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))

    def forward(self, features: Tensor) -> Tensor:
        # The eps stands beside the root, as published.
        length = features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return features / length * self.weight.view(1, -1, 1, 1)


class FaceDetectionNetwork(nn.Module):
    """VGG-16, two convolutions in place of its classifier, two coarser levels, and heads at six strides.

    Modules carry the names of the published file.

    Source: Zhang et al. 2017 (S3FD), section 3 and figure 2.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for group, widths in enumerate(TRUNK, start=1):
            for position, width in enumerate(widths, start=1):
                self.add_module(f"conv{group}_{position}", nn.Conv2d(channels, width, 3, padding=1))
                channels = width
        self.fc6 = nn.Conv2d(channels, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        self.conv3_3_norm = ChannelNorm(256)
        self.conv4_3_norm = ChannelNorm(512)
        self.conv5_3_norm = ChannelNorm(512)
        for name, width, classes in (
            ("conv3_3_norm", 256, 4),
            ("conv4_3_norm", 512, 2),
            ("conv5_3_norm", 512, 2),
            ("fc7", 1024, 2),
            ("conv6_2", 512, 2),
            ("conv7_2", 256, 2),
        ):
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(width, classes, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, padding=1))

    def forward(self, images: Tensor) -> list[ScaleOutput]:
        """Outputs at strides 4 to 128 of images `[N, 3, H, W]`, BGR minus `MEAN_BGR`; H and W at least 32."""
        outputs: list[ScaleOutput] = []
        features = images
        for group, widths in enumerate(TRUNK, start=1):
            for position in range(1, len(widths) + 1):
                features = self._convolved(f"conv{group}_{position}", features)
            if group >= 3:
                name = f"conv{group}_3_norm"
                outputs.append(self._heads(name, self.get_submodule(name)(features)))
            features = functional.max_pool2d(features, 2)
        features = self._convolved("fc7", self._convolved("fc6", features))
        outputs.append(self._heads("fc7", features))
        for level in ("conv6", "conv7"):
            features = self._convolved(f"{level}_2", self._convolved(f"{level}_1", features))
            outputs.append(self._heads(f"{level}_2", features))
        return outputs

    def _convolved(self, name: str, features: Tensor) -> Tensor:
        return functional.relu(self.get_submodule(name)(features), inplace=True)

    def _heads(self, name: str, features: Tensor) -> ScaleOutput:
        confidence, location = (self.get_submodule(f"{name}_mbox_{kind}") for kind in ("conf", "loc"))
        return ScaleOutput(confidence(features), location(features))


class S3fdDetector(nn.Module):
    """Frames to face boxes.

    Args:
        network: see `load_s3fd`.
    """

    mean: Tensor

    def __init__(self, network: FaceDetectionNetwork) -> None:
        super().__init__()
        device = next(network.parameters()).device
        self.network = network.to(memory_format=memory_format(device))
        self.register_buffer("mean", torch.tensor(MEAN_BGR, device=device).view(1, 3, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> list[np.ndarray]:
        """Per frame the boxes float32 `[K, 5]`, (x1, y1, x2, y2, score) in pixels, by decreasing score.

        Frames with a side under 32 pixels have none.

        Args:
            frames: uint8 RGB `[N, 3, H, W]`, on the network's device.
        """
        if min(frames.shape[-2:]) < LEAST_SIDE:
            return [np.zeros((0, 5), np.float32) for _ in frames]
        boxes: list[np.ndarray] = []
        for part in frames.split(BATCH.get(frames.device.type, 1)):
            boxes += decode_boxes(self.raw(part))
        return boxes

    def raw(self, frames: Tensor) -> list[ScaleOutput]:
        """The network's outputs for frames `[N, 3, H, W]`, RGB in 0..255 of any type."""
        images = (frames.float().flip(1) - self.mean).contiguous(memory_format=memory_format(frames.device))
        return self.network(images)


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout of the networks: on a CPU channels last, a sixth less processor time than planes (one core)."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def face_scores(confidence: Tensor) -> Tensor:
    """Probability of a face `[N, h, w]` from logits whose last channel is the face.

    Of several backgrounds the strongest counts (Zhang et al. 2017, section 3.3: max-out background label).
    """
    background = confidence[:, :-1].amax(dim=1, keepdim=True)
    return torch.cat((background, confidence[:, -1:]), dim=1).softmax(dim=1)[:, 1]


def decode_boxes(outputs: list[ScaleOutput]) -> list[np.ndarray]:
    """Per frame the boxes float32 `[K, 5]`, (x1, y1, x2, y2, score), by decreasing score, overlaps removed.

    The published decoder also lets boxes of scores .05 to .5 take part in the removal of overlaps; as a box is
    removed by better ones only, and none under .5 is kept, leaving them out changes nothing.
    """
    frames = len(outputs[0].confidence)
    indices, candidates = [], []
    for stride, output in zip(STRIDES, outputs, strict=True):
        scores = face_scores(output.confidence)
        frame, row, column = torch.nonzero(scores > LEAST_SCORE, as_tuple=True)
        offsets = output.location[frame, :, row, column]
        size = float(stride * ANCHOR_STRIDES)
        anchor = (torch.stack((column, row), dim=1).double() + 0.5) * stride
        # float32 up to the exponential and float64 from there, as in the published decoder.
        centre = anchor + (offsets[:, :2] * VARIANCES[0]) * size
        extent = size * (offsets[:, 2:] * VARIANCES[1]).exp().double()
        corner = centre - extent / 2
        score = scores[frame, row, column].double()
        indices.append(frame)
        candidates.append(torch.cat((corner, corner + extent, score[:, None]), dim=1))
    owner, boxes = torch.cat(indices).cpu().numpy(), torch.cat(candidates).cpu().numpy()
    sane = (np.abs(boxes) < LARGEST_COORDINATE).all(axis=1)
    return [_without_overlaps(boxes[sane & (owner == frame)]).astype(np.float32) for frame in range(frames)]


def _without_overlaps(boxes: np.ndarray) -> np.ndarray:
    """Boxes `[K, 5]` by decreasing score, without those that overlap a better one by more than 0.3 (union)."""
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    # The published overlap counts pixels: a box from 0 to 0 has an area of 1.
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept = []
    left = np.arange(len(boxes))
    while left.size:
        best, rest = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:4], boxes[rest, 2:4])
        width, height = np.maximum(0.0, high - low + 1).T
        shared = width * height
        left = rest[shared <= NMS_OVERLAP * (areas[best] + areas[rest] - shared)]
    return boxes[kept]


def load_s3fd(tensors: Mapping[str, Tensor]) -> FaceDetectionNetwork:
    """The network with the tensors of `s3fd-619a316812.pth`, frozen, in eval mode.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = FaceDetectionNetwork()
    return fill(network, tensors, name="the face detector S3FD")
