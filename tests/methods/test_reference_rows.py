"""The reference rows: floor, classical flow and ceiling."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from benchbed.errors import BenchbedError, CheckpointError
from benchbed.interfaces.method import Method
from benchbed.registry import card

ROWS = ("static", "flow", "oracle")


def build(name: str):
    return card("method", name).load()(checkpoint=None, configuration=None)


def texture(size: int = 64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, size // 4, size // 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", ROWS)
def test_each_row_is_a_method_without_weights(name: str) -> None:
    method = build(name)
    assert isinstance(method, Method)
    assert method.resolution is None
    assert method.trained_on == "none"
    assert sum(parameter.numel() for parameter in method.parameters()) == 0
    assert card("method", name).data["role"] == "reference"


@pytest.mark.parametrize("name", ROWS)
def test_a_checkpoint_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"{name} has no weights"):
        card("method", name).load()(checkpoint=Path("some.safetensors"), configuration=None)


def test_only_the_oracle_is_privileged() -> None:
    assert [name for name in ROWS if card("method", name).data.get("privileged", False)] == ["oracle"]


def test_static_returns_the_source_for_every_driving_frame() -> None:
    source, driving = texture(seed=1), torch.cat([texture(seed=2), texture(seed=3)])
    method = build("static")
    assert torch.equal(method.animate(method.encode(source), driving), source.repeat(2, 1, 1, 1))


def test_oracle_returns_the_frames_it_is_given_bit_for_bit() -> None:
    source, target = texture(seed=1), torch.cat([texture(seed=2), texture(seed=3)])
    method = build("oracle")
    assert torch.equal(method.animate(method.encode(source), target), target)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_flow_follows_a_shift_that_static_misses(transfer: str) -> None:
    source = texture(64)
    driving = torch.roll(source, shifts=(1, 3), dims=(-2, -1))
    method = build("flow")
    generated = method.animate(method.encode(source), driving, initial_driving=source, transfer=transfer)
    inner = (..., slice(8, -8), slice(8, -8))  # what enters the frame cannot be warped from the source
    error = (generated - driving)[inner].abs().mean()
    floor = (source - driving)[inner].abs().mean()
    assert error < 0.1 * floor


def test_flow_moves_another_source_by_the_drivers_motion_in_relative_transfer() -> None:
    source, first = texture(64, seed=4), texture(64, seed=5)
    shift = {"shifts": (2, -2), "dims": (-2, -1)}
    method = build("flow")
    generated = method.animate(
        method.encode(source), torch.roll(first, **shift), initial_driving=first, transfer="relative"
    )
    inner = (..., slice(8, -8), slice(8, -8))
    wanted = torch.roll(source, **shift)
    assert (generated - wanted)[inner].abs().mean() < 0.1 * (source - wanted)[inner].abs().mean()


def test_flow_of_the_source_onto_itself_is_the_source() -> None:
    source = texture(64)
    method = build("flow")
    generated = method.animate(method.encode(source), source)
    # DIS ends within a hundredth of a pixel of standing still; grey levels are steeper than that by far.
    assert (generated - source).abs().max() < 1e-3


def test_flow_does_not_depend_on_batch_or_opencv_threads() -> None:
    source = texture(64)
    driving = torch.cat([torch.roll(source, step, dims=-1) for step in (1, 2, 3)])
    method = build("flow")
    encoding = method.encode(source)
    together = method.animate(encoding, driving)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        apart = torch.cat([method.animate(encoding, frame[None]) for frame in driving])
    finally:
        cv2.setNumThreads(threads)
    assert torch.equal(together, apart)


def test_relative_flow_without_the_first_frame_says_what_it_needs() -> None:
    method = build("flow")
    with pytest.raises(BenchbedError, match="needs initial_driving"):
        method.animate(method.encode(texture()), texture(), transfer="relative")


def test_flow_refuses_frames_too_small_to_search() -> None:
    with pytest.raises(BenchbedError, match="at least 12"):
        build("flow").encode(torch.zeros(1, 3, 8, 64))
