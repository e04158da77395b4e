"""Training face-vid2vid: its part of the training on pairs, and its networks and recipe under a preset."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchbed.interfaces.training import TrainingRequest

from ..blocks.grids import warp
from ..blocks.motion import Keypoints
from ..blocks.transforms import ThinPlateWarp, random_warp
from ..training.pair_training import PairTraining, Reconstruction
from .canonical_keypoints import CanonicalKeypointDetector
from .checkpoint import inference_networks
from .config import facevid2vid_config
from .generator import PlainGenerator
from .head_pose import HeadPoseEstimator
from .losses import blurred_difference, depth_loss, equivariance_loss, expression_loss, keypoint_prior_loss
from .method import size_multiple
from .pose import HeadPose, posed
from .presets import Preset, preset_named
from .start import start_around_keypoints, start_as_copier, start_spread


@dataclass(frozen=True, kw_only=True)
class PosedReconstruction(Reconstruction):
    """A reconstruction and what it was made with.

    Args:
        flow: where the sources were sampled, `(B, h, w, 2)`.
        pose: of the driving frames.
        driving: the sources' canonical key points in that pose.
        warp: of the equivariance loss.
        transformed: the canonical key points in the pose of the driving frames so warped.
    """

    flow: Tensor
    pose: HeadPose
    driving: Keypoints
    warp: ThinPlateWarp
    transformed: Keypoints


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
        aligned, canonical = self.generator.align_corners, self.detector(source)
        drawn = self.preset.warps
        warp_of_frames = random_warp(
            driving, sigma_affine=drawn.sigma_affine, sigma_tps=drawn.sigma_tps, points_tps=drawn.points_tps
        )
        poses = self._poses(source, driving, warp_of_frames.frame(driving, align_corners=aligned))
        of_source, points, transformed = (self._posed(canonical, pose) for pose in poses)
        generation = self.generator(source, of_source, points)
        flow = generation.motion.deformation[..., :2].mean(dim=1)
        return PosedReconstruction(
            generation.prediction,
            warp(source, flow, align_corners=aligned),
            points.value[..., :2],
            flow=flow,
            pose=poses[1],
            driving=points,
            warp=warp_of_frames,
            transformed=transformed,
        )

    def losses(self, source: Tensor, driving: Tensor, made: PosedReconstruction) -> dict[str, Tensor]:
        """Equivariance of the driving frames' key points, their prior, the size of the expression; the blurred source."""
        preset = self.preset
        blurred = blurred_difference(source, driving, made.flow, align_corners=self.generator.align_corners)
        return {
            "equivariance_value": preset.equivariance_weight
            * equivariance_loss(made.warp, made.driving, made.transformed),
            "keypoint_prior": preset.keypoint_prior_weight * keypoint_prior_loss(made.driving),
            "expression": preset.expression_weight * expression_loss(made.pose),
            "depth": preset.depth_weight * depth_loss(made.driving),
            "blurred": preset.blurred_weight * blurred,
        }

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_network"]

    def _poses(self, *frames: Tensor) -> tuple[HeadPose, ...]:
        """Poses that are compared, of one batch: in small batches, norms would make a difference between two."""
        poses = self.estimator(torch.cat(frames))
        split = (getattr(poses, field.name).chunk(len(frames)) for field in fields(poses))
        return tuple(HeadPose(*parts) for parts in zip(*split, strict=True))

    def _posed(self, canonical: Keypoints, pose: HeadPose) -> Keypoints:
        with torch.autocast(canonical.value.device.type, enabled=False):
            return posed(canonical, pose, beta=self.beta)


class Facevid2vidTraining(PairTraining):
    """Training on pairs in which parts of networks learn at a share of their network's rate; see `PairTraining`."""

    def __init__(self, preset: Preset, perceptual: nn.Module) -> None:
        super().__init__("facevid2vid", preset.name, Facevid2vidPairs(preset), preset.recipe, perceptual)
        self.rate_shares = preset.rate_shares

    def optimizers(self) -> dict[str, Optimizer]:
        """Those of `PairTraining`, the parts named by the preset in groups of their own."""
        optimizers = super().optimizers()
        for name, share in self.rate_shares.items():
            network, _, part = name.partition(".")
            chosen = [
                parameter
                for key, parameter in self.networks[network].named_parameters()
                if key.startswith(part)
            ]
            taken = {id(parameter) for parameter in chosen}
            for group in optimizers[network].param_groups:
                group["params"] = [one for one in group["params"] if id(one) not in taken]
            rate = self.recipe.learning_rates[network] * share
            optimizers[network].add_param_group({"params": chosen, "lr": rate})
        return optimizers


def build_training(request: TrainingRequest) -> PairTraining:
    """Face-vid2vid under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named(request.preset).resized(request.resolution, request.steps)
    return Facevid2vidTraining(chosen, request.perceptual)
