"""SSIM and MS-SSIM: identities, and agreement with independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.interfaces.metric import Sample
from benchbed.metrics.ssim import MultiScaleStructuralSimilarity, StructuralSimilarity


def pair(height: int, width: int, noise: float, frames: int = 2) -> tuple[Sample, Sample]:
    """Smooth random images and noisy versions of them."""
    generator = torch.Generator().manual_seed(height + width)
    coarse = torch.rand(frames, 3, 9, 9, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    smooth = smooth.clamp(0, 1)
    noisy = (smooth + noise * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)
    return Sample(noisy), Sample(smooth)


@pytest.mark.parametrize("metric", [StructuralSimilarity(), MultiScaleStructuralSimilarity()])
def test_identical_frames_score_exactly_one(metric):
    generated, _ = pair(176, 192, 0.1)
    np.testing.assert_array_equal(metric.per_frame(generated, generated), 1.0)


def test_ssim_of_flat_frames_is_the_luminance_term_alone():
    first = Sample(torch.full((1, 3, 16, 16), 0.25))
    second = Sample(torch.full((1, 3, 16, 16), 0.75))
    by_hand = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    # The variance of a flat image is the rounding of its mean square.
    assert StructuralSimilarity().per_frame(first, second) == pytest.approx(by_hand, abs=1e-10)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 48), (33, 57)])
def test_ssim_agrees_with_scikit_image(height, width):
    metrics = pytest.importorskip("skimage.metrics")
    generated, target = pair(height, width, 0.1)
    expected = [
        metrics.structural_similarity(
            first.double().numpy(),
            second.double().numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for first, second in zip(generated.frames, target.frames, strict=True)
    ]
    # Same window and border; both in float64.
    np.testing.assert_allclose(StructuralSimilarity().per_frame(generated, target), expected, atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(176, 192), (161, 170), (200, 181)])
def test_ms_ssim_and_ssim_agree_with_pytorch_msssim(height, width):
    library = pytest.importorskip("pytorch_msssim")
    generated, target = pair(height, width, 0.1)
    first, second = generated.frames.double(), target.frames.double()
    # The library makes its window in float32, which costs 1e-5; given one in float64 it agrees to rounding.
    gauss = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window = (gauss / gauss.sum()).expand(3, 1, 1, 11)
    options = {"data_range": 1.0, "size_average": False, "win": window}
    ms_ssim = library.ms_ssim(first, second, **options).numpy()
    ours = MultiScaleStructuralSimilarity().per_frame(generated, target)
    np.testing.assert_allclose(ours, ms_ssim, atol=1e-9)
    ssim = library.ssim(first, second, **options).numpy()
    np.testing.assert_allclose(StructuralSimilarity().per_frame(generated, target), ssim, atol=1e-9)


def test_a_negative_image_has_negative_ssim_and_zero_ms_ssim():
    generator = torch.Generator().manual_seed(3)
    texture = torch.rand(1, 3, 176, 176, generator=generator)
    first, second = Sample(texture), Sample(1 - texture)
    assert StructuralSimilarity().per_frame(first, second)[0] < 0
    assert MultiScaleStructuralSimilarity().per_frame(first, second)[0] == 0


@pytest.mark.parametrize(
    ("metric", "too_small"), [(StructuralSimilarity(), 10), (MultiScaleStructuralSimilarity(), 160)]
)
def test_frames_too_small_for_the_window_are_refused_and_one_pixel_more_is_scored(metric, too_small):
    generated, target = pair(too_small, 200, 0.1, frames=1)
    with pytest.raises(BenchbedError, match=str(too_small + 1)):
        metric.per_frame(generated, target)
    generated, target = pair(too_small + 1, 200, 0.1, frames=1)
    assert np.isfinite(metric.per_frame(generated, target)).all()


@pytest.mark.parametrize("metric", [StructuralSimilarity(), MultiScaleStructuralSimilarity()])
def test_one_frame_at_a_time_gives_the_same_as_a_batch(metric):
    generated, target = pair(164, 176, 0.2, frames=3)
    single = [
        metric.per_frame(Sample(generated.frames[i : i + 1]), Sample(target.frames[i : i + 1])).item()
        for i in range(3)
    ]
    # float64 sums in another order.
    np.testing.assert_allclose(metric.per_frame(generated, target), single, atol=1e-12)
