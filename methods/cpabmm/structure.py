"""The structure of an image as a vision transformer sees it, for the structure loss."""

from __future__ import annotations

import torch
from torch import Tensor

from ..blocks.vision_transformer import FrozenTransformer


def key_self_similarity(keys: Tensor) -> Tensor:
    """Cosine similarity of every two tokens, `(tokens, tokens)`.

    Args:
        keys: `(heads, tokens, width)`, keys of one attention layer.

    Source: CPABMM, section 3.4; the product of the norms is held above 1e-8.
    """
    joined = keys.transpose(0, 1).flatten(1)
    lengths = joined.norm(dim=1)
    return joined @ joined.T / (lengths[:, None] * lengths).clamp(min=1e-8)


def structure_loss(transformer: FrozenTransformer, generated: Tensor, real: Tensor) -> Tensor:
    """Sum over the batch of the mean squared difference of the self-similarities of two images `(B, 3, H, W)`.

    The gradient reaches the generated images alone.

    Source: CPABMM, section 3.4; the published weight is 0.1.
    """
    with torch.no_grad():
        wanted = transformer(real).self_similarity()
    found = transformer(generated).self_similarity()
    return (found - wanted).square().mean(dim=(1, 2)).sum()
