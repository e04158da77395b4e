"""Loss terms between two images that should be one: encoder features, appearance and structure."""

from __future__ import annotations

import torch
from torch import Tensor

from ..blocks.vision_transformer import TransformerFeatures
from ..blocks.warping_generator import Appearance


def feature_difference(one: Appearance, other: Appearance) -> Tensor:
    """Sum over the encoder's resolutions of the mean absolute difference; the gradient reaches both.

    Source: Anytime, eq. 6.
    """
    pairs = zip(one.features, other.features, strict=True)
    return torch.stack([(a - b).float().abs().mean() for a, b in pairs]).sum()


def appearance_difference(
    one: TransformerFeatures, other: TransformerFeatures, *, literal: bool = False
) -> Tensor:
    """Length of the difference of the class tokens, mean over the batch.

    Args:
        literal: as printed; otherwise the root mean square, which is of the size of the other losses.

    Source: Anytime, eq. 7.
    """
    difference = (one.appearance - other.appearance).float()
    lengths = difference.norm(dim=-1)
    return (lengths if literal else lengths / difference.shape[-1] ** 0.5).mean()


def structure_difference(
    one: TransformerFeatures, other: TransformerFeatures, *, literal: bool = False
) -> Tensor:
    """Frobenius norm of the difference of the self-similarities, mean over the batch.

    Args:
        literal: as printed; otherwise the root mean square, which is of the size of the other losses.

    Source: Anytime, eq. 8.
    """
    difference = one.self_similarity() - other.self_similarity()
    norms = difference.flatten(1).norm(dim=-1)
    return (norms if literal else norms / difference.shape[-1]).mean()
