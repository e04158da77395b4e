"""Training of the AVD network alone, when those around it are trained: presets of a second stage, and its step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from benchbed.interfaces.training import FramePair

from .pair_training import require_trainable_size
from .presets import VOX_TRAIN_PERSONS, Preset
from .recipe import Recipe

AVD = "avd_network"
RATE = 1e-3
BATCH = 256
TINY_BOTTLES = {"id_bottle_size": 32, "pose_bottle_size": 32}


@dataclass(frozen=True)
class DisentanglingPreset(Preset):
    """How the AVD network of a configuration is trained.

    Args:
        stretch: of poses, per axis and at most: factors are drawn from 1 - stretch to 1 + stretch.
    """

    stretch: float = 0.25


def published_disentangling(
    base: Preset,
    *,
    epochs: int,
    repeats: int,
    milestones: tuple[int, ...],
    persons: int = VOX_TRAIN_PERSONS,
) -> DisentanglingPreset:
    """The published second stage of a full-size preset, on its frames.

    Args:
        epochs, repeats: of the persons of the train split.
        milestones: epochs after which the rate falls to a tenth.

    Source: MRAA, TPSMM, published configurations and code.
    """
    steps = epochs * max(1, persons * repeats // BATCH)
    schedule = replace(base.recipe.schedule, batch_size=BATCH, steps=steps)
    recipe = Recipe(schedule, {AVD: RATE}, tuple(steps * epoch // epochs for epoch in milestones))
    return DisentanglingPreset(f"{base.name}+avd", _with_pose(base.published, {}), recipe)


def tiny_disentangling(base: Preset) -> DisentanglingPreset:
    """A second stage of minutes on a CPU; the network keeps fewer numbers, its other layers are as published."""
    schedule = replace(base.recipe.schedule, batch_size=64, steps=400)
    recipe = Recipe(schedule, {AVD: RATE}, (300, 360))
    return DisentanglingPreset(
        f"{base.name}+avd", _with_pose(base.published, {"avd_network_params": TINY_BOTTLES}), recipe
    )


def _with_pose(published: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose absolute transfer takes the pose through the AVD network."""
    animation = {**published.get("animation", {}), "avd": True}
    return {**published, "animation": animation, "model_params": {**published["model_params"], **model}}


class PoseModel(Protocol):
    """What is a method's own in this stage.

    Attributes:
        networks: all that animate, under their checkpoint names; `avd_network` among them.
        size_multiple: both sides of every frame must be multiples of this many pixels.
    """

    networks: nn.ModuleDict
    size_multiple: int

    def losses(self, source: Tensor, driving: Tensor, factors: Tensor) -> dict[str, Tensor]:
        """What the AVD network makes of sources and of stretched driving poses, against those poses as they are.

        Args:
            source, driving: frames of one clip, `(B, 3, H, W)` in [0, 1].
            factors: of both axes of the driving pose, `(B, 2)`.
        """
        ...

    def animate(self, source: Tensor, driving: Tensor) -> Tensor:
        """One source `(1, 3, H, W)` in the poses of driving frames, by the AVD network."""
        ...


class Disentangling:
    """The stage of the AVD network; see `benchbed.interfaces.training.TrainingTask`.

    The other networks get no gradient, but they stay in training mode: the norms of the network that detects poses
    use the batch's own statistics and go on gathering them, as published.

    Args:
        name: of the method.
        model: the method's own part.
        preset: everything else.

    Raises:
        BenchbedError: the networks cannot halve the resolution as often as they need to.

    Source: MRAA, section 3.5, its published code and TPSMM's.
    """

    def __init__(self, name: str, model: PoseModel, preset: DisentanglingPreset) -> None:
        self.model = model
        self.preset = preset
        self.schedule = preset.recipe.schedule
        require_trainable_size(name, preset.name, self.schedule.resolution, model.size_multiple)
        self.networks = model.networks
        self.frozen = tuple(name for name in model.networks if name != AVD)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam over the AVD network."""
        recipe = self.preset.recipe
        parameters = self.networks[AVD].parameters()
        return {AVD: Adam(parameters, lr=recipe.learning_rates[AVD], betas=recipe.betas)}

    def schedulers(self, optimizers: dict[str, Optimizer]) -> list[LRScheduler]:
        """The recipe's milestones."""
        return [MultiStepLR(optimizers[AVD], list(self.preset.recipe.milestones), gamma=0.1)]

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step of the AVD network, in float32 always: it is small, and poses are where half precision shows."""
        self.networks.train()
        stretch = self.preset.stretch
        factors = 1 + stretch * (2 * torch.rand(len(pair.source), 2) - 1)
        with torch.autocast(pair.source.device.type, enabled=False):
            losses = self.model.losses(pair.source, pair.driving, factors.to(pair.source))
            total = torch.stack(list(losses.values())).sum()
        backward(total)
        optimizers[AVD].step()
        optimizers[AVD].zero_grad(set_to_none=True)
        return {"total": total.detach()} | {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def sample(self, pair: FramePair) -> Tensor:
        """Sources in the poses of the driving frames, in eval mode."""
        self.networks.eval()
        made = [
            self.model.animate(source[None], driving[None])
            for source, driving in zip(pair.source, pair.driving, strict=True)
        ]
        self.networks.train()
        return torch.cat(made)

    def export(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """All networks that animate, and the configuration that rebuilds them."""
        tensors = {key: value.detach().clone() for key, value in self.networks.state_dict().items()}
        configuration = {
            **self.preset.published,
            "name": self.preset.name,
            "resolution": self.schedule.resolution,
        }
        return tensors, {"configuration": json.dumps(configuration)}
