"""L1 and PSNR by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import Sample
from benchbed.metrics.pixel import MeanAbsoluteError, PeakSignalToNoiseRatio


def grey(*levels: float, side: int = 4) -> Sample:
    """One frame of a single grey level each."""
    return Sample(torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, side, side))


def noise(seed: int, frames: int = 5, side: int = 12) -> Sample:
    return Sample(torch.rand(frames, 3, side, side, generator=torch.Generator().manual_seed(seed)))


def test_l1_of_grey_levels_is_their_difference():
    scores = MeanAbsoluteError().per_frame(grey(0.5, 1.0, 0.25), grey(0.25, 0.0, 0.25))
    np.testing.assert_array_equal(scores, [0.25, 1.0, 0.0])
    assert scores.dtype == np.float64


def test_psnr_of_a_uniform_error_of_a_tenth_is_20_db():
    # 0.6 and 0.5 are rounded to float32: 1e-7 / 0.1 relative, 1e-5 dB.
    assert PeakSignalToNoiseRatio().per_frame(grey(0.6), grey(0.5)) == pytest.approx(20.0, abs=1e-4)


def test_psnr_of_identical_frames_is_infinite_and_can_be_capped():
    same, other = grey(0.5, 0.5), grey(0.5, 1.0)
    assert PeakSignalToNoiseRatio().per_frame(same, other).tolist() == [
        math.inf,
        pytest.approx(6.0206, abs=1e-4),
    ]
    assert PeakSignalToNoiseRatio(cap=100.0).per_frame(same, other)[0] == 100.0


def test_the_mean_of_psnr_is_not_the_psnr_of_the_mean():
    scores = PeakSignalToNoiseRatio().per_frame(grey(0.1, 0.5), grey(0.0, 0.0))
    of_mean_error = -10 * math.log10((0.01 + 0.25) / 2)
    assert scores.mean() - of_mean_error > 4


@pytest.mark.parametrize("metric", [MeanAbsoluteError(), PeakSignalToNoiseRatio()])
def test_one_frame_at_a_time_gives_the_same_as_a_batch(metric):
    first, second = noise(0), noise(1)
    single = [
        metric.per_frame(Sample(first.frames[i : i + 1]), Sample(second.frames[i : i + 1])).item()
        for i in range(5)
    ]
    # float64 sums in another order.
    np.testing.assert_allclose(metric.per_frame(first, second), single, rtol=1e-12)


def test_frames_of_other_shapes_are_refused_with_both_shapes():
    with pytest.raises(BenchbedError, match=r"\[1, 3, 4, 4\].*\[1, 3, 8, 8\]"):
        MeanAbsoluteError().per_frame(grey(0.5), grey(0.5, side=8))
