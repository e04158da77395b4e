"""What every trainable method promises of its tiny preset: one step reaches everything, and its file animates alike."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, UnknownNameError
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.registry import card, cards

MEGABYTES = 2.0
STEPS = 16
TRAINABLE = sorted(one.name for one in cards("method") if "training" in one.data)
# Parameters that published training never reaches, by their endings, with the reason.
UNREACHED: dict[str, tuple[str, ...]] = {
    # blocks that published state dicts hold and nothing uses
    "iapm": tuple(
        f"generator.down_blocks.0.{one}.{kind}" for one in ("conv", "norm") for kind in ("weight", "bias")
    ),
    # noise that is never added and an image head that is never read
    "lia": ("noise.weight", "to_rgb1.bias", "to_rgb1.conv.0.weight", "to_rgb1.conv.1.bias"),
    # the paper computes an identity code and uses it nowhere
    "mofd": tuple(f"identity_head.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")),
    # a constant that published files count among the parameters
    "mtia": ("transformer.pos_embedding",),
}


class Taps(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, nn.functional.avg_pool2d(frames, 2)]


def tiny(name: str, steps: int = 40):
    torch.manual_seed(6)
    return card("method", name).load("training")(TrainingRequest("tiny", Taps(), steps=steps))


def smooth_pair(count: int, size: int) -> FramePair:
    """Smooth images, white noise has nothing to learn; the two are not alike, copying does not suffice."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, count, 3, 4, 4, generator=generator)
    source, driving = (nn.functional.interpolate(images, size=size, mode="bilinear") for images in coarse)
    return FramePair(source, driving)


def trained(name: str, steps: int):
    """A tiny task after some steps on one pair, and the total losses."""
    task = tiny(name)
    optimizers = task.optimizers()
    schedulers = task.schedulers(optimizers)
    pair = smooth_pair(2, task.schedule.resolution)
    totals = []
    for step in range(steps):
        torch.manual_seed(step)
        totals.append(task.step(pair, optimizers, lambda loss: loss.backward())["total"].item())
        for scheduler in schedulers:
            scheduler.step()
    return task, totals


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_tiny_file_is_small_and_animates_as_the_networks_that_were_trained(name, tmp_path):
    task, _ = trained(name, steps=2)
    tensors, metadata = task.export()
    path = tmp_path / "tiny.safetensors"
    save_file(tensors, path, metadata={**metadata, "trained_on": "puppets"})
    assert sum(tensor.numel() for tensor in tensors.values()) * 2 < MEGABYTES * 1e6
    method = card("method", name).load()(checkpoint=path, configuration=None)
    pair = smooth_pair(1, task.schedule.resolution)
    made = method.animate(method.encode(pair.source), pair.driving)
    # 2e-5: the task keeps its weights in another memory layout
    assert torch.allclose(task.sample(pair), made, atol=2e-5)
    assert method.resolution == (task.schedule.resolution,) * 2
    assert (method.conventions["configuration"], method.trained_on) == ("tiny", "puppets")


@pytest.mark.parametrize("name", TRAINABLE)
def test_training_lowers_the_loss_on_a_fixed_pair(name):
    _, totals = trained(name, steps=STEPS)
    assert min(totals[-3:]) < 0.9 * totals[0], totals


@pytest.mark.parametrize("name", TRAINABLE)
def test_one_step_gives_every_parameter_a_gradient(name):
    task = tiny(name)
    without: list[str] = []

    def backward(loss: Tensor) -> None:
        loss.backward()
        without.extend(key for key, value in task.networks.named_parameters() if value.grad is None)

    # the first step from a start that copies leaves branches behind zeros untouched, so gradients are asked for only
    # to exist: a parameter that no loss can ever reach has none at all
    task.step(smooth_pair(2, task.schedule.resolution), task.optimizers(), backward)
    assert [key for key in without if not key.endswith(UNREACHED.get(name, ("-",)))] == []


@pytest.mark.parametrize("name", TRAINABLE)
def test_an_unknown_preset_and_a_resolution_that_cannot_be_halved_are_refused(name):
    build_training = card("method", name).load("training")
    with pytest.raises(UnknownNameError, match=f"unknown preset 'huge' for {name}; known: tiny"):
        build_training(TrainingRequest("huge", Taps(), None, 1))
    with pytest.raises(BenchbedError, match=rf"{name}.* multiple"):
        build_training(TrainingRequest("tiny", Taps(), 41, 1))
