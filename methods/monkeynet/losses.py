"""Monkey-Net's training losses; every function gives one number per image, without a weight that is no argument."""

from __future__ import annotations

from torch import Tensor

from ..blocks.patch_discriminator import PatchScores


def mean_per_image(values: Tensor) -> Tensor:
    """Means over all but the first axis, `(B, ...)` -> `(B,)`."""
    return values.flatten(1).mean(1)


def reconstruction_losses(
    image: Tensor, generated: Tensor, real: PatchScores, fake: PatchScores, weights: tuple[float, ...]
) -> list[Tensor]:
    """Weight x mean |real - generated| of the image itself and of every block of the discriminator, `(B,)` each.

    The real side keeps its gradient, as published.
    """
    pairs = zip((image, *real.features), (generated, *fake.features), weights, strict=True)
    return [weight * mean_per_image((one - other).abs()) for one, other, weight in pairs]


def deformed_loss(image: Tensor, deformed: Tensor) -> Tensor:
    """Mean |image - warped source|, `(B,)`."""
    return mean_per_image((image - deformed).abs())


def generator_gan_loss(fake: PatchScores) -> Tensor:
    """Mean (1 - D(generated))^2, `(B,)`."""
    return mean_per_image((1 - fake.scores).square())


def discriminator_gan_loss(real: PatchScores, fake: PatchScores) -> Tensor:
    """Mean (1 - D(real))^2 + D(generated)^2, `(B,)`."""
    return mean_per_image((1 - real.scores).square() + fake.scores.square())
