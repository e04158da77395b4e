"""Training on pairs of methods that fit a map of the plane to each set of key points (TPSMM, CPABMM)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.optim import Optimizer

from benchbed.interfaces.training import FramePair

from ..blocks.equivariance import equivariance_value_loss
from ..blocks.inpainting import warp_aligned
from ..blocks.keypoint_set_animation import KeypointSetAnimation, size_multiple
from ..blocks.motion import Keypoints
from ..blocks.multi_occlusion_motion import MultiOcclusionMotion
from ..blocks.resnet_keypoints import ResNetKeypointDetector
from ..blocks.thin_plate import random_spline
from ..blocks.warping_generator import Appearance
from .copying import start_visible
from .keypoint_set_terms import background_loss, warp_loss
from .pair_training import PairTraining, Reconstruction, steps_done
from .presets import Preset
from .recipe import WarpConfig


@dataclass(frozen=True)
class Dropout:
    """How many of the candidate motions are dropped in training, so that none is left unused.

    Args:
        epochs: after these nothing is dropped any more.
        largest, first: probabilities of the end and of the start of the ramp.
        ramp: length of the ramp if it began at zero, in epochs.

    Source: TPSMM, section 3.4 and its published code.
    """

    epochs: int
    largest: float
    first: float = 0.0
    ramp: int = 10

    def probability(self, epoch: int) -> float:
        """Of every motion but the background's, in an epoch of training."""
        return (
            min(epoch / self.ramp * self.largest + self.first, self.largest) if epoch < self.epochs else 0.0
        )


@dataclass(frozen=True)
class KeypointSetPreset(Preset):
    """A preset, its loss weights, and what changes from epoch to epoch.

    Args:
        epochs: the steps are divided into.
        dropout: of candidate motions.
        warps, equivariance_weight: of the equivariance of key points.
        warp_weight: of the features that are warped.
        background_weight: of the background's motion there and back.
        coarse_weight: of the mean absolute error of the warped source at a quarter and an eighth of the size, which
            reaches further than pixels do; not published.
        background_start: epoch in which the background's motion begins to be predicted.
    """

    epochs: int
    dropout: Dropout
    warps: WarpConfig
    equivariance_weight: float
    warp_weight: float
    background_weight: float = 0.0
    coarse_weight: float = 0.0
    background_start: int = 0


@dataclass(frozen=True)
class SetReconstruction(Reconstruction):
    """A reconstruction and what its losses look at.

    Args:
        background: `(B, 3, 3)` where it was predicted.
        flows: `(B, h, w, 2)` each, the motion at every resolution, coarsest first; None where that of `motion` serves
            them all.
    """

    appearance: Appearance | None = None
    motion: MultiOcclusionMotion | None = None
    driving: Keypoints | None = None
    background: Tensor | None = None
    flows: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class MovedSets:
    """Dense motion from driving frames to sources, and what it was made from."""

    motion: MultiOcclusionMotion
    driving: Keypoints
    background: Tensor | None


