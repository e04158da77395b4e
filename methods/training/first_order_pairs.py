"""Training on pairs of methods that move the source by the affine motion around key points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks.background import BackgroundPredictor
from ..blocks.first_order import OcclusionAwareGenerator
from ..blocks.first_order_animation import BACKGROUND
from ..blocks.motion import DenseMotion, Keypoints
from .copying import start_as_copier, start_still
from .equivariance_terms import equivariance_losses
from .pair_training import Reconstruction
from .recipe import WarpConfig


@dataclass(frozen=True)
class FirstOrderReconstruction(Reconstruction):
    """A reconstruction, the key points it was made with and the motion they gave."""

    source: Keypoints | None = None
    driving: Keypoints | None = None
    motion: DenseMotion | None = None


class FirstOrderPairs:
    """FOMM's part of training on pairs, see `pair_training.PairModel`; DAM, HDAM and MTIA add terms to it.

    Args:
        networks: `kp_detector`, `generator` and perhaps `bg_predictor`.
        configuration: in the published words.
        size_multiple: of both sides of every frame.
        warps: of the equivariance losses.
        value_weight, jacobian_weight: of the equivariance losses.
        copier: start as a copier of the source whose motion stands still, see `copying.py`; with skips the warped
            source reaches the output from the start, and only the motion is set.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        configuration: Mapping[str, Any],
        *,
        size_multiple: int,
        warps: WarpConfig,
        value_weight: float,
        jacobian_weight: float,
        copier: bool = False,
    ) -> None:
        generator = networks["generator"]
        if not isinstance(generator, OcclusionAwareGenerator):
            raise TypeError("networks must hold an OcclusionAwareGenerator")
        self.networks = networks
        self.generator = generator
        self.configuration = configuration
        self.size_multiple = size_multiple
        self.warps = warps
        self.value_weight = value_weight
        self.jacobian_weight = jacobian_weight
        if copier:
            if not generator.skips:
                start_as_copier(generator)
            start_still(generator.dense_motion_network.mask, [generator.dense_motion_network.occlusion])

    def detect(self, frames: Tensor) -> Keypoints:
        """Key points of frames, in float32 always.

        The softmax at temperature 0.1 turns the rounding of half precision into jumping points.
        """
        with torch.autocast(frames.device.type, enabled=False):
            return self.networks["kp_detector"](frames)

    def reconstruct(self, source: Tensor, driving: Tensor) -> FirstOrderReconstruction:
        """Sources in the pose of the driving frames."""
        of_source, of_driving = self.detect(source), self.detect(driving)
        generation = self.generator(source, of_source, of_driving, self.background(source, driving))
        deformed = self.generator.deform(source, generation.motion)
        return FirstOrderReconstruction(
            generation.prediction, deformed, of_driving.value, None, of_source, of_driving, generation.motion
        )

    def background(self, source: Tensor, driving: Tensor) -> Tensor | None:
        """The background's motion `(B, 3, 3)` where there is a network that predicts it."""
        predictor = dict(self.networks.items()).get(BACKGROUND)
        if not isinstance(predictor, BackgroundPredictor) or not predictor.entries:
            return None
        with torch.autocast(source.device.type, enabled=False):
            return predictor(source, driving)

    def losses(self, source: Tensor, driving: Tensor, made: FirstOrderReconstruction) -> dict[str, Tensor]:
        """The equivariance of the driving frames' key points."""
        if made.driving is None:
            raise TypeError("these losses are of a reconstruction with its key points")
        return equivariance_losses(
            self.detect,
            driving,
            made.driving,
            self.warps,
            value=self.value_weight,
            jacobian=self.jacobian_weight,
            align_corners=self.generator.align_corners,
        )

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_network"]
