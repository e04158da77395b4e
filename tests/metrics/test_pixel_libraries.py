"""PSNR, SSIM and MS-SSIM of real frames against scikit-image and pytorch-msssim."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.datasets.video_io import read_video
from benchbed.frames import to_float
from benchbed.interfaces.metric import Sample
from benchbed.plan import metric_variants
from benchbed.registry import load_entry

CLIPS = ("vox/lia_driving1.mp4", "taichi/lia_driving2.mp4", "ted/lia_driving1.mp4")


@pytest.fixture(scope="module", params=CLIPS)
def pair(request, shared):
    """First frame and three later ones of a clip, as source and target of a reconstruction that stands still."""
    video = read_video(shared / "data" / "clips" / request.param).frames
    later = video[[len(video) // 4, len(video) // 2, len(video) - 1]]
    target = to_float(torch.from_numpy(later).permute(0, 3, 1, 2))
    return to_float(torch.from_numpy(video[:1]).permute(0, 3, 1, 2)).expand_as(target).contiguous(), target


def scores(variant: str, pair) -> np.ndarray:
    card, table = metric_variants((variant,))[0]
    metric = load_entry(table["entry"], owner=card.name)(**table["params"])
    return metric.per_frame(Sample(pair[0]), Sample(pair[1]))


def images(pair):
    generated, target = (frames.permute(0, 2, 3, 1).double().numpy() for frames in pair)
    return zip(target, generated, strict=True)


def test_psnr_equals_scikit_image(pair):
    library = pytest.importorskip("skimage.metrics")
    expected = [library.peak_signal_noise_ratio(*frames, data_range=1) for frames in images(pair)]
    np.testing.assert_allclose(scores("psnr/finite-frames", pair), expected, rtol=1e-5)


def test_ssim_equals_scikit_image_with_the_gaussian_window(pair):
    library = pytest.importorskip("skimage.metrics")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = [library.structural_similarity(*frames, channel_axis=2, **options) for frames in images(pair)]
    np.testing.assert_allclose(scores("ssim/gaussian-frames", pair), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "name"), [("ssim/gaussian-frames", "ssim"), ("ms-ssim/gaussian-frames", "ms_ssim")]
)
def test_ssim_and_ms_ssim_equal_pytorch_msssim(pair, variant, name):
    library = pytest.importorskip("pytorch_msssim")
    generated, target = (frames.double() for frames in pair)
    expected = getattr(library, name)(generated, target, data_range=1, size_average=False).numpy()
    np.testing.assert_allclose(scores(variant, pair), expected, rtol=0, atol=1e-5)
