"""L1, PSNR, SSIM and MS-SSIM against what scikit-image and pytorch-msssim gave."""

from __future__ import annotations

import numpy as np
import pytest

from benchbed.interfaces.metric import Sample
from benchbed.plan import metric_variants
from benchbed.registry import load_entry

FIXTURES = ("pixel_metrics",)


@pytest.mark.parametrize(
    ("variant", "key", "bound"),
    [
        ("l1/frames", "l1", "l1"),
        ("psnr/finite-frames", "psnr_skimage", "psnr"),
        ("ssim/gaussian-frames", "ssim_pytorch_msssim", "ssim"),
        ("ssim/gaussian-frames", "ssim_skimage_gaussian_float", "ssim"),
        ("ms-ssim/gaussian-frames", "ms_ssim_pytorch_msssim", "ms_ssim"),
    ],
)
def test_a_variant_equals_the_library_it_names(recorded, variant, key, bound):
    card, table = metric_variants((variant,))[0]
    metric = load_entry(table["entry"], owner=card.name)(**table["params"])
    expected = [value[key] for value in recorded.facts["values"]]
    scores = metric.per_frame(Sample(recorded.frames("image1_u8")), Sample(recorded.frames("image0_u8")))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=recorded.tolerance[bound])
