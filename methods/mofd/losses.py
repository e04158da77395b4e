"""MOFD's own loss terms: motion codes that do not tell who moves, and that the generated image shares."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .domain_discriminator import DomainDiscriminator


def recognition_loss(discriminator: DomainDiscriminator, codes: Tensor, identity: Tensor) -> Tensor:
    """Cross entropy of the identities told from motion codes; the gradient reaches the discriminator alone.

    Args:
        codes: `(B, width)`.
        identity: `(B,)`, numbers of identities.

    Source: MOFD, L_adv of Eq. 16.
    """
    return cross_entropy(discriminator(codes.detach()).float(), identity)


def confusion_loss(discriminator: DomainDiscriminator, codes: Tensor, identity: Tensor) -> Tensor:
    """The same cross entropy, to be maximised; the gradient reaches the codes alone, and not beyond chance.

    Chance, the logarithm of the number of identities, is the goal: what is maximised without a bound diverges.

    Source: MOFD, Eq. 10.
    """
    logits = discriminator.frozen(codes).float()
    return cross_entropy(logits, identity).clamp(max=math.log(logits.shape[1]))


def motion_code_loss(generated: Tensor, driving: Tensor) -> Tensor:
    """Mean absolute difference of motion codes; the driving frames' are the target.

    Source: MOFD, Eq. 11. The target is cut off: otherwise both could shrink to nothing.
    """
    return torch.abs(generated - driving.detach()).mean()
