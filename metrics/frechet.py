"""FID: Fréchet distance between Gaussians fitted to the pooled features of two sets of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import SetFeatures

from .feature_rows import TwoRowSets
from .moments import Moments, without_each

# The fast sum of singular values is taken where its rounding cannot matter by this share of the distance.
NEGLIGIBLE = 3e-7
SEGMENT_FRAMES = 16


def frechet_distance(
    mean_1: np.ndarray, factor_1: np.ndarray, mean_2: np.ndarray, factor_2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)) for covariances S = F^T F.

    The last trace is the sum of the singular values of F1 F2^T: eigenvalues of S1 S2 are their squares. No
    matrix root is needed, and with n and m centred samples as factors the matrix is only n x m.

    Args:
        mean_1, mean_2: float64 `[D]`.
        factor_1, factor_2: float64 `[r, D]`, any r (`covariance_factor`, `Moments.summary`).

    Source: Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017, equation 6.
    """
    apart = float(((mean_1 - mean_2) ** 2).sum() + (factor_1**2).sum() + (factor_2**2).sum())
    product = factor_1 @ factor_2.T
    if not product.size:
        return apart
    common, rounding = sum_of_singular_values(product)
    if not 2.0 * rounding <= NEGLIGIBLE * (apart - 2.0 * common):
        common = float(np.linalg.svd(product, compute_uv=False).sum())
    # The distance cannot be negative; rounding makes it so for nearly equal sets.
    return max(apart - 2.0 * common, 0.0)


def sum_of_singular_values(matrix: np.ndarray) -> tuple[float, float]:
    """The sum by the eigenvalues of the smaller Gram matrix, and how far rounding may have moved it.

    A third of the time of a singular value decomposition, but squares lose small singular values: an
    eigenvalue moves by eps times the largest, to either side, and its root by that over twice the root. Where
    a root is lost altogether, the second number is infinite.
    """
    gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    values = np.linalg.eigvalsh(gram)
    moved = np.finfo(np.float64).eps * values[-1]
    if values[0] <= 4.0 * moved:
        return float("nan"), float("inf")
    return float(np.sqrt(values).sum()), float(moved / 2.0 * np.sqrt((1.0 / values).sum()))


@dataclass(frozen=True)
class TwoSets:
    """The moments of generated and of real frames."""

    generated: Moments
    real: Moments


class FrechetDistance:
    """FID between all generated and all real rows; the features belong to the evaluator."""

    def statistics(self, generated: SetFeatures, target: SetFeatures) -> TwoSets:
        """Moments of the features of one case.

        Raises:
            BenchbedError: the two sides do not come from one evaluator.
        """
        rows = TwoRowSets.of(generated, target)
        return TwoSets(Moments.of(rows.generated), Moments.of(rows.real))

    def merge(self, parts: list[TwoSets]) -> TwoSets:
        """Moments of the union."""
        return TwoSets(
            Moments.union([part.generated for part in parts]), Moments.union([part.real for part in parts])
        )

    def finish(self, statistics: TwoSets) -> float:
        """FID; exactly 0 for equal rows, NaN with fewer than two rows on a side or features not finite."""
        generated, real = statistics.generated, statistics.real
        if min(generated.n, real.n) < 2 or not generated.finite or not real.finite:
            return float("nan")
        if generated.equals(real):
            return 0.0
        return frechet_distance(*generated.summary(), *real.summary())

    def finish_without_each(self, groups: list[TwoSets]) -> list[float]:
        """FID of all groups but one, for each in turn: each as exact as `finish` of the others."""
        if len(groups) < 2:
            return []
        pairs = zip(
            without_each([group.generated for group in groups]),
            without_each([group.real for group in groups]),
            strict=True,
        )
        return [self.finish(TwoSets(generated, real)) for generated, real in pairs]


class VideoFrechetDistance(FrechetDistance):
    """Fréchet distance between features of segments of 16 frames from the beginnings of videos.

    A segment counts where its last frame is not the last one looked at: the released extractor stops before a
    segment that would end there. 100 frames give 6 segments, 32 give 1, 16 none.

    Args:
        first_frames: how many frames of a video are looked at.
    """

    def __init__(self, first_frames: int = 100) -> None:
        if first_frames <= SEGMENT_FRAMES:
            raise BenchbedError(
                f"video FID over the first {first_frames} frames has no segment of {SEGMENT_FRAMES}; "
                f"give first_frames above {SEGMENT_FRAMES}"
            )
        self.first_frames = first_frames

    def statistics(self, generated: SetFeatures, target: SetFeatures) -> TwoSets:
        """Moments of the segments that count, of one pair of videos."""
        return super().statistics(self._beginning(generated), self._beginning(target))

    def _beginning(self, features: SetFeatures) -> SetFeatures:
        segments = max(min(features.frames, self.first_frames) - 1, 0) // SEGMENT_FRAMES
        return SetFeatures(features.vectors[:segments], features.frames)
