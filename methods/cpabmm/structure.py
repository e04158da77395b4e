"""The structure of an image as a vision transformer sees it, for the structure loss."""

from __future__ import annotations

from torch import Tensor


def key_self_similarity(keys: Tensor) -> Tensor:
    """Cosine similarity of every two tokens, `(tokens, tokens)`.

    Args:
        keys: `(heads, tokens, width)`, keys of one attention layer.

    Source: CPABMM, section 3.4; the product of the norms is held above 1e-8.
    """
    joined = keys.transpose(0, 1).flatten(1)
    lengths = joined.norm(dim=1)
    return joined @ joined.T / (lengths[:, None] * lengths).clamp(min=1e-8)
