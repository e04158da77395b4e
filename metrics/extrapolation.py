"""FID extrapolated to infinitely many frames."""

from __future__ import annotations

import numpy as np

from benchbed.interfaces.metric import SetFeatures

from .feature_rows import TwoRowSets
from .frechet import FrechetDistance, TwoSets
from .moments import Moments


class InfiniteFrechetDistance:
    """FID at several numbers of frames, a line through them over 1/N, and its value at 1/N = 0.

    In the paper the generated side alone varies, against a fixed large real set. Here the real frames are as
    few as the generated ones and bias FID as much, so both vary together: a subset is one of pairs of a
    generated frame and its target.

    Args:
        points: numbers of frames at which FID is taken, evenly spaced and rounded.
        smallest: the first of them; half of all frames where they are fewer than twice this.
        seed: of the generator that draws a new subset for every number.

    Source: Chong and Forsyth 2020, section 3 (15 numbers from 5000 upwards); deviation: see above.
    """

    def __init__(self, points: int = 15, smallest: int = 5000, seed: int = 0) -> None:
        self.points, self.smallest, self.seed = points, smallest, seed
        self._finite = FrechetDistance()

    def statistics(self, generated: SetFeatures, target: SetFeatures) -> TwoRowSets:
        """The rows of one case."""
        return TwoRowSets.of(generated, target)

    def merge(self, parts: list[TwoRowSets]) -> TwoRowSets:
        """All rows."""
        return TwoRowSets.union(parts)

    def finish(self, statistics: TwoRowSets) -> float:
        """The extrapolated FID, which noise may make negative.

        NaN with fewer than three pairs, with unequal counts (frames without a partner) or features not finite.
        """
        total = len(statistics.generated)
        if total < 3 or total != len(statistics.real) or not statistics.finite:
            return float("nan")
        sizes = self.sizes(total)
        return intercept(1.0 / sizes, self._distances(statistics, sizes))

    def finish_without_each(self, groups: list[TwoRowSets]) -> list[float]:
        """None: it would take all distances again for every group."""
        return []

    def sizes(self, total: int) -> np.ndarray:
        """The numbers of frames at which FID is taken, increasing, the last one all `total`."""
        first = max(2, min(self.smallest, -(-total // 2)))
        return np.unique(np.linspace(first, total, self.points).round().astype(int))

    def _distances(self, statistics: TwoRowSets, sizes: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(self.seed)
        distances = []
        for size in sizes:
            chosen = np.sort(random.choice(len(statistics.generated), size, replace=False))
            moments = TwoSets(Moments.of(statistics.generated[chosen]), Moments.of(statistics.real[chosen]))
            distances.append(self._finite.finish(moments))
        return np.array(distances)


def intercept(x: np.ndarray, y: np.ndarray) -> float:
    """Where the least-squares line through points (x, y), at least two of them, meets x = 0."""
    centred = x - x.mean()
    slope = (centred @ (y - y.mean())) / (centred @ centred)
    return float(y.mean() - slope * x.mean())
