"""Loss terms on generated frames: perceptual, adversarial, feature matching.

Every function returns a scalar; none applies a weight that is not an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchbed.errors import BenchbedError

from ..blocks.patch_discriminator import PatchScores

FeatureNetwork = Callable[[Tensor], Sequence[Tensor]]


def perceptual_loss(
    network: FeatureNetwork,
    generated: Sequence[Tensor],
    real: Sequence[Tensor],
    weights: tuple[float, ...],
    *,
    relative: bool = False,
) -> Tensor:
    """Sum over pyramid levels and taps of weight x mean |f(generated) - f(real)|.

    Args:
        network: frames `(B, 3, H, W)` in [0, 1] -> one activation per weight.
        generated, real: the images at every pyramid level.
        relative: divide each tap by the mean absolute activation of the real image, for networks whose
            activations are of no known scale. Not published.

    Raises:
        BenchbedError: the network has another number of taps than there are weights.

    Source: FOMM, section 3.3, after Johnson et al. and pix2pixHD.
    """
    total = generated[0].new_zeros(())
    for fake, target in zip(generated, real, strict=True):
        fake_taps = network(fake)
        with torch.no_grad():
            real_taps = network(target)
        if not len(fake_taps) == len(real_taps) == len(weights):
            raise BenchbedError(
                f"the perceptual network gives {len(fake_taps)} feature maps but there are {len(weights)} "
                "loss weights; choose the preset for this network"
            )
        for fake_tap, real_tap, weight in zip(fake_taps, real_taps, weights, strict=True):
            difference = (fake_tap - real_tap).abs().mean()
            if relative:
                difference = difference / real_tap.abs().mean().clamp_min(1e-6)
            total = total + weight * difference
    return total


def generator_gan_loss(generated: Sequence[PatchScores]) -> Tensor:
    """Sum over scales of mean (1 - D(generated))^2."""
    return torch.stack([(1 - scale.scores).square().mean() for scale in generated]).sum()


def discriminator_gan_loss(real: Sequence[PatchScores], generated: Sequence[PatchScores]) -> Tensor:
    """Sum over scales of mean ((1 - D(real))^2 + D(generated)^2)."""
    terms = [
        ((1 - one.scores).square() + other.scores.square()).mean()
        for one, other in zip(real, generated, strict=True)
    ]
    return torch.stack(terms).sum()


def feature_matching_loss(
    real: Sequence[PatchScores], generated: Sequence[PatchScores], weights: tuple[float, ...]
) -> Tensor:
    """Sum over scales and blocks of weight x mean |f(real) - f(generated)|.

    The real side keeps its gradient, as published.
    """
    total = real[0].scores.new_zeros(())
    for one, other in zip(real, generated, strict=True):
        for fine, fake, weight in zip(one.features, other.features, weights, strict=True):
            total = total + weight * (fine - fake).abs().mean()
    return total
