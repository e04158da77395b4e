"""FID: Fréchet distance between Gaussians fitted to the pooled features of two sets of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchbed.interfaces.evaluator import PooledFeatures
from benchbed.interfaces.metric import Sample

from .paired import role_features


@dataclass(frozen=True)
class Moments:
    """Count, mean and spread of a set of vectors, mergeable; the vectors themselves while they are few.

    Args:
        n: number of vectors.
        rows: float32 `[n, D]` while n <= D, else None.
        mean: float64 `[D]` where `rows` is None.
        scatter: float64 `[D, D]`, sum of products of deviations from the mean, where `rows` is None.
    """

    n: int
    rows: np.ndarray | None = None
    mean: np.ndarray | None = None
    scatter: np.ndarray | None = None

    @staticmethod
    def of(rows: np.ndarray) -> Moments:
        """The moments of vectors `[n, D]`."""
        n, dimensions = rows.shape
        if n <= dimensions:
            return Moments(n, rows=np.ascontiguousarray(rows, dtype=np.float32))
        mean, centred = _centre(rows)
        return Moments(n, mean=mean, scatter=centred.T @ centred)

    @staticmethod
    def union(parts: list[Moments]) -> Moments:
        """The moments of all vectors of the parts together.

        Source: Chan, Golub and LeVeque 1979, equation 2.1, for parts that hold no vectors any more.
        """
        few = [part.rows for part in parts if part.rows is not None]
        many = [part for part in parts if part.rows is None]
        if few:
            together = Moments.of(np.concatenate(few))
            if not many:
                return together
            many.insert(0, together)
        result = many[0]
        for part in many[1:]:
            result = _add(result, part)
        return result

    def summary(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean float64 `[D]` and a factor F float64 `[r, D]` of the covariance: F^T F, divisor n - 1."""
        if self.rows is not None:
            mean, centred = _centre(self.rows)
            return mean, centred / np.sqrt(self.n - 1)
        mean, scatter = _mean_and_scatter(self)
        return mean, covariance_factor(scatter / (self.n - 1))


def covariance_factor(covariance: np.ndarray) -> np.ndarray:
    """A matrix F with F^T F = covariance, `[r, D]`; a singular covariance gives fewer rows than columns."""
    try:
        return np.linalg.cholesky(covariance).T
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        # Eigenvalues below the rounding of the largest one are zeros; their roots would not be small.
        kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
        return np.sqrt(values[kept])[:, None] * vectors[:, kept].T


def frechet_distance(
    mean_1: np.ndarray, factor_1: np.ndarray, mean_2: np.ndarray, factor_2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)) for covariances S = F^T F.

    The last trace is the sum of the singular values of F1 F2^T: eigenvalues of S1 S2 are their squares. No
    matrix root is needed, and with n and m centred samples as factors the matrix is only n x m.

    Source: Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017, equation 6.
    """
    product = factor_1 @ factor_2.T
    common = np.linalg.svd(product, compute_uv=False).sum() if product.size else 0.0
    spread = (factor_1**2).sum() + (factor_2**2).sum() - 2.0 * common
    # The distance cannot be negative; rounding makes it so for equal sets.
    return max(float(((mean_1 - mean_2) ** 2).sum() + spread), 0.0)


@dataclass(frozen=True)
class TwoSets:
    """The moments of generated and of real frames."""

    generated: Moments
    real: Moments


class FrechetDistance:
    """FID between all generated and all real frames; the features belong to the evaluator."""

    def accumulate(self, generated: Sample, target: Sample) -> TwoSets:
        """Moments of the pooled features of some frames."""
        first, second = role_features(generated, target, "pooled", PooledFeatures)
        return TwoSets(Moments.of(_vectors(first)), Moments.of(_vectors(second)))

    def merge(self, parts: list[TwoSets]) -> TwoSets:
        """Moments of the union."""
        return TwoSets(
            Moments.union([part.generated for part in parts]), Moments.union([part.real for part in parts])
        )

    def finish(self, statistics: TwoSets) -> float:
        """FID; NaN with fewer than two frames on a side or with features that are not finite."""
        if min(statistics.generated.n, statistics.real.n) < 2:
            return float("nan")
        summaries = (*_finite_summary(statistics.generated), *_finite_summary(statistics.real))
        return frechet_distance(*summaries) if len(summaries) == 4 else float("nan")

    def to_arrays(self, statistics: TwoSets) -> dict[str, np.ndarray]:
        """Arrays by name: `generated_n` and what the moments hold (`generated_rows`, ...), so for `real`."""
        arrays: dict[str, np.ndarray] = {}
        for side, moments in (("generated", statistics.generated), ("real", statistics.real)):
            arrays[f"{side}_n"] = np.asarray(moments.n)
            for name in ("rows", "mean", "scatter"):
                values = getattr(moments, name)
                if values is not None:
                    arrays[f"{side}_{name}"] = values
        return arrays

    def from_arrays(self, arrays: Mapping[str, np.ndarray]) -> TwoSets:
        """Inverse of `to_arrays`."""
        return TwoSets(_moments_from(arrays, "generated"), _moments_from(arrays, "real"))


def _moments_from(arrays: Mapping[str, np.ndarray], side: str) -> Moments:
    held = {name: arrays.get(f"{side}_{name}") for name in ("rows", "mean", "scatter")}
    return Moments(int(arrays[f"{side}_n"]), **held)


def _centre(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = rows.astype(np.float64)
    mean = values.mean(axis=0)
    return mean, values - mean


def _mean_and_scatter(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    if moments.mean is not None and moments.scatter is not None:
        return moments.mean, moments.scatter
    mean, centred = _centre(np.asarray(moments.rows))
    return mean, centred.T @ centred


def _add(first: Moments, second: Moments) -> Moments:
    mean_1, scatter_1 = _mean_and_scatter(first)
    mean_2, scatter_2 = _mean_and_scatter(second)
    n = first.n + second.n
    shift = mean_2 - mean_1
    scatter = scatter_1 + scatter_2 + np.outer(shift, shift) * (first.n * second.n / n)
    return Moments(n, mean=mean_1 + shift * (second.n / n), scatter=scatter)


def _finite_summary(moments: Moments) -> tuple[np.ndarray, ...]:
    held = [values for values in (moments.rows, moments.scatter) if values is not None]
    return moments.summary() if all(np.isfinite(values).all() for values in held) else ()


def _vectors(features: PooledFeatures) -> np.ndarray:
    return features.vectors.detach().cpu().numpy()
