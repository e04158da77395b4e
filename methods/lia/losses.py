"""LIA's adversarial losses, of scores that are logits; no weight is applied."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ..blocks.patch_discriminator import PatchScores
from ..training.adversary import Objective


def generator_loss(generated: Sequence[PatchScores]) -> Tensor:
    """Mean softplus(-D(generated)), summed over scales."""
    return torch.stack([softplus(-one.scores).mean() for one in generated]).sum()


def discriminator_loss(real: Sequence[PatchScores], generated: Sequence[PatchScores]) -> Tensor:
    """Mean softplus(-D(real)) + mean softplus(D(generated)), summed over scales."""
    pairs = zip(real, generated, strict=True)
    terms = [softplus(-one.scores).mean() + softplus(other.scores).mean() for one, other in pairs]
    return torch.stack(terms).sum()


# Source: LIA, section 3.3.
LOGISTIC = Objective(generator_loss, discriminator_loss)
