"""What the tiny preset of FOMM adds to the published recipe: a generator that starts as a copier, frozen norms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.fomm.training import build_training
from benchbed.methods.training.copying import start_as_copier


class Blur(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, nn.functional.avg_pool2d(frames, 2)]


def patches(seed: int) -> Tensor:
    """Eight images of colour patches `[8, 3, 64, 64]`, standard deviation about 0.2."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 0.5 + 0.2 * torch.randn(8, 3, 8, 8, generator=generator)
    return coarse.clamp(0.05, 0.95).repeat_interleave(8, 2).repeat_interleave(8, 3)


def tiny(steps: int = 100):
    torch.manual_seed(0)
    return build_training(TrainingRequest("tiny", Blur(), None, steps))


def test_a_generator_that_starts_as_a_copier_returns_its_source_when_nothing_moves():
    networks = tiny().networks.train()
    source = patches(0)
    keypoints = networks["kp_detector"](source)
    prediction = networks["generator"](source, keypoints, keypoints).prediction
    # the sigmoid bends dark and bright colours; the shape of every image is there at once
    for image, copy in zip(source, prediction, strict=True):
        assert torch.corrcoef(torch.stack((image.flatten(), copy.detach().flatten())))[0, 1] > 0.95


def test_a_generator_with_down_sampling_cannot_start_as_a_copier():
    generator = tiny().networks["generator"]
    generator.down_blocks.append(nn.Identity())
    with pytest.raises(BenchbedError, match="set num_down_blocks to 0"):
        start_as_copier(generator)


def test_frozen_norms_keep_their_statistics_and_the_motions_go_on():
    task = tiny(steps=50)  # frozen after 2 %: from the second step on
    optimizers = task.optimizers()
    generator = task.networks["generator"]

    def statistics(blocks) -> Tensor:
        norms = [m for block in blocks for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
        return torch.cat([norm.running_mean.clone() for norm in norms])

    seen = []
    for step in range(3):
        pair = FramePair(patches(2 * step), patches(2 * step + 1))
        task.step(pair, optimizers, lambda loss: loss.backward())
        seen.append((statistics(task.model.colour_path()), statistics([generator.dense_motion_network])))
    assert torch.equal(seen[0][0], seen[2][0])
    assert not torch.equal(seen[0][1], seen[2][1])


def test_every_parameter_of_the_generator_is_in_exactly_one_group_and_colours_learn_slower():
    task = tiny()
    motion, colours = task.optimizers()["generator"].param_groups
    parameters = [id(p) for group in (motion, colours) for p in group["params"]]
    assert sorted(parameters) == sorted(id(p) for p in task.networks["generator"].parameters())
    assert colours["lr"] < motion["lr"]
