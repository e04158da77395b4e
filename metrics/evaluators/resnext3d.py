"""Video FID features: a 3-D ResNeXt-101 trained on Kinetics, one vector per 16 frames."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchbed.frames import to_uint8
from benchbed.interfaces.evaluator import SegmentFeatures
from benchbed.weights import find_weights, load_tensors, sha256_of

from .folding import fold_batch_norms
from .released import bare, fill

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
SEGMENT = 16
SIZE = 112
# Mean RGB of the training videos, on 0..255; the values are not divided by anything.
MEAN = (114.7748, 107.7354, 99.4750)
# Segments at a time, by type of device.
BATCH = {"cpu": 1, "cuda": 16}
GROUPS = 32
STAGES = ((3, 128), (4, 256), (23, 512), (3, 1024))
FEATURES = 2048


class Bottleneck(nn.Module):
    """1x1x1, grouped 3x3x3 and 1x1x1 convolutions beside a shortcut, projected where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride=stride, padding=1, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, 2 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(2 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != 2 * width:
            self.downsample = nn.Sequential(
                nn.Conv3d(channels, 2 * width, 1, stride=stride, bias=False), nn.BatchNorm3d(2 * width)
            )

    def forward(self, clip: Tensor) -> Tensor:
        inner = self.relu(self.bn1(self.conv1(clip)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        shortcut = clip if self.downsample is None else self.downsample(clip)
        return self.relu(inner.add_(shortcut))


class ResNeXt3D(nn.Module):
    """ResNeXt-101 (3, 4, 23, 3 blocks, 32 groups) in three dimensions, without its classifier.

    Source: Hara, Kataoka and Satoh 2018, table 1; the names are those of the released Kinetics file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)
        channels = 64
        for index, (blocks, width) in enumerate(STAGES):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(channels, width, stride=2 if index and not block else 1))
                channels = 2 * width
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))

    def forward(self, clips: Tensor) -> Tensor:
        """Features `[N, 2048]` of clips `[N, 3, 16, 112, 112]`, RGB on 0..255 minus `MEAN`."""
        hidden = self.maxpool(self.relu(self.bn1(self.conv1(clips))))
        for index in range(len(STAGES)):
            hidden = self.get_submodule(f"layer{index + 1}")(hidden)
        return hidden.mean(dim=(2, 3, 4))


class SegmentEvaluator(nn.Module):
    """Frames to one vector per 16 of them; a shorter rest has none."""

    mean: Tensor

    def __init__(self, network: nn.Module, fingerprint: str) -> None:
        super().__init__()
        self.network = network
        self.fingerprint = fingerprint
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> SegmentFeatures:
        """Features `[N // 16, 2048]` of consecutive frames `[N, 3, H, W]`, RGB in [0, 1]."""
        count = len(frames) // SEGMENT
        if count == 0:
            return SegmentFeatures(frames.new_empty(0, FEATURES))
        crops = centre_crops(frames[: count * SEGMENT]) - self.mean
        clips = crops.unflatten(0, (count, SEGMENT)).transpose(1, 2).contiguous()
        batches = clips.split(BATCH.get(frames.device.type, 1))
        return SegmentFeatures(torch.cat([self.network(batch) for batch in batches]))

    def probe(self, frames: Tensor) -> Tensor:
        """The features of the frames, repeated to one segment, `[2048]`."""
        repeats = -(-SEGMENT // len(frames))
        return self(frames.repeat(repeats, 1, 1, 1)[:SEGMENT]).vectors.flatten()


def centre_crops(frames: Tensor) -> Tensor:
    """Frames `[N, 3, H, W]` in [0, 1] as `[N, 3, 112, 112]` on 0..255: shorter side to 112, then the middle.

    Resized on 8 bits by PIL (bilinear, antialiased), as the network was trained.
    """
    crops = []
    for frame in to_uint8(frames).permute(0, 2, 3, 1).cpu().numpy():
        height, width = frame.shape[:2]
        shorter = min(height, width)
        size = (SIZE * width // shorter, SIZE * height // shorter)
        image = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
        left, top = round((size[0] - SIZE) / 2), round((size[1] - SIZE) / 2)
        crops.append(np.asarray(image.crop((left, top, left + SIZE, top + SIZE))))
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(frames.device, torch.float32)


def build(*, device: torch.device) -> SegmentEvaluator:
    """The video FID features.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file does not fit the network.
    """
    path = find_weights("resnext101-3d")
    network = fold_batch_norms(load_network(load_tensors(path).tensors))
    return SegmentEvaluator(network, f"resnext101-3d:{sha256_of(path)}:{PREPROCESSING}").to(device)


def load_network(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The network filled from a released file; the classifier `fc.*` is not used.

    Names may carry the prefixes `state_dict.` and `module.` of that file; step counters of the batch norms may
    be absent.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = ResNeXt3D()
    return fill(network, bare(tensors, without=("fc.",)), name="the 3-D ResNeXt-101")