class KeypointSetPairs:
    """Such a method's part of training on pairs, see `pair_training.PairModel`; the AVD network is not trained.

    Args:
        method: with the networks that are trained.
        networks: the same, under their checkpoint names.
        preset: how it is trained.

    Attributes:
        epoch: of the training; set from outside.
    """

    def __init__(
        self, method: KeypointSetAnimation, networks: nn.ModuleDict, preset: KeypointSetPreset
    ) -> None:
        self.method = method
        self.networks = networks
        self.preset = preset
        self.configuration: Mapping[str, Any] = preset.published
        self.size_multiple = size_multiple(method.config)
        self.epoch = 0
        if preset.recipe.additions.copier:
            # Where the last occlusion map shows all, the warped source itself is the image.
            start_visible(cast(Iterable[nn.Conv2d], method.dense_motion_network.occlusion))
            start_spread(cast(ResNetKeypointDetector, method.kp_detector), method.config.num_sets)

    def detect(self, frames: Tensor) -> Keypoints:
        """Key points of frames, in float32 always: the fits enlarge the rounding of half precision."""
        with torch.autocast(frames.device.type, enabled=False):
            return self.method.kp_detector(frames)

    def background(self, source: Tensor, driving: Tensor) -> Tensor | None:
        """The background's motion `(B, 3, 3)`, where it is predicted yet."""
        predictor = self.method.bg_predictor
        if predictor is None or self.epoch < self.preset.background_start:
            return None
        with torch.autocast(source.device.type, enabled=False):
            return predictor(source, driving)

    def kept(self, frames: Tensor) -> Tensor | None:
        """Which candidate motions count, `(B, M)`, 1 or 0, the background's always; None for all."""
        probability = self.preset.dropout.probability(self.epoch)
        if not self.method.dense_motion_network.training or self.epoch >= self.preset.dropout.epochs:
            return None
        keep = torch.rand(len(frames), self.method.dense_motion_network.maps.out_channels) >= probability
        keep[:, 0] = True
        return keep.to(frames)

    def reconstruct(self, source: Tensor, driving: Tensor) -> SetReconstruction:
        """Sources in the pose of the driving frames."""
        moved = self.moved(source, driving)
        motion, network = moved.motion, self.method.inpainting_network
        appearance = network.look(source)
        return SetReconstruction(
            network.paint(appearance, motion.deformation, motion.occlusion_maps),
            warp_aligned(source, motion.deformation),
            moved.driving.value,
            appearance=appearance,
            motion=motion,
            driving=moved.driving,
            background=moved.background,
        )

    def moved(self, source: Tensor, driving: Tensor) -> MovedSets:
        """The motion that takes sources to the pose of the driving frames, candidates dropped as in training."""
        of_source, of_driving = self.detect(source), self.detect(driving)
        background = self.background(source, driving)
        downsampled = self.method.dense_motion_network.downsample(source)
        motion = self.method.move(downsampled, of_source, of_driving, background, self.kept(source))
        return MovedSets(motion, of_driving, background)

    def losses(self, source: Tensor, driving: Tensor, made: SetReconstruction) -> dict[str, Tensor]:
        """Equivariance of the driving frames' key points, warped features, the background there and back."""
        if made.driving is None or made.motion is None or made.appearance is None:
            raise TypeError("these losses are of a reconstruction with its key points, motion and appearance")
        preset = self.preset
        losses = {
            "equivariance_value": preset.equivariance_weight * self._equivariance(driving, made.driving)
        }
        if preset.warp_weight:
            with torch.no_grad():
                wanted = self.method.inpainting_network.look(driving)
            losses["warp"] = preset.warp_weight * warp_loss(
                self.method.inpainting_network,
                made.appearance,
                wanted,
                made.motion.deformation if made.flows is None else made.flows,
                made.motion.occlusion_maps,
            )
        if preset.coarse_weight and made.deformed is not None:
            losses["coarse"] = preset.coarse_weight * coarse_difference(made.deformed, driving)
        back = None if made.background is None else self.background(driving, source)
        if made.background is not None and back is not None:
            losses["background"] = preset.background_weight * background_loss(made.background, back)
        return losses

    def _equivariance(self, driving: Tensor, found: Keypoints) -> Tensor:
        warps = self.preset.warps
        spline = random_spline(
            driving, sigma_affine=warps.sigma_affine, sigma_tps=warps.sigma_tps, points_tps=warps.points_tps
        )
        return equivariance_value_loss(spline, found, self.detect(spline.frame(driving)))

    def colour_path(self) -> list[nn.Module]:
        """The inpainting network; it has no batch norms."""
        return [self.method.inpainting_network]


class KeypointSetTraining(PairTraining):
    """Training on pairs that tells its model the epoch; see `PairTraining`."""

    def __init__(self, model: KeypointSetPairs, perceptual: nn.Module) -> None:
        super().__init__(model.method.name, model.preset.name, model, model.preset.recipe, perceptual)
        self.sets = model

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step of `PairTraining`, in its epoch."""
        self.sets.epoch = self.sets.preset.epochs * steps_done(optimizers) // self.schedule.steps
        return super().step(pair, optimizers, backward)


def coarse_difference(deformed: Tensor, driving: Tensor) -> Tensor:
    """Sum over blocks of 4 and of 8 pixels of the mean absolute difference of their means."""
    difference = (deformed - driving).float()
    return torch.stack([avg_pool2d(difference, side).abs().mean() for side in (4, 8)]).sum()


@torch.no_grad()
def start_spread(detector: ResNetKeypointDetector, num_sets: int) -> None:
    """Let the sets of key points begin in different places, and nearly the same in every image. Not published.

    Each set is a small cross, its centre on a sunflower spiral over the middle of the image. Points that are alike in
    source and driving frame move nothing, so that training starts from a copy of the source.
    """
    turns = torch.arange(num_sets) * torch.pi * (3 - 5**0.5)
    radius = 0.6 * ((torch.arange(num_sets) + 0.5) / num_sets).sqrt()
    centres = torch.stack((radius * turns.cos(), radius * turns.sin()), dim=-1)
    cross = 0.25 * torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    points = centres[:, None] + cross  # (sets, 5, 2), in (-1, 1)
    # the network ends in 2 sigmoid(x) - 1
    detector.fg_encoder.fc.weight.mul_(0.1)
    detector.fg_encoder.fc.bias.copy_(torch.logit((points.flatten() + 1) / 2))
