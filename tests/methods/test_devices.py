"""On another device nothing may stay behind: shown without a GPU on PyTorch's `meta` device, which computes no values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks import anytime_animation
from benchbed.methods.blocks.vision_transformer import FrozenTransformer, TransformerConfig
from benchbed.methods.cpabmm import method as cpabmm_method
from benchbed.methods.cpabmm import training as cpabmm_training
from benchbed.methods.cpabmm.fit import fit_transformations
from benchbed.methods.dime import evolution
from benchbed.methods.facevid2vid import training as facevid2vid_training
from benchbed.methods.facevid2vid.head_pose_teacher import HeadPoseTeacher
from benchbed.methods.hdam import losses as hdam_losses
from benchbed.registry import card, cards

# The smallest side that the full-size networks halve as often as they need to, 128 where not said.
SIDES = {"lia": 32, "mofd": 256, "x2face": 256}
TASKS = sorted(
    (one.name, preset)
    for one in cards("method")
    if "training" in one.data
    for preset in ("tiny", "tiny-avd", "paper")
    if preset in one.data["presets"]
)
BUNDLED = sorted(one.name for one in cards("method") if "puppets" in one.data.get("checkpoints", {}))


class FiveTaps(nn.Module):
    """A perceptual network with a weight, which has to follow the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [self.factor * frames, *(nn.functional.avg_pool2d(frames, side) for side in (2, 2, 4, 4))]


class Autocast(torch.autocast):
    """Autocast, which `meta` has none of its own of."""

    def __init__(self, device_type: str, *given, **named) -> None:
        super().__init__("cpu" if device_type == "meta" else device_type, *given, **named)


def one_step(velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, times: Tensor, **how) -> Tensor:
    return torch.stack((start, start + velocity(times[0], start)))


def small_transformer(config: TransformerConfig) -> FrozenTransformer:
    return FrozenTransformer(TransformerConfig(32, 16, 2, 2, 16, 16))


@pytest.fixture(autouse=True)
def without_values(monkeypatch):
    """What asks for values is replaced by something of the same shapes; weights that are not bundled by random ones."""
    monkeypatch.setattr(torch, "autocast", Autocast)
    # singular values are computed on the CPU on purpose
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: tensor)
    # the solver of differential equations asks for the times
    monkeypatch.setattr(evolution, "odeint", one_step)
    # so many columns as are heeded
    monkeypatch.setattr(hdam_losses, "_heeded", lambda attention: attention)
    # a hundred steps of a fit are of the same shapes as one
    monkeypatch.setattr(
        cpabmm_method,
        "fit_transformations",
        lambda *given, iterations, **how: fit_transformations(*given, iterations=1, **how),
    )
    for module in (anytime_animation, cpabmm_training):
        monkeypatch.setattr(module, "stored_transformer", small_transformer)
    monkeypatch.setattr(facevid2vid_training, "stored_teacher", HeadPoseTeacher)


def on_meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


@pytest.mark.parametrize(("name", "preset"), TASKS)
def test_a_training_step_leaves_nothing_on_the_cpu(name, preset):
    side = SIDES.get(name, 128) if preset == "paper" else None
    task = card("method", name).load("training")(
        TrainingRequest(preset, FiveTaps(), side, steps=100, identities=8)
    )
    if preset == "paper" and hasattr(task, "sets"):
        # so that the first step moves the background
        task.sets.preset = replace(task.sets.preset, background_start=0)
    task.networks.to("meta")
    side, references = task.schedule.resolution, task.schedule.references
    views = on_meta(2, references, 3, side, side) if references else None
    who = torch.zeros(2, dtype=torch.long, device="meta")
    pair = FramePair(on_meta(2, 3, side, side), on_meta(2, 3, side, side), views, who)
    losses = task.step(pair, task.optimizers(), lambda loss: loss.backward())
    assert {value.device.type for value in losses.values()} == {"meta"}
    assert task.sample(pair).device.type == "meta"


@pytest.mark.parametrize("name", BUNDLED)
def test_animation_leaves_nothing_on_the_cpu(name):
    chosen = card("method", name)
    path = chosen.folder / chosen.data["checkpoints"]["puppets"]
    method = chosen.load()(checkpoint=path, configuration=None).to("meta")
    side = method.resolution[0]
    with torch.inference_mode():
        encoding = method.encode(on_meta(1, 3, side, side))
        made = method.animate(encoding, on_meta(2, 3, side, side))
    assert (made.device.type, made.shape) == ("meta", (2, 3, side, side))
