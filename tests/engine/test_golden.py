"""The golden self-test: recorded once, compared ever after, never passed by dead or exchanged networks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchbed import golden, weights
from benchbed.errors import CheckpointError, WeightsMissingError

NAME = "face-identity"  # its maker states no sha256, so any file may stand for it


class Evaluator:
    """Two layers with seeded weights; `fingerprint` as evaluators have it."""

    def __init__(self, *, seed: int = 0, fingerprint: str = "tiny:abc:1") -> None:
        self.network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 4, 3, stride=8))
        generator = torch.Generator().manual_seed(seed)
        for tensor in self.network.parameters():
            tensor.data = torch.randn(tensor.shape, generator=generator)
        self.fingerprint = fingerprint

    def probe(self, frames: Tensor) -> Tensor:
        return self.network(frames)


class Gives:
    """An evaluator whose probe gives a constant tensor."""

    fingerprint = "gives:abc:1"

    def __init__(self, output: Tensor) -> None:
        self.output = output

    def probe(self, frames: Tensor) -> Tensor:
        return self.output


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two files, one of them a stand-in."""
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.save({"a": torch.ones(3)}, tmp_path / "file.pt")
    weights.add(tmp_path / "file.pt", NAME)
    weights.add(tmp_path / "file.pt", "lpips-alex", unverified=True)
    return tmp_path / "store"


def recorded(store: Path, name: str = NAME) -> dict[str, list[float]]:
    return json.loads((store / "cards" / f"{name}.json").read_text())["golden"]


def test_the_golden_frames_are_the_same_noise_everywhere() -> None:
    frames = golden.golden_frames()
    assert frames.shape == (2, 3, 64, 64)
    assert frames.dtype == torch.float32
    # the first numbers of PCG64 seeded with 20240229, as float32
    generator = np.random.Generator(np.random.PCG64(20240229))
    assert frames[0, 0, 0, :2].tolist() == generator.random(2, dtype=np.float32).tolist()
    assert frames.min() >= 0
    assert frames.max() <= 1


def test_golden_numbers_are_64_evenly_spaced_ones_of_the_probe() -> None:
    numbers = golden.golden_numbers(Gives(torch.arange(631.0).view(1, 631)))
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [10.0 * step for step in range(64)]
    # fewer than 64 are repeated
    assert set(golden.golden_numbers(Gives(torch.tensor([1.0, 2.0])))) == {1.0, 2.0}


def test_the_first_check_records_and_later_ones_compare(store: Path) -> None:
    golden.check_golden(Evaluator(), [NAME, "lpips-alex"])
    numbers = recorded(store)["tiny:abc:1"]
    assert len(numbers) == 64
    assert recorded(store, "lpips-alex") == {"tiny:abc:1": numbers}
    golden.check_golden(Evaluator(), [NAME, "lpips-alex"])
    with pytest.raises(CheckpointError, match=r"'tiny' does not reproduce the golden output.*weights verify"):
        golden.check_golden(Evaluator(seed=1), [NAME])
    assert recorded(store) == {"tiny:abc:1": numbers}


@pytest.mark.parametrize("changed", range(4))
def test_any_tensor_with_its_sign_flipped_is_noticed(store: Path, changed: int) -> None:
    golden.check_golden(Evaluator(), [NAME])
    evaluator = Evaluator()
    tensor = list(evaluator.network.parameters())[changed]
    tensor.data = -tensor.data
    with pytest.raises(CheckpointError, match="golden output"):
        golden.check_golden(evaluator, [NAME])


