"""AED and CSIM: how far the embedding of a generated frame is from that of its target."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.interfaces.evaluator import ExpressionFeatures, IdentityFeatures
from benchbed.interfaces.metric import Sample

from .paired import role_features

FORMS = ("squared", "rooted", "mean-square")


class AverageEmbeddingDistance:
    """AED between the embeddings as the network gives them.

    Args:
        form: `squared` sum of squared differences, `rooted` its root (L2 norm), `mean-square` the sum over D.
        unit_length: the embeddings are known to have length 1, which bounds the distance of a missing frame.

    Source: the field's pose-evaluation script computes `squared`; papers write the L2 norm.
    """

    def __init__(self, form: str = "squared", unit_length: bool = False) -> None:
        if form not in FORMS:
            raise BenchbedError(f"unknown AED form '{form}'; known: {', '.join(FORMS)}")
        self._form = form
        self._unit_length = unit_length

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """AED of each frame, `(N,)`, at least 0; NaN where a side has nothing to embed."""
        first, second, found = _embeddings(generated, target)
        squared = ((first - second) ** 2).sum(axis=1)
        if self._form == "rooted":
            squared = np.sqrt(squared)
        elif self._form == "mean-square":
            squared = squared / first.shape[1]
        return np.where(found, squared, np.nan)

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """4 (rooted: 2) for opposite vectors of unit length; None where lengths, or D, are open."""
        if not self._unit_length or self._form == "mean-square":
            return None
        return 2.0 if self._form == "rooted" else 4.0


class AverageExpressionDistance:
    """The talking-head literature's AED: mean absolute difference of 3-D face model expression coefficients."""

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """The distance of each frame, `(N,)`, at least 0; NaN where a side has no face."""
        first, second = role_features(generated, target, "expression", ExpressionFeatures)
        difference = _numbers(first.coefficients) - _numbers(second.coefficients)
        found = (first.found & second.found).cpu().numpy()
        return np.where(found, np.abs(difference).mean(axis=1), np.nan)

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """None: coefficients are not bounded."""
        return None


class CosineSimilarity:
    """CSIM: cosine of the angle between two embeddings, 1 - |a/|a| - b/|b||^2 / 2.

    That form equals the scalar product of the unit vectors and is exactly 1 for equal ones.
    """

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """CSIM of each frame, `(N,)`, in [-1, 1]; NaN where a side has nothing to embed or a zero vector."""
        first, second, found = _embeddings(generated, target)
        cosine = 1.0 - ((_unit(first) - _unit(second)) ** 2).sum(axis=1) / 2.0
        return np.where(found, np.maximum(cosine, -1.0), np.nan)

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """-1: opposite directions."""
        return -1.0


def _embeddings(generated: Sample, target: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = role_features(generated, target, "identity", IdentityFeatures)
    found = (first.found & second.found).cpu().numpy()
    return _numbers(first.vectors), _numbers(second.vectors), found


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.divide(vectors, length, out=np.full_like(vectors, np.nan), where=length > 0)
