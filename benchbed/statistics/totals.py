"""Cases summed by identity: what means, their errors and resamples of identities are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Totals:
    """Sums of weight times value, and of weight, by the one or two identities of a case.

    A case whose source and driving identity are the same belongs to one identity; any other to two. Two cases
    depend on each other where they share an identity in any role: a person who is hard to animate may be hard
    to take the motion from as well.

    Args:
        own_values, own_weights: float64 `(K,)`, cases of one identity.
        shared_values, shared_weights: float64 `(K, K)`, symmetric with zero diagonal: cases of two; None
            where there are none.
        roles: distinct sources and distinct drivers, the smaller of the two numbers.
    """

    own_values: np.ndarray
    own_weights: np.ndarray
    shared_values: np.ndarray | None
    shared_weights: np.ndarray | None
    roles: int

    @property
    def count(self) -> int:
        """Identities."""
        return len(self.own_weights)

    @cached_property
    def value_sums(self) -> np.ndarray:
        """Per identity the sum over all its cases, in either role."""
        return self.own_values if self.shared_values is None else self.own_values + self.shared_values.sum(1)

    @cached_property
    def weight_sums(self) -> np.ndarray:
        """As `value_sums`, of the weights."""
        return (
            self.own_weights if self.shared_weights is None else self.own_weights + self.shared_weights.sum(1)
        )

    @cached_property
    def value_sum(self) -> float:
        """Over all cases, each once."""
        return float((self.own_values.sum() + self.value_sums.sum()) / 2)

    @cached_property
    def weight_sum(self) -> float:
        """Over all cases, each once."""
        return float((self.own_weights.sum() + self.weight_sums.sum()) / 2)

    @property
    def mean(self) -> float:
        """The weighted mean of all cases."""
        return self.value_sum / self.weight_sum

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the standard error."""
        return self.roles - 1

    @cached_property
    def without_each(self) -> np.ndarray | None:
        """The mean without the cases of each identity in turn; None where one of them is in every case, or a value infinite."""
        weights = self.weight_sum - self.weight_sums
        if self.count < 2 or not np.isfinite(self.value_sum) or (weights <= 1e-12 * self.weight_sum).any():
            return None
        return (self.value_sum - self.value_sums) / weights

    @cached_property
    def pair_variance(self) -> float:
        """Variance of the mean if pairs of identities were independent of each other; 0 for cases of one identity."""
        if self.shared_values is None or self.shared_weights is None:
            return 0.0
        residuals = self.shared_values - self.mean * self.shared_weights
        return float((residuals**2).sum() / 2) / self.weight_sum**2

    @cached_property
    def identity_variance(self) -> float:
        """Variance of the mean by the jackknife over identities; NaN where there is none.

        Two cases of the same two identities enter twice, once for each: see `variance`.
        """
        left_out = self.without_each
        if left_out is None or self.freedom < 1:
            return float("nan")
        return float((self.count - 1) / self.count * ((left_out - left_out.mean()) ** 2).sum())

    @cached_property
    def variance(self) -> float:
        """Variance of the mean where all cases that share an identity in either role may depend on each other.

        With sources and drivers from separate sets of people this is the two-way variance V_source + V_driver
        - V_pair. With people in both roles it also holds what their roles have in common, without which
        intervals of such data cover as few as 80 %.

        Source: Aronow, Samii and Assenova 2015, equation 4 (dyadic clusters); Cameron, Gelbach and Miller
        2011, equation 2.4 (two ways); Tukey's jackknife in place of their linear residuals, which are too
        small with few identities.
        """
        return max(self.identity_variance - self.pair_variance, self.pair_variance)

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(np.sqrt(self.variance))


def totals(values: object, weights: object, identities: object, partners: object | None = None) -> Totals:
    """Sum cases by identity; independent of their order.

    Args:
        values: one per case; NaN leaves the case out.
        weights: one per case, 0 leaves it out.
        identities: of the sources.
        partners: identities of the drivers; None: the same.

    Raises:
        ValueError: the lengths differ, or a weight is negative.
    """
    value, weight = np.asarray(values, float), np.asarray(weights, float)
    source = np.asarray(identities, dtype=str)
    driver = source if partners is None else np.asarray(partners, dtype=str)
    if not len(value) == len(weight) == len(source) == len(driver):
        raise ValueError(
            f"{len(value)} values, {len(weight)} weights, {len(source)} identities and {len(driver)} driving "
            "identities; give one of each per case"
        )
    if (weight < 0).any():
        raise ValueError("a weight is negative; weights count frames or clips")
    kept = ~np.isnan(value) & (weight > 0)
    value, weight, source, driver = value[kept], weight[kept], source[kept], driver[kept]
    names, index = np.unique(np.concatenate([source, driver]), return_inverse=True)
    first, second = np.sort(index.reshape(2, -1), axis=0)
    # Sums run in an order of their own, so that the order of the cases does not show in the last digit.
    order = np.lexsort((weight, value, second, first))
    first, second, products, weight = first[order], second[order], (weight * value)[order], weight[order]
    count = len(names)
    own = first == second
    own_sums = [np.bincount(first[own], part[own], minlength=count) for part in (products, weight)]
    shared: list[np.ndarray | None] = [None, None]
    if not own.all():
        shared = [_symmetric(first[~own], second[~own], part[~own], count) for part in (products, weight)]
    roles = min(len(np.unique(source)), len(np.unique(driver)))
    return Totals(own_sums[0], own_sums[1], shared[0], shared[1], roles)


def _symmetric(first: np.ndarray, second: np.ndarray, parts: np.ndarray, count: int) -> np.ndarray:
    upper = np.bincount(first * count + second, parts, minlength=count * count).reshape(count, count)
    return upper + upper.T
