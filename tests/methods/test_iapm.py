"""IAPM: official configurations, weights files, the perturbation, batches, wrong calls."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.hourglass import SkiplessHourglass
from benchbed.methods.iapm import perturbation
from benchbed.methods.iapm.checkpoint import inference_networks
from benchbed.methods.iapm.config import iapm_config
from benchbed.methods.iapm.method import Iapm, build
from benchbed.methods.iapm.official import DATASETS, official, official_names
from benchbed.methods.iapm.perturbation import perturb, perturb_at_random
from benchbed.methods.iapm.presets import PRESETS
from benchbed.methods.iapm.training import IapmTraining, build_training

from .released import OPTIMIZER, check_batch, check_same_frames, on_meta, write_own, write_released
from .released import frames as noise

SMALL: dict[str, Any] = {
    "resolution": 64,
    "model_params": {
        "common_params": {"num_channels": 3},
        "mask_generator_params": {
            "temperature": 0.1,
            "block_expansion": 4,
            "max_features": 8,
            "scale_factor": 0.25,
            "num_blocks": 2,
        },
        "generator_params": {
            "block_expansion": 4,
            "max_features": 16,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "th": 100,
        },
        "widths_fixed_upstream": {
            "hourglass_block_expansion": 4,
            "hourglass_max_features": 8,
            "hourglass_num_blocks": 2,
            "mask_fix_block_expansion": 4,
            "mask_fix_max_features": 8,
            "mask_fix_num_blocks": 2,
        },
    },
}


frames = partial(noise, size=64)


def small_method(seed: int = 0, *, perturbed: bool = False) -> Iapm:
    torch.manual_seed(seed)
    return Iapm(iapm_config({**SMALL, "perturbed": perturbed})).eval()


@pytest.fixture(scope="module")
def trained_file(tmp_path_factory) -> Path:
    """A file as the published training writes it: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, iapm_config(official("taichi-256")))
    path = tmp_path_factory.mktemp("official") / "00000099-checkpoint.pth.tar"
    return write_released(path, networks, optimizer_mask_generator=OPTIMIZER)


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = iapm_config(official(name))
    networks = on_meta(inference_networks, config)
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    assert counts == {"generator": 76_892_959, "mask_generator": 12_564_417}
    assert config.generator.threshold == (100 if name == "vox-256" else 60)
    assert not config.perturbed
    assert iapm_config(official(f"{name}+perturbed")).perturbed
    assert name in DATASETS


def test_unknown_configurations_and_missing_files_are_answered_with_a_sentence():
    with pytest.raises(UnknownNameError, match="known: vox-256, taichi-256, bair-256"):
        official("vox-256+relative")
    with pytest.raises(WeightsMissingError, match="its authors published none"):
        build(checkpoint=None, configuration=None)


def test_a_file_of_the_published_training_loads_under_a_named_configuration(trained_file):
    method = build(checkpoint=trained_file, configuration="taichi-256+perturbed")
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("unknown", (256, 256))
    assert method.conventions == {
        "configuration": "taichi-256+perturbed",
        "driving_mask": "perturbed and refined",
        "threshold": "60",
    }
    # The constants of the constructor stay, whatever the file says of them.
    assert method.mask_generator.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)
    with pytest.raises(
        CheckpointError, match="fits vox-256, taichi-256, bair-256, which compute differently"
    ):
        build(checkpoint=trained_file, configuration=None)


def test_a_file_of_other_tensors_is_refused_with_their_names(tmp_path):
    path = write_own(tmp_path, small_method().state_dict(), SMALL)
    with pytest.raises(CheckpointError, match=r"misshapen \(generator.*instead of"):
        build(checkpoint=path, configuration="vox-256")
    path = write_own(tmp_path, small_method().state_dict(), SMALL, **{"generator.more": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 unexpected \(generator\.more"):
        build(checkpoint=path, configuration=None)


def test_our_file_carries_its_configuration(tmp_path):
    method = small_method()
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), SMALL), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))


@pytest.mark.parametrize("perturbed", [False, True])
def test_a_batch_equals_frame_by_frame(perturbed):
    method, driving = small_method(perturbed=perturbed), frames(5, seed=2)
    encoding = method.encode(frames(1))
    check_batch(method, encoding, driving)


def test_the_perturbed_path_is_another_one():
    source, driving = frames(1), frames(2, seed=3)
    plain, perturbed = small_method(), small_method(perturbed=True)
    one = plain.animate(plain.encode(source), driving)
    other = perturbed.animate(perturbed.encode(source), driving)
    assert not torch.allclose(one, other, atol=1e-4)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    with pytest.raises(BenchbedError, match="no 'relative' transfer"):
        method.animate(method.encode(frames(1)), frames(1), transfer="relative")
    with pytest.raises(BenchbedError, match="multiples of 16"):
        method.encode(frames(1, size=56))
    with pytest.raises(BenchbedError, match="lacks 'model_params'"):
        iapm_config({})
    wrong = json.loads(json.dumps(SMALL))
    wrong["model_params"]["generator_params"]["num_down_blocks"] = 3
    with pytest.raises(BenchbedError, match="must undo the mask generator's scale_factor"):
        iapm_config(wrong)


def test_perturbation_drops_faint_values_and_keeps_eight_bits():
    # 100.9 exceeds the threshold and is truncated to 100; 100 itself does not.
    mask = torch.full((1, 1, 8, 8), 100.9 / 255)
    middle = perturb(mask, threshold=100)[0, 0, 3:5, 3:5]
    assert torch.equal(middle * 255, torch.full((2, 2), 100.0))
    assert not perturb(torch.full((1, 1, 8, 8), 100 / 255), threshold=100).any()


