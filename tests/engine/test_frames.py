"""Frames: 8 bits and back, resizing, checks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.errors import BenchbedError
from benchbed.frames import check_frames, quantise, resize_frames, resize_tensor, to_float, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize("rounding", ["round", "truncate"])
def test_all_levels_survive_the_trip_to_float_and_back(rounding: str) -> None:
    assert torch.equal(to_uint8(to_float(LEVELS), rounding), LEVELS)
    assert torch.equal(quantise(to_float(LEVELS), rounding), to_float(LEVELS))


def test_levels_that_passed_through_minus_one_to_one_are_not_truncated_down() -> None:
    detour = ((to_float(LEVELS) * 2 - 1) + 1) / 2
    assert (255 * detour).floor().to(torch.uint8).ne(LEVELS).any()  # what the guard is for
    assert torch.equal(to_uint8(detour, "truncate"), LEVELS)


def test_round_takes_the_nearest_level_and_truncate_the_one_below() -> None:
    values = torch.tensor([0.9, 1.4, 1.6, 254.9]) / 255
    assert to_uint8(values, "round").tolist() == [1, 1, 2, 255]
    assert to_uint8(values, "truncate").tolist() == [0, 1, 1, 254]


def test_values_outside_the_range_are_clamped_and_input_is_left_alone() -> None:
    values = torch.tensor([-0.5, 1.5])
    assert to_uint8(values).tolist() == [0, 255]
    assert quantise(values, "truncate").tolist() == [0.0, 1.0]
    assert values.tolist() == [-0.5, 1.5]
    assert quantise(values, "none") is values


def test_unknown_quantisation_is_refused() -> None:
    with pytest.raises(BenchbedError, match="known: none, round, truncate"):
        quantise(torch.zeros(1), "floor")


def test_resized_frames_equal_skimages_own_bytes() -> None:
    from skimage.transform import resize
    from skimage.util import img_as_ubyte

    frames = np.random.default_rng(0).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    for size in ((16, 16), (32, 32)):
        expected = np.stack([img_as_ubyte(resize(frame, size, anti_aliasing=True)) for frame in frames])
        assert np.array_equal(resize_frames(frames, size), expected)


def test_frames_of_the_right_size_are_returned_as_they_are() -> None:
    frames = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    assert resize_frames(frames, (8, 8)) is frames
    tensor = torch.zeros(2, 3, 8, 8)
    assert resize_tensor(tensor, (8, 8)) is tensor


def test_resized_tensors_keep_constants_and_range() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(2, 3, 20, 24, generator=generator)
    small = resize_tensor(frames, (8, 8))
    assert small.shape == (2, 3, 8, 8) and small.min() >= 0 and small.max() <= 1
    torch.testing.assert_close(
        resize_tensor(torch.full((1, 3, 9, 7), 0.25), (4, 5)), torch.full((1, 3, 4, 5), 0.25)
    )


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros(2, 4, 8, 8), r"expected shape \[any, 3, any, any\], got \[2, 4, 8, 8\]"),
        (torch.zeros(3, 8, 8), r"got \[3, 8, 8\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "floating-point"),
        (torch.full((1, 3, 8, 8), 255.0), "values in \\[0, 1\\], got 255 to 255"),
        (torch.full((1, 3, 8, 8), float("nan")), "not finite"),
        (np.zeros((1, 3, 8, 8)), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_frames_are_refused_with_expected_and_actual(frames, message: str) -> None:
    with pytest.raises(BenchbedError, match=f"source: .*{message}"):
        check_frames("source", frames)


def test_right_frames_pass_and_a_given_shape_is_enforced() -> None:
    frames = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert check_frames("generated", frames, (2, 3, 8, 8)) is frames
    with pytest.raises(BenchbedError, match="expected shape \\[3, 3, 8, 8\\]"):
        check_frames("generated", frames, (3, 3, 8, 8))