def test_another_fingerprint_is_recorded_beside_and_reinstalling_the_same_file_keeps_both(
    store: Path, tmp_path: Path
) -> None:
    golden.check_golden(Evaluator(), [NAME])
    golden.check_golden(Evaluator(seed=1, fingerprint="tiny:abc:2"), [NAME])
    weights.add(tmp_path / "file.pt", NAME)
    assert list(recorded(store)) == ["tiny:abc:1", "tiny:abc:2"]
    torch.save({"a": torch.zeros(3)}, tmp_path / "file.pt")
    weights.add(tmp_path / "file.pt", NAME)
    assert recorded(store) == {}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (torch.full((100,), 0.5), "gives a constant golden output"),
        (torch.arange(100.0).index_fill(0, torch.tensor(33), torch.nan), "gives a not finite golden output"),
        (torch.arange(100.0).index_fill(0, torch.tensor(33), torch.inf), "gives a not finite golden output"),
        (torch.zeros(0), "gives a not finite golden output"),
    ],
)
def test_dead_and_exploding_networks_are_refused_before_anything_is_recorded(
    store: Path, output: Tensor, sentence: str
) -> None:
    with pytest.raises(CheckpointError, match=f"'gives' {sentence}.*weights pull {NAME}"):
        golden.check_golden(Gives(output), [NAME])
    assert recorded(store) == {}


def test_float_noise_passes_and_a_gpu_is_allowed_more(store: Path) -> None:
    numbers = torch.linspace(-1, 1, 64)
    golden.check_golden(Gives(numbers), [NAME])
    golden.check_golden(Gives(numbers + 0.9e-3), [NAME])
    with pytest.raises(CheckpointError):
        golden.check_golden(Gives(numbers + 1.1e-3), [NAME])
    card = weights.read_card(NAME)
    assert card is not None
    assert card.golden_device == {"gives:abc:1": "cpu"}
    weights.write_card(weights.FileCard(**{**vars(card), "golden_device": {"gives:abc:1": "cuda"}}))
    golden.check_golden(Gives(numbers + 9e-3), [NAME])
    with pytest.raises(CheckpointError):
        golden.check_golden(Gives(numbers + 11e-3), [NAME])


def test_a_file_in_the_torch_home_gets_a_card_in_the_store(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "torch" / "checkpoints" / weights.weights_entry("face-identity-casia").file
    path.parent.mkdir(parents=True)
    torch.save({"a": torch.ones(3)}, path)
    golden.check_golden(Evaluator(), ["face-identity-casia"])
    card = weights.read_card("face-identity-casia")
    assert card is not None
    assert card.origin == f"found at {path}"
    assert card.standing == weights.standing("face-identity-casia") == "unpublished"
    assert list(card.golden) == ["tiny:abc:1"]


def test_a_store_that_cannot_be_written_is_a_log_line(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(store))
    (tmp_path / "plain").write_text("")
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "plain" / "below"))  # holds for root as well
    with caplog.at_level(logging.WARNING, logger="benchbed.golden"):
        golden.check_golden(Evaluator(), [NAME])
    assert "the golden output of tiny is not recorded" in caplog.text


def test_the_catalogues_numbers_hold_for_the_makers_file_and_not_for_a_stand_in(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = weights.entries.CATALOGUE.read_text()
    numbers = golden.golden_numbers(Evaluator()).tolist()
    for name in (NAME, "lpips-alex"):
        text = text.replace(f'name = "{name}"\n', f'name = "{name}"\ngolden = {{ tiny = {numbers} }}\n')
    (tmp_path / "weights.toml").write_text(text)
    monkeypatch.setattr(weights.entries, "CATALOGUE", tmp_path / "weights.toml")
    golden.check_golden(Evaluator(), [NAME])
    with pytest.raises(CheckpointError, match=r"that the catalogue records for face-identity.*get it again"):
        golden.check_golden(Evaluator(seed=1, fingerprint="tiny:abc:2"), [NAME])
    golden.check_golden(Evaluator(seed=1, fingerprint="tiny:abc:2"), ["lpips-alex"])


def test_bundled_weights_check_themselves_and_missing_ones_are_named(store: Path) -> None:
    golden.check_golden(Gives(torch.zeros(3)), ["puppet-identity.safetensors"])
    with pytest.raises(WeightsMissingError):
        golden.check_golden(Evaluator(), ["openface"])


def test_the_device_of_an_evaluator_is_found_by_its_tensors() -> None:
    assert golden.device_of(Evaluator()) == torch.device("cpu")
    evaluator = Evaluator()
    evaluator.network.to("meta")
    assert golden.device_of(evaluator) == torch.device("meta")
    assert golden.device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert golden.device_of(Gives(torch.zeros(1, device="meta"))) == torch.device("meta")
    assert golden.device_of(object()) == torch.device("cpu")
