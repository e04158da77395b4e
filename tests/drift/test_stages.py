"""Digests of stages: equal for equal tensors, near for near ones, and blind to nothing that matters."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.tracking.record import CaseRecord, record_from_json, record_to_json
from benchbed.tracking.stages import DECODED, ENCODING, FEATURES, GENERATED, StageDigest, StageRecorder


def digest(value, stage: str = GENERATED) -> StageDigest:
    recorder = StageRecorder()
    recorder.add(stage, value)
    return recorder.digests()[0]


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_equal_tensors_have_equal_digests_and_float_noise_moves_the_summary_by_float_noise(frames):
    assert digest(frames) == digest(frames.clone())
    noisy = frames * (1 + 1e-7 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(1)))
    assert digest(noisy).digest != digest(frames).digest
    assert 0 < digest(frames).distance(digest(noisy)) < 1e-6


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: frames.roll(1, dims=-1),
        lambda frames: frames[:, [2, 1, 0]],
        lambda frames: frames.flip(0),
        lambda frames: frames.transpose(-1, -2),
        lambda frames: frames + 1e-3,
        lambda frames: frames * 1.01,
    ],
    ids=["off by one", "channels swapped", "frames reversed", "axes swapped", "brighter", "contrast"],
)
def test_a_planted_change_is_far_beyond_float_noise(frames, change):
    assert digest(frames).distance(digest(change(frames))) > 1e-3


def test_of_large_tensors_a_part_is_taken_that_still_sees_every_channel():
    large = torch.rand(4, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    for channel in (0, 31, 63):
        changed = large.clone()
        changed[:, channel] += 0.1
        assert digest(large).digest != digest(changed).digest


@dataclass(frozen=True)
class Encoding:
    keypoints: torch.Tensor
    parts: dict[str, tuple[torch.Tensor, ...]]
    note: str | None = None


def test_an_encoding_is_walked_whatever_it_is_made_of():
    ones = torch.ones(1, 3)
    first = digest(Encoding(ones, {"b": (ones, 2 * ones), "a": (ones,)}), ENCODING)
    assert first == digest(Encoding(ones, {"a": (ones,), "b": (ones, 2 * ones)}), ENCODING)
    assert first != digest(Encoding(ones, {"a": (ones,), "b": (ones, 3 * ones)}), ENCODING)
    assert first != digest(Encoding(ones, {"a": (ones,), "b": (ones, 2 * ones)}, "x"), ENCODING)


def test_what_was_not_found_has_no_say_in_the_features():
    found = torch.tensor([[True, False]])
    one = KeypointFeatures(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), found)
    other = KeypointFeatures(torch.tensor([[[1.0, 2.0], [float("nan"), 9.0]]]), found)
    assert digest(one, FEATURES) == digest(other, FEATURES)


def test_half_precision_and_bytes_are_taken_as_well(frames):
    for dtype in (torch.bfloat16, torch.float16, torch.uint8, torch.bool):
        assert digest((255 * frames).to(dtype)).digest


def test_records_keep_their_stages_and_older_ones_have_none():
    recorder = StageRecorder()
    recorder.add(DECODED, torch.ones(1, 3, 4, 4), "source")
    record = CaseRecord(rows=(), stages=recorder.digests())
    stored = record_to_json(record)
    assert record_from_json(stored, {}).stages == record.stages
    del stored["stages"]
    assert record_from_json(stored, {}).stages == ()
