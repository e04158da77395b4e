"""Training face-vid2vid: its part of the training on pairs, and its networks and recipe under a preset."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from ..blocks.grids import warp
from ..blocks.motion import Keypoints
from ..blocks.transforms import random_warp
from ..training.pair_training import PairTraining, Reconstruction
from .canonical_keypoints import CanonicalKeypointDetector
from .checkpoint import inference_networks
from .config import facevid2vid_config
from .generator import PlainGenerator
from .head_pose import HeadPoseEstimator
from .losses import equivariance_loss, expression_loss, keypoint_prior_loss
from .method import size_multiple
from .pose import HeadPose, posed
from .presets import Preset, preset_named
from .start import start_around_keypoints, start_as_copier, start_spread


@dataclass(frozen=True, kw_only=True)
class PosedReconstruction(Reconstruction):
    """A reconstruction and what it was made with.

    Args:
        canonical: key points of the sources, facing the front.
        pose: of the driving frames.
        driving: the canonical key points in that pose.
    """

    canonical: Keypoints
    pose: HeadPose
    driving: Keypoints


class Facevid2vidPairs:
    """Face-vid2vid's part of training on pairs, see `pair_training.PairModel`.

    Args:
        preset: configuration and loss weights.
    """

    def __init__(self, preset: Preset) -> None:
        config = facevid2vid_config(preset.published)
        self.networks = inference_networks(config)
        generator, detector = self.networks["generator"], self.networks["kp_detector"]
        estimator = self.networks["he_estimator"]
        if not (
            isinstance(generator, PlainGenerator)
            and isinstance(detector, CanonicalKeypointDetector)
            and isinstance(estimator, HeadPoseEstimator)
        ):
            raise TypeError("only the original generator is trained")
        self.generator = generator
        self.detector = detector
        self.estimator = estimator
        self.beta = config.rotation == "beta"
        self.preset = preset
        self.configuration = preset.published
        self.size_multiple = size_multiple(config)
        if preset.recipe.additions.copier:
            start_as_copier(generator)
            start_around_keypoints(generator.dense_motion_network)
            start_spread(detector, estimator)

    def reconstruct(self, source: Tensor, driving: Tensor) -> PosedReconstruction:
        """Sources in the pose and expression of the driving frames.

        The source images themselves follow the motion's mean over depth: in the plane it is what images show.
        """
        canonical = self.detector(source)
        of_source, pose = self._poses(source, driving)
        points = self._posed(canonical, pose)
        generation = self.generator(source, self._posed(canonical, of_source), points)
        flat = generation.motion.deformation[..., :2].mean(dim=1)
        deformed = warp(source, flat, align_corners=self.generator.align_corners)
        return PosedReconstruction(
            generation.prediction,
            deformed,
            points.value[..., :2],
            canonical=canonical,
            pose=pose,
            driving=points,
        )

    def losses(self, source: Tensor, driving: Tensor, made: PosedReconstruction) -> dict[str, Tensor]:
        """Equivariance of the driving frames' key points, their prior, and the size of the expression."""
        drawn = self.preset.warps
        warp_of_frames = random_warp(
            driving, sigma_affine=drawn.sigma_affine, sigma_tps=drawn.sigma_tps, points_tps=drawn.points_tps
        )
        frames = warp_of_frames.frame(driving, align_corners=self.generator.align_corners)
        found, transformed = (self._posed(made.canonical, pose) for pose in self._poses(driving, frames))
        return {
            "equivariance_value": self.preset.equivariance_weight
            * equivariance_loss(warp_of_frames, found, transformed),
            "keypoint_prior": self.preset.keypoint_prior_weight * keypoint_prior_loss(made.driving),
            "expression": self.preset.expression_weight * expression_loss(made.pose),
        }

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_network"]

    def _poses(self, first: Tensor, second: Tensor) -> tuple[HeadPose, HeadPose]:
        """Poses that are compared, of one batch: in small batches, norms would make a difference between two."""
        poses = self.estimator(torch.cat((first, second)))
        split = (getattr(poses, field.name).chunk(2) for field in fields(poses))
        one, other = zip(*split, strict=True)
        return HeadPose(*one), HeadPose(*other)

    def _posed(self, canonical: Keypoints, pose: HeadPose) -> Keypoints:
        with torch.autocast(canonical.value.device.type, enabled=False):
            return posed(canonical, pose, beta=self.beta)


def build_training(
    *, preset: str, perceptual: nn.Module, resolution: int | None, steps: int | None
) -> PairTraining:
    """Face-vid2vid under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        preset: `tiny`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named(preset).resized(resolution, steps)
    return PairTraining("facevid2vid", chosen.name, Facevid2vidPairs(chosen), chosen.recipe, perceptual)
