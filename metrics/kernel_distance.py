"""KID: squared maximum mean discrepancy, with a cubic kernel, between features of two sets of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchbed.interfaces.metric import SetFeatures

from .feature_rows import TwoRowSets

# Kernel values are computed in tiles of this side: 32 MiB in float64.
TILE = 2048


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(x.y / D + 1)^3 of all pairs of rows `[n, D]` and `[m, D]`: float64 `[n, m]`.

    Source: Bińkowski, Sutherland, Arbel and Gretton 2018, section 4.
    """
    values = first.astype(np.float64) @ second.astype(np.float64).T
    values /= first.shape[1]
    values += 1.0
    return values * values * values


def sums_between(
    first: np.ndarray, second: np.ndarray, members_1: np.ndarray, members_2: np.ndarray
) -> np.ndarray:
    """Sums of the kernel between the groups of one set and those of another.

    Args:
        first, second: rows `[n, D]` and `[m, D]`.
        members_1, members_2: float64 `[n, G]` and `[m, H]`, 1 where a row is in a group, else 0.

    Returns:
        float64 `[G, H]`.
    """
    sums = np.zeros((members_1.shape[1], members_2.shape[1]))
    for one in _tiles(len(first)):
        for other in _tiles(len(second)):
            sums += members_1[one].T @ (kernel(first[one], second[other]) @ members_2[other])
    return sums


def sums_within(rows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Sums of the kernel over pairs of different rows of one set, between its groups: float64 `[G, G]`."""
    sums = np.zeros((members.shape[1], members.shape[1]))
    for one in _tiles(len(rows)):
        own = kernel(rows[one], rows[one])
        np.fill_diagonal(own, 0.0)
        sums += members[one].T @ (own @ members[one])
        for other in _tiles(len(rows), start=one.stop):
            part = members[one].T @ (kernel(rows[one], rows[other]) @ members[other])
            sums += part + part.T
    return sums


def discrepancy(within_1: float, within_2: float, between: float, n: int, m: int) -> float:
    """The unbiased squared MMD from sums over pairs of different rows and over pairs of both sets.

    Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, equation 3.
    """
    return float(within_1 / (n * (n - 1)) + within_2 / (m * (m - 1)) - 2.0 * between / (n * m))


class KernelDistance:
    """KID over all pairs of rows; unbiased, so that few frames spread it but do not shift it."""

    def statistics(self, generated: SetFeatures, target: SetFeatures) -> TwoRowSets:
        """The rows of one case."""
        return TwoRowSets.of(generated, target)

    def merge(self, parts: list[TwoRowSets]) -> TwoRowSets:
        """All rows."""
        return TwoRowSets.union(parts)

    def finish(self, statistics: TwoRowSets) -> float:
        """KID; NaN with fewer than two rows on a side or features not finite."""
        return self._values([statistics], [np.ones(1, dtype=bool)])[0]

    def finish_without_each(self, groups: list[TwoRowSets]) -> list[float]:
        """KID of all groups but one, for each in turn, from one pass over all pairs of rows."""
        if len(groups) < 2:
            return []
        return self._values(groups, list(~np.eye(len(groups), dtype=bool)))

    def _values(self, groups: list[TwoRowSets], selections: list[np.ndarray]) -> list[float]:
        """KID of every selection (bool `[G]`) of groups."""
        union = TwoRowSets.union(groups)
        if not union.finite:
            return [float("nan")] * len(selections)
        n = np.array([len(group.generated) for group in groups])
        m = np.array([len(group.real) for group in groups])
        generated, real = _one_hot(n), _one_hot(m)
        within_1, within_2 = sums_within(union.generated, generated), sums_within(union.real, real)
        between = sums_between(union.generated, union.real, generated, real)
        values = []
        for kept in selections:
            counts = int(n[kept].sum()), int(m[kept].sum())
            block = np.ix_(kept, kept)
            sums = within_1[block].sum(), within_2[block].sum(), between[block].sum()
            values.append(discrepancy(*sums, *counts) if min(counts) >= 2 else float("nan"))
        return values


class KernelDistanceOfSubsets(KernelDistance):
    """KID as a mean over random subsets of a fixed size, drawn as torch-fidelity draws them.

    Args:
        subsets: how many subsets.
        size: rows of each side in a subset.
        seed: of the generator.
    """

    def __init__(self, subsets: int = 100, size: int = 1000, seed: int = 2020) -> None:
        self.subsets, self.size, self.seed = subsets, size, seed

    def finish(self, statistics: TwoRowSets) -> float:
        """The mean; NaN with fewer rows on a side than a subset has, or features not finite.

        Source: torch-fidelity 0.3, `kid_features_to_metric`: NumPy's RandomState, generated rows drawn first.
        """
        n, m = len(statistics.generated), len(statistics.real)
        if min(n, m) < max(self.size, 2) or not statistics.finite:
            return float("nan")
        random = np.random.RandomState(self.seed)
        draws = [
            (random.choice(n, self.size, replace=False), random.choice(m, self.size, replace=False))
            for _ in range(self.subsets)
        ]
        # All pairs at once are fewer than those of all subsets, while the sets are small.
        together = n * m <= self.subsets * self.size**2
        sums = self._sums_together(statistics, draws) if together else self._sums_apart(statistics, draws)
        return float(np.mean([discrepancy(*each, self.size, self.size) for each in sums]))

    def finish_without_each(self, groups: list[TwoRowSets]) -> list[float]:
        """None: the spread over overlapping subsets is not that over identities."""
        return []

    def _sums_together(
        self, statistics: TwoRowSets, draws: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[tuple[float, float, float]]:
        generated = np.zeros((len(statistics.generated), len(draws)))
        real = np.zeros((len(statistics.real), len(draws)))
        for index, (first, second) in enumerate(draws):
            generated[first, index], real[second, index] = 1.0, 1.0
        within_1 = np.diagonal(sums_within(statistics.generated, generated))
        within_2 = np.diagonal(sums_within(statistics.real, real))
        between = np.diagonal(sums_between(statistics.generated, statistics.real, generated, real))
        return [(float(a), float(b), float(c)) for a, b, c in zip(within_1, within_2, between, strict=True)]

    def _sums_apart(
        self, statistics: TwoRowSets, draws: list[tuple[np.ndarray, np.ndarray]]
    ) -> list[tuple[float, float, float]]:
        all_rows = np.ones((self.size, 1))
        sums = []
        for first, second in draws:
            one, other = statistics.generated[first], statistics.real[second]
            within_1, within_2 = sums_within(one, all_rows), sums_within(other, all_rows)
            between = sums_between(one, other, all_rows, all_rows)
            sums.append((float(within_1[0, 0]), float(within_2[0, 0]), float(between[0, 0])))
        return sums


def _tiles(count: int, start: int = 0) -> Iterator[slice]:
    for begin in range(start, count, TILE):
        yield slice(begin, min(begin + TILE, count))


def _one_hot(counts: np.ndarray) -> np.ndarray:
    return np.repeat(np.eye(len(counts)), counts, axis=0)
