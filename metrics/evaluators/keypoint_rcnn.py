"""Body joints by torchvision's Keypoint R-CNN: the 17 COCO joints of the most certain person of each frame."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.weights import find_checked, load_tensors

from .folding import fold_batch_norms
from .released import bare, fill

if TYPE_CHECKING:
    from torchvision.models.detection import KeypointRCNN

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
JOINTS = 17
CLASSES = 2  # background and person
# Shorter side of the images the network sees: torchvision's default, and what the weights were trained at.
MIN_SIZE = 800
# On one CPU core two frames take as long together as apart; more only take memory.
BATCH = {"cpu": 1, "cuda": 8}
# torchvision's anchors of this model, one size for each level of the pyramid.
ANCHOR_SIZES = ((32,), (64,), (128,), (256,), (512,))
ASPECT_RATIOS = ((0.5, 1.0, 2.0),) * len(ANCHOR_SIZES)
# The released file is older than torchvision's present names of these convolutions.
RENAMED = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)
PROBE_SIZE = 128
PROBE_SHARE = 64
"""Numbers each part of the network has in the probe: the heads' few are repeated, the pyramid's many averaged."""


class BodyJointsEvaluator(nn.Module):
    """Frames to the joints of one person each.

    Args:
        network: of `load_keypoint_rcnn`; it is limited to one person for each frame, which
            spares the key-point head all others and changes nothing for the first.
        score_threshold: least probability of a person that counts.
        joint_threshold: a joint is found where its heat map's maximum (a logit) is larger.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.
    """

    network: KeypointRCNN

    def __init__(
        self, network: KeypointRCNN, *, score_threshold: float, joint_threshold: float, fingerprint: str
    ) -> None:
        super().__init__()
        heads = network.roi_heads
        heads.detections_per_img = 1
        # The library drops scores that are not above its own threshold; ours is applied below.
        heads.score_thresh = min(heads.score_thresh, math.nextafter(score_threshold, -1.0))
        self.network = network
        self.score_threshold = score_threshold
        self.joint_threshold = joint_threshold
        self.fingerprint = fingerprint
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> KeypointFeatures:
        """Joints of frames `[N, 3, H, W]`, RGB in [0, 1]: 17 each, none found where there is no person."""
        positions = torch.zeros(len(frames), JOINTS, 2, device=frames.device)
        found = torch.zeros(len(frames), JOINTS, dtype=torch.bool, device=frames.device)
        size = BATCH.get(frames.device.type, 1)
        for start in range(0, len(frames), size):
            for index, people in enumerate(self.network(list(frames[start : start + size])), start=start):
                if len(people["scores"]):  # at most one: the most certain
                    positions[index] = people["keypoints"][0, :, :2]
                    certain = people["keypoints_scores"][0] > self.joint_threshold
                    found[index] = certain & (people["scores"][0] >= self.score_threshold)
        return KeypointFeatures(positions, found)

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """Equal shares of the pyramid, the proposals and, for the whole frame as the box, of each head's output.

        Values are compressed (asinh), since a difference is judged by the largest of all.
        """
        images = nn.functional.interpolate(
            frames, (PROBE_SIZE, PROBE_SIZE), mode="bilinear", align_corners=False
        )
        # The network's own transform would bring them to full size.
        normalised = torch.stack([self.network.transform.normalize(image) for image in images])
        pyramid = self.network.backbone(normalised)
        objectness, deltas = self.network.rpn.head(list(pyramid.values()))
        boxes = [images.new_tensor([[0.0, 0.0, PROBE_SIZE, PROBE_SIZE]]) for _ in images]
        sizes = [(PROBE_SIZE, PROBE_SIZE)] * len(images)
        heads = self.network.roi_heads
        scores, offsets = heads.box_predictor(heads.box_head(heads.box_roi_pool(pyramid, boxes, sizes)))
        pooled = heads.keypoint_head(heads.keypoint_roi_pool(pyramid, boxes, sizes))
        heat_maps = heads.keypoint_predictor(pooled)
        # Averaged over each level's places first: the finest level has nearly all of them.
        levels = [
            torch.cat([level.mean(dim=(2, 3)).flatten() for level in part])
            for part in (pyramid.values(), objectness, deltas)
        ]
        flat = (*levels, scores.flatten(), offsets.flatten(), heat_maps.flatten())
        shares = [nn.functional.adaptive_avg_pool1d(numbers.asinh()[None], PROBE_SHARE) for numbers in flat]
        return torch.cat(shares).flatten()


def build(
    *, device: torch.device, score_threshold: float, joint_threshold: float, min_size: int
) -> BodyJointsEvaluator:
    """Body joints.

    Args:
        device: where the network is to run.
        score_threshold: least probability of a person that counts.
        joint_threshold: a joint is found where its heat map's maximum (a logit) is larger.
        min_size: shorter side in pixels that frames are resized to; the longer one is at most 1333.

    Raises:
        WeightsMissingError: the file is not on this machine.
        CheckpointError: the file is damaged or does not fit the network.
    """
    file = find_checked("body-joints")
    network = load_keypoint_rcnn(load_tensors(file.path).tensors, min_size=min_size)
    options = f"{file.sha256}:{score_threshold}:{joint_threshold}:{min_size}"
    digest = hashlib.sha256(options.encode()).hexdigest()
    return BodyJointsEvaluator(
        network,
        score_threshold=score_threshold,
        joint_threshold=joint_threshold,
        fingerprint=f"body-joints:{digest}:{PREPROCESSING}",
    ).to(device)


def load_keypoint_rcnn(tensors: Mapping[str, Tensor], *, min_size: int = MIN_SIZE) -> KeypointRCNN:
    """torchvision's `keypointrcnn_resnet50_fpn` with the tensors of its COCO file, under its old names or today's.

    Args:
        tensors: by published name.
        min_size: see `build`.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    network = _network(min_size)
    fill(network, {_present(name): tensor for name, tensor in bare(tensors).items()}, name="Keypoint R-CNN")
    fold_batch_norms(network.backbone.body)
    return network.to(memory_format=torch.channels_last)


def _present(name: str) -> str:
    for old, new in RENAMED:
        name = old.sub(new, name)
    return name


def _network(min_size: int) -> KeypointRCNN:
    from torchvision.models.detection import KeypointRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    # Anchors are no part of the state: they need values, so they are not made on the meta device.
    anchors = AnchorGenerator(ANCHOR_SIZES, ASPECT_RATIOS)
    # The library sets eps to 0 for this file, which was trained with norms that had none.
    norm = partial(nn.BatchNorm2d, eps=0.0)
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm)
        return KeypointRCNN(
            backbone,
            num_classes=CLASSES,
            num_keypoints=JOINTS,
            rpn_anchor_generator=anchors,
            min_size=min_size,
        )
