"""Shared network parts: values known by hand, agreement with autograd and numpy, invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from benchbed.errors import BenchbedError
from benchbed.methods.blocks.antialias import AntiAliasDownsample, ImagePyramid, antialias_kernel
from benchbed.methods.blocks.convolution import SingleMapConvolution, convolve_doubled
from benchbed.methods.blocks.gaussians import expected_position, gaussian_maps, spatial_softmax
from benchbed.methods.blocks.grids import coordinate_grid, warp
from benchbed.methods.blocks.hourglass import Hourglass
from benchbed.methods.blocks.linear_maps import apply, inverse, product
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.occlusion import occlude
from benchbed.methods.blocks.patch_discriminator import MultiScaleDiscriminator
from benchbed.methods.blocks.transfer import hull_area, transfer_keypoints
from benchbed.methods.blocks.transforms import ThinPlateWarp, control_grid, random_warp


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_grid_has_corners_at_one_and_x_first():
    grid = coordinate_grid(3, 5, like=torch.zeros(1))
    assert grid.shape == (3, 5, 2)
    assert grid[0, 0].tolist() == [-1, -1]
    assert grid[2, 4].tolist() == [1, 1]
    assert grid[0, 1].tolist() == [-0.5, -1]


def test_identity_motion_is_exact_only_with_aligned_corners():
    frames = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(1))
    identity = coordinate_grid(8, 6, like=frames).unsqueeze(0)
    # 1e-6: float noise of bilinear weights
    assert torch.allclose(warp(frames, identity, align_corners=True), frames, atol=1e-6)
    assert not torch.allclose(warp(frames, identity, align_corners=False), frames, atol=1e-2)


def test_motion_of_a_smaller_size_is_resized_to_the_frames():
    frames = torch.ones(2, 3, 16, 16)
    centre = torch.zeros(2, 4, 4, 2)
    assert torch.allclose(warp(frames, centre, align_corners=False), frames)


@pytest.mark.parametrize(("scale", "size"), [(0.5, 5), (0.25, 13), (0.125, 29)])
def test_antialias_kernel_sums_to_one_and_has_the_published_size(scale, size):
    kernel = antialias_kernel(scale)
    assert kernel.shape == (size, size)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)


def test_antialias_keeps_a_constant_image_away_from_the_border():
    small = AntiAliasDownsample(3, 0.25)(torch.ones(1, 3, 64, 64))
    assert small.shape == (1, 3, 16, 16)
    assert torch.allclose(small[:, :, 2:-2, 2:-2], torch.ones(()), atol=1e-5)


def test_pyramid_level_one_is_the_image_itself():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    levels = ImagePyramid((1, 0.5))(image)
    assert levels[0] is image
    assert levels[1].shape == (1, 3, 8, 8)


def test_hourglass_keeps_its_input_as_the_last_channels():
    image = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    network = Hourglass(block_expansion=4, in_channels=3, max_features=8, num_blocks=3).eval()
    features = network(image)
    assert features.shape == (1, 7, 16, 24)
    assert torch.equal(features[:, -3:], image)


def test_a_sharp_heat_map_is_found_where_its_peak_is():
    logits = torch.zeros(1, 1, 5, 9)
    logits[0, 0, 1, 6] = 100
    position = expected_position(spatial_softmax(logits, temperature=0.1))
    assert torch.allclose(position, torch.tensor([[[0.5, -0.5]]]), atol=1e-6)


def test_gaussian_is_one_at_the_point_and_falls_with_the_variance():
    maps = gaussian_maps(torch.tensor([[[0.5, -0.5]]]), (5, 9), variance=0.01)
    assert maps[0, 0, 1, 6].item() == pytest.approx(1)
    assert maps[0, 0, 1, 7].item() == pytest.approx(math.exp(-0.5 * 0.25**2 / 0.01), rel=1e-4)


def test_two_by_two_algebra_agrees_with_linalg():
    left, right = seeded(4, 5, 2, 2, seed=4), seeded(4, 5, 2, 2, seed=5)
    points = seeded(4, 5, 2, seed=6)
    # 1e-4 relative: float32 with condition numbers up to about a hundred
    assert torch.allclose(product(left, right), left @ right, atol=1e-6)
    assert torch.allclose(inverse(left), torch.linalg.inv(left), rtol=1e-4, atol=1e-4)
    assert torch.allclose(apply(left, points), (left @ points.unsqueeze(-1)).squeeze(-1), atol=1e-6)


def test_warp_derivative_agrees_with_autograd():
    points = seeded(2, 6, 2, seed=7).double() * 0.5
    generator = torch.Generator().manual_seed(8)
    warp_ = random_warp(points, sigma_affine=0.05, sigma_tps=0.05, points_tps=5, generator=generator)
    jacobian = torch.autograd.functional.jacobian(lambda p: warp_.points(p).sum(dim=(0, 1)), points)
    assert torch.allclose(warp_.derivative(points), jacobian.permute(1, 2, 0, 3), atol=1e-10)


def test_a_warp_without_noise_moves_nothing():
    points = seeded(1, 4, 2, seed=9)
    still = ThinPlateWarp(torch.eye(2, 3)[None], control_grid(3, points), torch.zeros(1, 9))
    assert torch.allclose(still.points(points), points)
    frame = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(10))
    assert torch.allclose(still.frame(frame, align_corners=True), frame, atol=1e-6)


def test_hull_of_the_unit_square_is_one_and_a_line_is_refused():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    assert hull_area(square) == pytest.approx(1)
    with pytest.raises(BenchbedError, match="no area"):
        hull_area(np.array([[0, 0], [1, 1], [2, 2]]))


def test_relative_transfer_adds_the_movement_scaled_by_object_size():
    square = torch.tensor([[[0.0, 0.0], [0.2, 0.0], [0.2, 0.2], [0.0, 0.2]]])
    source, initial = Keypoints(square * 2), Keypoints(square)
    driving = Keypoints(square + 0.1)
    moved = transfer_keypoints(source, driving, initial, relative=True)
    scaled = transfer_keypoints(source, driving, initial, relative=True, adapt_movement_scale=True)
    assert torch.allclose(moved.value, square * 2 + 0.1)
    assert torch.allclose(scaled.value, square * 2 + 0.2)
    assert transfer_keypoints(source, driving, None, relative=False) is driving


def test_occlusion_of_another_size_is_resized_and_none_changes_nothing():
    features = torch.ones(1, 4, 8, 8)
    assert torch.allclose(occlude(features, torch.full((1, 1, 4, 4), 0.25)), features / 4)
    assert occlude(features, None) is features


def test_discriminator_names_scales_and_spectral_norm_as_published():
    network = MultiScaleDiscriminator(
        scales=(1, 0.5),
        num_channels=3,
        block_expansion=4,
        num_blocks=2,
        max_features=8,
        spectral=True,
        num_keypoints=2,
    )
    names = list(network.state_dict())
    assert names[:4] == [
        f"discs.1.down_blocks.0.conv.{n}" for n in ("bias", "weight_orig", "weight_u", "weight_v")
    ]
    assert "discs.0-5.conv.bias" in names
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(11))
    scores = network(ImagePyramid((1, 0.5))(image), torch.zeros(1, 2, 2))
    assert [tuple(score.scores.shape) for score in scores] == [(1, 1, 11, 11), (1, 1, 3, 3)]


@pytest.mark.parametrize("size", [(9, 12), (32, 32)])
def test_a_convolution_to_a_single_map_is_the_plain_one(size):
    torch.manual_seed(3)
    single = SingleMapConvolution(20, 7)
    features = torch.randn(2, 20, *size)
    expected = nn.functional.conv2d(features, single.weight, single.bias, padding=3)
    assert torch.allclose(single(features), expected, atol=2e-6)
    single(features).sum().backward()
    assert single.weight.grad is not None and single.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((2, 5, 4, 6), torch.contiguous_format),
        ((2, 5, 4, 6), torch.channels_last),
        ((2, 5, 3, 4, 6), torch.contiguous_format),
    ],
)
def test_convolving_doubled_pixels_at_the_low_resolution_is_the_plain_way(shape, layout):
    torch.manual_seed(0)
    axes = len(shape) - 2
    features = torch.randn(shape, dtype=torch.double).to(memory_format=layout).requires_grad_()
    weight = torch.randn(3, 5, *[3] * axes, dtype=torch.double, requires_grad=True)
    bias = torch.randn(3, dtype=torch.double, requires_grad=True)
    doubled = nn.functional.interpolate(features, scale_factor=[1.0] * (axes - 2) + [2.0, 2.0])
    plain = nn.functional.conv2d if axes == 2 else nn.functional.conv3d
    expected = plain(doubled, weight, bias, padding=1)
    output = convolve_doubled(features, weight, bias)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    assert output.is_contiguous(memory_format=layout)
    upstream = torch.randn_like(expected)
    inputs = (features, weight, bias)
    ours = torch.autograd.grad((output * upstream).sum(), inputs)
    theirs = torch.autograd.grad((expected * upstream).sum(), inputs)
    for gradient, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-11)