def test_perturbation_shrinks_about_the_centre_and_leaves_nothing_outside():
    shrunk = perturb(torch.ones(1, 1, 64, 48), threshold=100)[0, 0]
    assert torch.equal(shrunk, shrunk.flip(0))
    assert torch.equal(shrunk, shrunk.flip(1))
    # 64 * 0.75 = 48 rows and 36 columns stay
    assert (shrunk[32] > 0.5).sum() == 36
    assert (shrunk[:, 24] > 0.5).sum() == 48
    assert not shrunk[:7].any()


def test_perturbation_samples_as_a_plain_loop_does():
    mask = torch.rand(1, 1, 9, 12, generator=torch.Generator().manual_seed(4))
    levels = [[int(v) if v > 60 else 0 for v in row] for row in (255 * mask)[0, 0].tolist()]

    def level(row: int, column: int) -> int:
        return levels[row][column] if 0 <= row < 9 and 0 <= column < 12 else 0

    def position(index: int, size: int) -> tuple[int, int]:
        """Whole pixel and 32nds of the next, from (index - c) / 0.75 + c with c = (size - 1) / 2."""
        return divmod(round(32 * ((index - (size - 1) / 2) / 0.75 + (size - 1) / 2)), 32)

    for row in range(9):
        for column in range(12):
            (top, down), (left, right) = position(row, 9), position(column, 12)
            total = (32 - down) * ((32 - right) * level(top, left) + right * level(top, left + 1))
            total += down * ((32 - right) * level(top + 1, left) + right * level(top + 1, left + 1))
            found = perturb(mask, threshold=60)[0, 0, row, column].item() * 255
            assert round(found, 3) == (2 * total + 1024) // 2048


def test_a_skipless_hourglass_gives_its_block_expansion():
    network = SkiplessHourglass(block_expansion=4, in_channels=5, max_features=8, num_blocks=3).eval()
    assert network(torch.zeros(2, 5, 16, 24)).shape == (2, 4, 16, 24)
    assert network.out_channels == 4
    assert [name for name in network.state_dict() if name.endswith("conv.weight")][3] == (
        "decoder.up_blocks.0.conv.weight"
    )


def test_the_perturbation_of_training_without_its_draws_only_forgets_faint_parts(monkeypatch):
    mask = frames(2, size=64)[:, :1]
    for name, value in {"SMALLEST_STRETCH": 1.0, "LARGEST_STRETCH": 1.0, "NOISE": 0.0}.items():
        monkeypatch.setattr(perturbation, name, value)
    levels = (255 * mask).trunc()
    # 1e-6: levels are divided by 255 again
    assert torch.allclose(perturb_at_random(mask, 100), torch.where(levels > 100, levels, 0) / 255, atol=1e-6)


def test_the_perturbation_of_training_is_drawn_per_image_and_stays_a_mask():
    torch.manual_seed(1)
    disc = torch.zeros(1, 1, 64, 64)
    disc[..., 20:44, 24:40] = 1
    mask = disc.expand(3, -1, -1, -1).requires_grad_()
    perturbed = perturb_at_random(mask, 60)
    assert not perturbed.requires_grad and perturbed.shape == mask.shape
    assert perturbed.min() >= 0 and perturbed.max() <= 1
    assert not torch.equal(perturbed[0], perturbed[1])
    # the object stays where it was: strips are stretched by a quarter at most, noise is of 20 levels of 255
    assert perturbed[..., 30:34, 30:34].mean() > 0.5
    assert perturbed[..., :10, :].mean() < 0.1


class Identity(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image]


def test_only_the_guess_teaches_masks():
    torch.manual_seed(0)
    task = build_training(TrainingRequest("tiny", Identity(), None, 40))
    task.networks.train()
    masks = task.networks["mask_generator"]
    source, driving = frames(2), frames(2, seed=1)

    def reached(loss: Tensor) -> set[str]:
        task.networks.zero_grad()
        loss.backward()
        return {
            name.split(".")[0] + "." + name.split(".")[1]
            for name, value in task.networks.named_parameters()
            if value.grad is not None and value.grad.any()
        }

    nn.init.normal_(task.model.generator.final_hourglass.weight, std=0.1)
    made = task.model.reconstruct(source, driving)
    assert "mask_generator.predictor" in reached(made.guess.square().mean())
    made = task.model.reconstruct(source, driving)
    assert reached(made.prediction.square().mean()) == {"generator.hourglass", "generator.final_hourglass"}
    made = task.model.reconstruct(source, driving)
    assert reached((made.corrected - made.mask).abs().mean()) == {"generator.mask_fix_net", "generator.ref"}
    assert masks.training


def test_training_starts_from_the_source():
    torch.manual_seed(0)
    task = build_training(TrainingRequest("tiny", Identity(), None, 40))
    source = 0.4 + 0.2 * frames(2)
    # 2e-3: the sigmoid bends even colours near grey a little
    assert torch.allclose(task.model.reconstruct(source, frames(2, seed=1)).prediction, source, atol=2e-3)


def test_the_refinement_begins_to_learn_in_its_epoch_and_no_earlier():
    torch.manual_seed(0)
    preset = replace(PRESETS["tiny"]().resized(None, 4), published=SMALL, epochs=2, refinement_start=1)
    task = IapmTraining(preset, Identity())
    optimizers, pair = task.optimizers(), FramePair(frames(2), frames(2, seed=1))
    refined = []
    for _ in range(4):
        losses = task.step(pair, optimizers, lambda loss: loss.backward())
        refined.append(losses["mask_correction"].item() > 0)
    assert refined == [False, False, True, True]
