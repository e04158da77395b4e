"""The feature rows of two sets of frames, for set metrics that moments do not suffice for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import SetFeatures


@dataclass(frozen=True)
class TwoRowSets:
    """Rows of generated frames float32 `[n, D]` and of real frames float32 `[m, D]`."""

    generated: np.ndarray
    real: np.ndarray

    @staticmethod
    def of(generated: SetFeatures, target: SetFeatures) -> TwoRowSets:
        """The rows of one case.

        Raises:
            BenchbedError: the two sides do not come from one evaluator.
        """
        if generated.vectors.shape[1] != target.vectors.shape[1]:
            raise BenchbedError(
                f"generated frames have features of {generated.vectors.shape[1]} values and real ones of "
                f"{target.vectors.shape[1]}; take both from one evaluator"
            )
        return TwoRowSets(generated.vectors, target.vectors)

    @staticmethod
    def union(parts: list[TwoRowSets]) -> TwoRowSets:
        """All rows, in the order of the parts; at least one part."""
        return TwoRowSets(
            np.concatenate([part.generated for part in parts]), np.concatenate([part.real for part in parts])
        )

    @property
    def finite(self) -> bool:
        """False where a row holds NaN or infinity."""
        return bool(np.isfinite(self.generated).all() and np.isfinite(self.real).all())
