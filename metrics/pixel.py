"""L1 and PSNR: how far pixels are from the target's."""

from __future__ import annotations

import numpy as np
import torch

from benchbed.interfaces.metric import Sample

from .paired import paired_frames


class MeanAbsoluteError:
    """L1: mean absolute difference of pixel values in [0, 1].

    Source: scripts of FOMM and its descendants (mean over frames), of Monkey-Net and LIA (mean over videos).
    """

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """Mean of |generated - target| over pixels and channels, `(N,)`, in units of the full range."""
        first, second = paired_frames(generated, target)
        return (first - second).abs_().mean(dim=(1, 2, 3), dtype=torch.float64).cpu().numpy()

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """1: black against white."""
        return 1.0


class PeakSignalToNoiseRatio:
    """PSNR in dB with a peak of 1.

    Args:
        cap: largest value a frame can get, dB; None leaves identical frames at infinity.
    """

    def __init__(self, cap: float | None = None) -> None:
        self._cap = cap

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """10 log10(1 / mean squared error) per frame, `(N,)`, dB; +inf for identical frames unless capped."""
        first, second = paired_frames(generated, target)
        squared_error = (first - second).square_().mean(dim=(1, 2, 3), dtype=torch.float64).cpu().numpy()
        with np.errstate(divide="ignore"):
            decibels = -10.0 * np.log10(squared_error)
        return decibels if self._cap is None else np.minimum(decibels, self._cap)

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """None: the frames left out are the identical ones, which are the best and not the worst."""
        return None
