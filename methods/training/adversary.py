"""Adversarial training on pairs of frames: a discriminator, the terms it gives the generator, its own step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..blocks.antialias import ImagePyramid
from ..blocks.patch_discriminator import PatchScores
from .terms import discriminator_gan_loss, feature_matching_loss, generator_gan_loss


@dataclass(frozen=True)
class Objective:
    """What generator and discriminator make of scores, a scalar each.

    Args:
        generator: of the scores of generated images, of every scale.
        discriminator: of those of real and of generated ones.
    """

    generator: Callable[[Sequence[PatchScores]], Tensor]
    discriminator: Callable[[Sequence[PatchScores], Sequence[PatchScores]], Tensor]


LEAST_SQUARES = Objective(generator_gan_loss, discriminator_gan_loss)


@dataclass(frozen=True)
class Adversary:
    """A discriminator and the weights of its terms.

    Args:
        network: the image at every scale, `(B, 3, H, W)` each, and key points `(B, K, 2)` or None -> the scores
            of every scale.
        scales: of the image pyramid it looks at.
        generator_gan, discriminator_gan: weights of the objective's terms.
        feature_matching: weight per block; empty: no such term.
        objective: how scores become losses.
    """

    network: nn.Module
    scales: tuple[float, ...] = (1.0,)
    generator_gan: float = 1.0
    discriminator_gan: float = 1.0
    feature_matching: tuple[float, ...] = ()
    objective: Objective = LEAST_SQUARES
    _pyramid: ImagePyramid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pyramid", ImagePyramid(self.scales))

    def to(self, device: torch.device) -> None:
        """Move what is not among the trained networks."""
        self._pyramid.to(device)

    def generator_losses(self, real: Tensor, generated: Tensor, points: Tensor | None) -> dict[str, Tensor]:
        """The terms of the generator."""
        judged = self._scores(generated, points)
        losses = {"generator_gan": self.generator_gan * self.objective.generator(judged)}
        if sum(self.feature_matching):
            losses["feature_matching"] = feature_matching_loss(
                self._scores(real, points), judged, self.feature_matching
            )
        return losses

    def discriminator_loss(self, real: Tensor, generated: Tensor, points: Tensor | None) -> Tensor:
        """The discriminator's own loss; no gradient reaches the generator."""
        judged = self._scores(generated.detach(), points)
        return self.discriminator_gan * self.objective.discriminator(self._scores(real, points), judged)

    def _scores(self, frames: Tensor, points: Tensor | None) -> list[PatchScores]:
        return self.network(self._pyramid(frames), points)
