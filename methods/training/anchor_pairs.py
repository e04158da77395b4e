"""Training on pairs of methods whose motion anchors follow the anchors above them: what DAM and HDAM share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks.anchor_config import AnchorConfig
from ..blocks.anchors import Anchors, split_anchors
from ..blocks.keypoint_detector import Detection, KeypointDetector
from ..blocks.transforms import random_warp
from .anchor_presets import AnchorPreset
from .equivariance_terms import equivariance_losses
from .first_order_pairs import FirstOrderPairs, FirstOrderReconstruction


@dataclass(frozen=True, kw_only=True)
class AnchorReconstruction(FirstOrderReconstruction):
    """A reconstruction and what was detected on sources and driving frames."""

    of_source: Detection
    of_driving: Detection


class AnchorPairs(FirstOrderPairs, ABC):
    """What DAM and HDAM share of training on pairs; each adds what its anchors above must explain.

    Beside the driving frame the generator makes an affinely warped one, from that frame's own anchors: published
    as the augmented driving frame, under the same perceptual loss.

    Args:
        networks: `kp_detector`, `generator` and perhaps `bg_predictor`.
        config: describes them.
        preset: its configuration in the published words, its warps and weights.

    Source: DAM's published code.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        config: AnchorConfig,
        preset: AnchorPreset,
    ) -> None:
        super().__init__(
            networks,
            preset.published,
            size_multiple=config.size_multiple,
            warps=preset.warps,
            value_weight=preset.equivariance_value,
            jacobian_weight=preset.equivariance_jacobian,
            copier=preset.recipe.additions.copier,
        )
        detector = networks["kp_detector"]
        if not isinstance(detector, KeypointDetector):
            raise TypeError("networks must hold a KeypointDetector")
        self.detector = detector
        self.num_root_kp = config.num_root_kp

    def detection(self, frames: Tensor) -> Detection:
        """All anchors of frames and what they were read from, in float32 always; see `detect`."""
        with torch.autocast(frames.device.type, enabled=False):
            return self.detector.detect(frames)

    def anchors(self, detection: Detection) -> Anchors:
        """Anchors by their place in the hierarchy."""
        return split_anchors(detection.keypoints, self.num_root_kp)

    def reconstruct(self, source: Tensor, driving: Tensor) -> AnchorReconstruction:
        """Sources in the pose of the driving frames, and in that of warped ones."""
        found, of_driving = self.detection(source), self.detection(driving)
        warp = random_warp(
            driving, sigma_affine=self.warps.sigma_affine, sigma_tps=0.0, points_tps=self.warps.points_tps
        )
        augmented = warp.frame(driving, align_corners=self.generator.align_corners)
        # One encoding serves both: the published code encodes the same source twice.
        encoded, anchors = self.generator.encode(source), self.anchors(found).motion
        generation, again = (
            self.generator.decode(
                encoded, anchors, self.anchors(detected).motion, self.background(source, frames)
            )
            for frames, detected in ((driving, of_driving), (augmented, self.detection(augmented)))
        )
        return AnchorReconstruction(
            generation.prediction,
            self.generator.deform(source, generation.motion),
            augmented=(again.prediction, augmented),
            of_source=found,
            of_driving=of_driving,
        )

    def losses(self, source: Tensor, driving: Tensor, made: FirstOrderReconstruction) -> dict[str, Tensor]:
        """The equivariance of all anchors of the sources (published: not of the driving frames), and the hierarchy."""
        if not isinstance(made, AnchorReconstruction):
            raise TypeError("these losses are of a reconstruction with its anchors")
        terms = equivariance_losses(
            self.detect,
            source,
            made.of_source.keypoints,
            self.warps,
            value=self.value_weight,
            jacobian=self.jacobian_weight,
            align_corners=self.generator.align_corners,
        )
        # In float32: the jacobians are inverted.
        with torch.autocast(source.device.type, enabled=False):
            return terms | self.hierarchy_losses(made)

    @abstractmethod
    def hierarchy_losses(self, made: AnchorReconstruction) -> dict[str, Tensor]:
        """How badly anchors above explain those below, weighted terms by name."""
