"""The FID Inception beside pytorch-fid's, its resize rules beside the tools' own, on real frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchbed.errors import BenchbedError, CheckpointError
from benchbed.frames import to_float
from benchbed.metrics.evaluators import inception
from benchbed.metrics.evaluators.inception import InceptionEvaluator, build, load_network, prepare
from benchbed.metrics.evaluators.resizing import RESIZES, resize_clean, resize_tensorflow
from benchbed.metrics.evaluators.winograd import WinogradConvolution

from .feature_networks import library_inception, random_tensors, real_frames

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tensors():
    return random_tensors(inception._network().state_dict(), seed=3)


@pytest.fixture(scope="module")
def evaluator(tensors):
    return InceptionEvaluator(prepare(load_network(tensors), CPU), "random")


@pytest.mark.parametrize("clip", ["vox/lia_driving2.mp4", "vox/tpsmm_driving.mp4"])
def test_features_equal_pytorch_fid_one_image_at_a_time(shared, monkeypatch, tensors, evaluator, clip):
    library = library_inception(monkeypatch, tensors)
    frames = to_float(real_frames(shared, 5, clip=clip))
    with torch.no_grad():
        expected = torch.cat([library(frame[None])[0].flatten(1) for frame in frames])
    # Folded norms and another order of sums: float32 noise on features of size 1.
    np.testing.assert_allclose(evaluator(frames).vectors, expected, rtol=0, atol=1e-4)


def test_the_batch_changes_nothing_beyond_float_noise(evaluator):
    frames = torch.rand(5, 3, 61, 47, generator=torch.Generator().manual_seed(0))
    single = torch.cat([evaluator(frame[None]).vectors for frame in frames])
    np.testing.assert_allclose(evaluator(frames).vectors, single, rtol=0, atol=2e-5)


def test_on_a_cpu_no_batch_norm_is_left_and_wide_convolutions_are_quick(evaluator):
    kinds = [type(module) for module in evaluator.modules()]
    assert torch.nn.BatchNorm2d not in kinds
    assert WinogradConvolution in kinds


def test_weights_may_lack_step_counters_but_nothing_else(tensors):
    given = {name: t for name, t in tensors.items() if not name.endswith("num_batches_tracked")}
    load_network(given)
    del given["Mixed_7c.branch1x1.conv.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing \(Mixed_7c.branch1x1.conv.weight"):
        load_network(given)


def test_a_changed_tensor_changes_the_probe(tensors, evaluator):
    changed = dict(tensors)
    changed["Mixed_5d.branch5x5_2.bn.running_var"] = 1.5 * tensors["Mixed_5d.branch5x5_2.bn.running_var"]
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    before = evaluator.probe(frames)
    after = InceptionEvaluator(prepare(load_network(changed), CPU), "changed").probe(frames)
    assert before.shape == (2 * 2048,)
    assert (before - after).abs().max() > 1e-3 * before.abs().max()


@pytest.mark.parametrize("clip", ["vox/lia_driving2.mp4", "vox/tpsmm_driving.mp4"])
def test_the_clean_resize_equals_clean_fid(shared, clip):
    library = pytest.importorskip("cleanfid.resize").make_resizer("PIL", False, "bicubic", (299, 299))
    frames = real_frames(shared, 2, clip=clip)
    expected = np.stack([library(frame.permute(1, 2, 0).numpy()) for frame in frames])
    ours = resize_clean(to_float(frames)).permute(0, 2, 3, 1).numpy() * 128 + 128
    # On 0..255; PIL sums in double precision, we in float32.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("clip", ["vox/lia_driving2.mp4", "vox/tpsmm_driving.mp4"])
def test_the_tensorflow_resize_equals_torch_fidelity(shared, clip):
    library = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    frames = real_frames(shared, 2, clip=clip)
    expected = library.interpolate_bilinear_2d_like_tensorflow1x(
        frames.float(), size=(299, 299), align_corners=False
    )
    ours = resize_tensorflow(to_float(frames)) * 128 + 128
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(512, 640), (31, 512)])
def test_frames_that_shrink_are_antialiased_by_the_clean_rule_alone(size):
    # Stripes one pixel wide vanish into grey where the resize looks at all pixels.
    stripes = torch.zeros(1, 3, *size)
    stripes[..., ::2] = 1.0
    spread = {name: float(resize(stripes).std()) for name, resize in RESIZES.items()}
    assert spread["clean"] < 0.15 < min(spread["pytorch-fid"], spread["tensorflow"])


def test_each_resize_gives_other_features_under_another_fingerprint(monkeypatch, tmp_path, tensors):
    torch.save(tensors, tmp_path / "inception.pth")
    monkeypatch.setattr(inception, "find_weights", lambda name: tmp_path / "inception.pth")
    frames = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(2))
    built = {resize: build(device=CPU, resize=resize) for resize in RESIZES}
    names = [network.fingerprint.partition(":")[0] for network in built.values()]
    assert names == ["inception-fid", "inception-fid-clean", "inception-fid-tensorflow"]
    vectors = [network(frames).vectors for network in built.values()]
    assert min((one - other).abs().max() for i, one in enumerate(vectors) for other in vectors[:i]) > 1e-3
    with pytest.raises(BenchbedError, match="unknown resize rule 'lanczos'"):
        build(device=CPU, resize="lanczos")


@pytest.mark.parametrize(("padding", "size"), [(1, (15, 15)), (0, (9, 12)), (1, (3, 5)), ((0, 1), (17, 6))])
def test_a_quick_convolution_equals_the_direct_one_at_any_size(padding, size):
    generator = torch.Generator().manual_seed(4)
    layer = torch.nn.Conv2d(64, 80, 3, padding=padding).requires_grad_(False)
    frames = torch.randn(2, 64, *size, generator=generator)
    exact = functional.conv2d(frames.double(), layer.weight.double(), layer.bias.double(), padding=padding)
    # 3e-6 of the largest output is typical; seven times that is far below any wrong tile.
    bound = 2e-5 * float(exact.abs().max())
    np.testing.assert_allclose(WinogradConvolution(layer)(frames), exact, rtol=0, atol=bound)
