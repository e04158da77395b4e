"""Mean and covariance of sets of feature vectors: mergeable, in float64, exact for few vectors and for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# So many vectors at most are centred at once: 64 MiB in float64 with 2048 dimensions.
VECTORS_AT_ONCE = 4096


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
        return Moments.union([_scattered(part) for part in _blocks(rows)])

    @staticmethod
    def union(parts: list[Moments]) -> Moments:
        """The moments of all vectors of the parts together; at least one part."""
        waiting: list[np.ndarray] = []
        n_waiting, total = 0, None
        for part in parts:
            if part.rows is None:
                total = part if total is None else _add(total, part)
                continue
            waiting.append(part.rows)
            n_waiting += part.n
            if n_waiting > max(VECTORS_AT_ONCE, part.rows.shape[1]):
                total = _add_rows(total, np.concatenate(waiting))
                waiting, n_waiting = [], 0
        if waiting and total is None:
            return Moments.of(np.concatenate(waiting))
        return total if total is not None and not n_waiting else _add_rows(total, np.concatenate(waiting))

    @property
    def finite(self) -> bool:
        """False where a vector held NaN or infinity."""
        return all(np.isfinite(held).all() for held in (self.rows, self.scatter) if held is not None)

    def equals(self, other: Moments) -> bool:
        """True for bitwise equal moments (of equal vectors in equal order)."""
        pairs = ((self.rows, other.rows), (self.mean, other.mean), (self.scatter, other.scatter))
        return self.n == other.n and all(
            ours is theirs or (ours is not None and theirs is not None and np.array_equal(ours, theirs))
            for ours, theirs in pairs
        )

    def summary(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean float64 `[D]` and a factor F float64 `[r, D]` of the covariance: F^T F, divisor n - 1; n >= 2."""
        if self.rows is None:
            mean, scatter = _mean_and_scatter(self)
            return mean, covariance_factor(scatter / (self.n - 1))
        mean, centred = _centre(self.rows)
        # n centred rows sum to zero: the reflection that maps (1, ..., 1) to an axis leaves n - 1 of them.
        reflected = centred[1:] + centred[0] / (np.sqrt(self.n) - 1)
        return mean, reflected / np.sqrt(self.n - 1)


def without_each(groups: list[Moments], others: tuple[Moments, ...] = ()) -> Iterator[Moments]:
    """The moments of all groups but one, for each in turn; at least two groups.

    Halves are merged into the rest again and again, so that G groups take G log G merges and nothing is
    subtracted: every result is as exact as a union.
    """
    if len(groups) == 1:
        yield Moments.union(list(others))
        return
    middle = len(groups) // 2
    first, second = groups[:middle], groups[middle:]
    yield from without_each(first, (Moments.union([*others, *second]),))
    yield from without_each(second, (Moments.union([*others, *first]),))


def covariance_factor(covariance: np.ndarray) -> np.ndarray:
    """A matrix F `[r, D]` with F^T F = covariance `[D, D]`; a singular covariance of rank r gives r rows.

    It is the Cholesky factor, pivoted where the covariance is singular. Rank is judged after scaling to unit
    variances, so that a dimension with small values counts like any other.
    """
    deviations = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    scale = np.where(deviations > 0, deviations, 1.0)
    correlation = covariance / scale / scale[:, None]
    # Rounding of a correlation matrix: smaller pivots are zeros, whose roots would not be small.
    zero = len(correlation) * np.finfo(np.float64).eps
    try:
        lower = np.linalg.cholesky(correlation)
        if np.diagonal(lower).min() ** 2 > zero:
            return lower.T * scale
    except np.linalg.LinAlgError:
        pass  # singular: below
    return _singular_factor(correlation, zero) * scale


def _singular_factor(correlation: np.ndarray, zero: float) -> np.ndarray:
    from scipy.linalg.lapack import dpstrf

    upper, order, rank, _ = dpstrf(correlation, tol=zero)
    factor = np.empty((rank, len(correlation)))
    factor[:, order - 1] = np.triu(upper)[:rank]
    missed = np.linalg.norm(factor.T @ factor - correlation)
    if missed <= zero * np.linalg.norm(correlation):
        return factor
    # No true covariance: one that was rounded to float32, say, with negative eigenvalues.
    values, vectors = np.linalg.eigh(correlation)
    kept = values > values[-1] * zero
    return np.sqrt(values[kept])[:, None] * vectors[:, kept].T


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), VECTORS_AT_ONCE):
        yield rows[start : start + VECTORS_AT_ONCE]


def _scattered(rows: np.ndarray) -> Moments:
    mean, centred = _centre(rows)
    return Moments(len(rows), mean=mean, scatter=centred.T @ centred)


def _centre(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centred = rows.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite values become NaN, which `finite` finds
        mean = centred.mean(axis=0)
        centred -= mean
        # The rounding of a mean of many large values is itself a shift; the second pass removes it.
        rest = centred.mean(axis=0)
        centred -= rest
    return mean + rest, centred


def _mean_and_scatter(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    if moments.mean is not None and moments.scatter is not None:
        return moments.mean, moments.scatter
    mean, centred = _centre(np.asarray(moments.rows))
    return mean, centred.T @ centred


def _add_rows(total: Moments | None, rows: np.ndarray) -> Moments:
    for block in _blocks(rows):
        total = _scattered(block) if total is None else _add(total, _scattered(block))
    if total is None:
        raise ValueError("a union needs at least one part")
    return total


def _add(first: Moments, second: Moments) -> Moments:
    """Source: Chan, Golub and LeVeque 1979, equation 2.1."""
    mean_1, scatter_1 = _mean_and_scatter(first)
    mean_2, scatter_2 = _mean_and_scatter(second)
    n = first.n + second.n
    shift = mean_2 - mean_1
    scatter = np.outer(shift, shift * (first.n * second.n / n))
    scatter += scatter_1
    scatter += scatter_2
    return Moments(n, mean=mean_1 + shift * (second.n / n), scatter=scatter)
