"""Training on pairs there and back, by the images between: what both versions of anytime interpolation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..blocks.anytime_animation import AnytimeAnimation, Passage, View
from ..blocks.interpolation import background_between, between
from ..blocks.motion import Keypoints
from .anytime_presets import AnytimePreset
from .anytime_terms import appearance_difference, feature_difference, structure_difference
from .keypoint_set_pairs import KeypointSetPairs, SetReconstruction, coarse_difference
from .keypoint_set_terms import background_loss, warp_loss


@dataclass(frozen=True, kw_only=True)
class AnytimeReconstruction(SetReconstruction):
    """A reconstruction and what its losses look at.

    Args:
        of_source, of_driving: the pair.
        upper: from the sources to the driving frames.
        lower: back, by images between that should be the same; None where it is not taught.
        times: of the images between, `(B)`, 0 at the source.
        towards: their key points, `(B, P, 2)`.
        back: the background's motion from the driving frames to the sources, where it was predicted.
    """

    of_source: View
    of_driving: View
    upper: Passage
    lower: Passage | None
    times: Tensor
    towards: Tensor
    back: Tensor | None = None


class AnytimePairs(KeypointSetPairs):
    """Both stages of both directions, see `KeypointSetPairs`.

    Source: Anytime, figure 2.
    """

    def __init__(self, method: AnytimeAnimation, networks: nn.ModuleDict, preset: AnytimePreset) -> None:
        super().__init__(method, networks, preset)
        self.animation = method
        self.weights = preset
        self.supervision = method.config.supervision

    def reconstruct(self, source: Tensor, driving: Tensor) -> AnytimeReconstruction:
        """Sources in the pose of the driving frames; in training also the other way round."""
        animation = self.animation
        animation.to(source.device)  # with its transformer, which is in no network at full size
        of_source, of_driving = animation.view(source), animation.view(driving)
        there = self.background(source, driving)
        keep = self.kept(source)
        with torch.no_grad():
            token = animation.appearance(source).appearance
        times = animation.choose(of_source, token, of_driving.keypoints, there, keep).times
        towards = between(of_source.keypoints, of_driving.keypoints, times)
        upper = self._passage(of_source, of_driving, towards, times, there, keep)
        lower, back = None, None
        if self.supervision.bidirectional and animation.dense_motion_network.training:
            back = self.background(driving, source)
            lower = self._passage(of_driving, of_source, towards, 1 - times, back, self.kept(source))
        elif self.supervision.base_losses and there is not None:
            back = self.background(driving, source)
        return AnytimeReconstruction(
            upper.prediction,
            upper.deformed,
            of_driving.keypoints.value,
            None if lower is None else (lower.prediction, source),
            driving=of_driving.keypoints,
            background=there,
            of_source=of_source,
            of_driving=of_driving,
            upper=upper,
            lower=lower,
            times=times,
            towards=towards.value,
            back=back,
        )

    def _passage(
        self,
        start: View,
        end: View,
        towards: Keypoints,
        times: Tensor,
        background: Tensor | None,
        keep: Tensor | None,
    ) -> Passage:
        """From one image of the pair to the other by the images between, at times from the start."""
        return self.animation.pass_through(
            start,
            towards,
            end.keypoints,
            background_between(background, times),
            background,
            lambda images: self.background(images, end.image),
            (keep, self.kept(start.image)),
        )

    def losses(self, source: Tensor, driving: Tensor, made: SetReconstruction) -> dict[str, Tensor]:
        """TPSMM's terms, those of the additions on the way back, and what both directions must agree in."""
        if not isinstance(made, AnytimeReconstruction):
            raise TypeError("these losses are of a reconstruction with its passages")
        losses: dict[str, Tensor] = {}
        if self.supervision.base_losses:
            losses |= self._base_losses(driving, made)
        losses |= self._additions(source, driving, made)
        if made.lower is not None:
            one, other = made.upper.middle, made.lower.middle
            losses["feature"] = self.weights.feature_weight * feature_difference(
                one.appearance, other.appearance
            )
            if self.supervision.similarity:
                losses |= self._similarity(source, driving, made.upper, made.lower)
        return losses

    def _base_losses(self, driving: Tensor, made: AnytimeReconstruction) -> dict[str, Tensor]:
        preset = self.weights
        found = made.of_driving.keypoints
        losses = {"equivariance_value": preset.equivariance_weight * self._equivariance(driving, found)}
        if preset.warp_weight:
            warped = self._warp_loss(made.upper, made.of_driving)
            if made.lower is not None:
                warped = warped + self._warp_loss(made.lower, made.of_source)
            losses["warp"] = preset.warp_weight * warped
        if made.background is not None and made.back is not None:
            losses["background"] = preset.background_weight * background_loss(made.background, made.back)
        return losses

    def _warp_loss(self, passage: Passage, end: View) -> Tensor:
        """Of the second stage; the mean over its views."""
        network = self.animation.inpainting_network
        terms = [
            warp_loss(network, view.appearance, end.appearance, motion.deformation, motion.occlusion_maps)
            for view, motion in zip(passage.views, passage.motions, strict=True)
        ]
        return torch.stack(terms).mean()

    def _additions(self, source: Tensor, driving: Tensor, made: AnytimeReconstruction) -> dict[str, Tensor]:
        """What the recipe adds: here on the way back, as there is none on it elsewhere, and the coarse difference."""
        losses, additions, lower = {}, self.weights.recipe.additions, made.lower
        coarse = coarse_difference(made.upper.deformed, driving)
        if lower is not None:
            coarse = coarse + coarse_difference(lower.deformed, source)
            if additions.l1_weight:
                losses["l1_back"] = additions.l1_weight * (lower.prediction - source).abs().mean()
            if additions.deformed_weight:
                losses["deformed_back"] = additions.deformed_weight * (lower.deformed - source).abs().mean()
        if self.weights.coarse_weight:
            losses["coarse"] = self.weights.coarse_weight * coarse
        return losses

    def _similarity(
        self, source: Tensor, driving: Tensor, upper: Passage, lower: Passage
    ) -> dict[str, Tensor]:
        """Appearance and structure of the images between, and the structure of both ends.

        Source: Anytime, eq. 7 and 8.
        """
        look: Callable = self.animation.appearance
        literal = self.supervision.literal_norms
        with torch.no_grad():
            real_source, real_driving = look(source), look(driving)
        one, other = look(upper.middle.image), look(lower.middle.image)
        structure = (
            structure_difference(one, other, literal=literal)
            + structure_difference(real_source, look(lower.prediction), literal=literal)
            + structure_difference(real_driving, look(upper.prediction), literal=literal)
        )
        return {
            "appearance": self.weights.appearance_weight * appearance_difference(one, other, literal=literal),
            "structure": self.weights.structure_weight * structure,
        }
