"""Training face-vid2vid: its part of the training on pairs, and its networks and recipe under a preset."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchbed.interfaces.training import TrainingRequest

from ..blocks.grids import warp
from ..blocks.motion import Keypoints
from ..blocks.patch_discriminator import MultiScaleDiscriminator
from ..blocks.transforms import ThinPlateWarp, random_warp
from ..training.adversary import Adversary
from ..training.pair_training import PairTraining, Reconstruction
from .canonical_keypoints import CanonicalKeypointDetector
from .checkpoint import inference_networks
from .config import facevid2vid_config
from .generator import PlainGenerator, VolumeGenerator
from .head_pose import HeadPoseEstimator
from .head_pose_teacher import HeadPoseTeacher, stored_teacher
from .losses import (
    HINGE,
    blurred_difference,
    depth_loss,
    equivariance_loss,
    expression_loss,
    head_pose_loss,
    keypoint_prior_loss,
)
from .method import size_multiple
from .pose import HeadPose, posed
from .presets import AdversaryWeights, Preset, preset_named
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
        teacher: of the head pose.
    """

    def __init__(self, preset: Preset, teacher: HeadPoseTeacher | None = None) -> None:
        config = facevid2vid_config(preset.published)
        self.networks = inference_networks(config)
        generator, detector = self.networks["generator"], self.networks["kp_detector"]
        estimator = self.networks["he_estimator"]
        if not (
            isinstance(generator, VolumeGenerator)
            and isinstance(detector, CanonicalKeypointDetector)
            and isinstance(estimator, HeadPoseEstimator)
        ):
            raise TypeError("networks must hold face-vid2vid's generator, kp_detector and he_estimator")
        self.generator = generator
        self.detector = detector
        self.estimator = estimator
        self.beta = config.rotation == "beta"
        self.preset = preset
        self.teacher = teacher
        self.configuration = preset.published
        self.size_multiple = size_multiple(config)
        if preset.recipe.additions.copier:
            if not isinstance(generator, PlainGenerator):
                raise TypeError("only the original generator starts as a copier")
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
        """Equivariance of the driving frames' key points, their prior, head pose and expression; the blurred source."""
        preset = self.preset
        losses = {
            "equivariance_value": preset.equivariance_weight
            * equivariance_loss(made.warp, made.driving, made.transformed),
            "keypoint_prior": preset.keypoint_prior_weight * keypoint_prior_loss(made.driving),
            "expression": preset.expression_weight * expression_loss(made.pose),
        }
        if preset.depth_weight:
            losses["depth"] = preset.depth_weight * depth_loss(made.driving)
        if preset.blurred_weight:
            blurred = blurred_difference(
                source, driving, made.flow, align_corners=self.generator.align_corners
            )
            losses["blurred"] = preset.blurred_weight * blurred
        if self.teacher is not None:
            angles = self.teacher.to(driving.device)(driving)
            losses["head_pose"] = preset.head_pose_weight * head_pose_loss(made.pose, *angles)
        return losses

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

    def __init__(self, preset: Preset, perceptual: nn.Module, teacher: HeadPoseTeacher | None = None) -> None:
        model = Facevid2vidPairs(preset, teacher)
        adversary = None if preset.adversary is None else _adversary(preset.adversary)
        super().__init__("facevid2vid", preset.name, model, preset.recipe, perceptual, adversary)
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


def _adversary(weights: AdversaryWeights) -> Adversary:
    """The published discriminator, which looks at images of full size alone."""
    network = MultiScaleDiscriminator(
        scales=(1,),
        num_channels=3,
        block_expansion=32,
        num_blocks=len(weights.feature_matching),
        max_features=512,
        spectral=True,
        num_keypoints=0,
    )
    return Adversary(
        network,
        generator_gan=weights.generator_gan,
        discriminator_gan=weights.discriminator_gan,
        feature_matching=weights.feature_matching,
        objective=HINGE,
    )


def build_training(request: TrainingRequest) -> PairTraining:
    """Face-vid2vid under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, `paper` (the VoxCeleb recipe, also called `vox-256-original`) or `vox-256` (the
            same with the SPADE generator).

    Raises:
        UnknownNameError: no such preset.
        WeightsMissingError: a full-size preset, and the weights store has no weights of the head-pose teacher.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named(request.preset).resized(request.resolution, request.steps)
    teacher = stored_teacher() if chosen.head_pose_weight else None
    return Facevid2vidTraining(chosen, request.perceptual, teacher)
