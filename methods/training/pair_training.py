"""Training on pairs of frames of one clip, whatever the method: the step, its optimisers and its weights file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR

from benchbed.arithmetic import channels_last
from benchbed.errors import BenchbedError
from benchbed.interfaces.training import FramePair, TrainingSchedule

from ..blocks.antialias import ImagePyramid
from .adversary import Adversary
from .recipe import Recipe
from .schedules import WarmCosine
from .terms import perceptual_loss


@dataclass(frozen=True)
class Reconstruction:
    """What a method makes of the sources in the pose of the driving frames; methods add what their losses need.

    Args:
        prediction: `(B, 3, H, W)` in [0, 1].
        deformed: the source images themselves, warped by the motion; None where the method has no such motion.
        points: what a discriminator is told, `(B, K, 2)`; None for nothing.
        augmented: a second prediction and what it should be, which the perceptual loss compares as well.
    """

    prediction: Tensor
    deformed: Tensor | None = None
    points: Tensor | None = None
    augmented: tuple[Tensor, Tensor] | None = None


Made = TypeVar("Made", bound=Reconstruction)


class PairModel(Protocol[Made]):
    """What is a method's own in training on pairs.

    Attributes:
        networks: all networks that animate, under their checkpoint names.
        configuration: in the published words, as the weights file will carry it.
        size_multiple: both sides of every frame must be multiples of this many pixels.
    """

    networks: nn.ModuleDict
    configuration: Mapping[str, Any]
    size_multiple: int

    def reconstruct(self, source: Tensor, driving: Tensor) -> Made:
        """Sources `(B, 3, H, W)` in [0, 1] in the pose of the driving frames, with the gradient."""
        ...

    def losses(self, source: Tensor, driving: Tensor, made: Made) -> dict[str, Tensor]:
        """The method's own terms, weighted; perceptual and adversarial ones and the additions are not among them."""
        ...

    def colour_path(self) -> list[nn.Module]:
        """The blocks that colours pass through from source to prediction, see `Additions.freeze_norm_after`."""
        ...


class PairTraining:
    """One method under training on pairs; see `benchbed.interfaces.training.TrainingTask`.

    Args:
        name, preset: what sentences and the weights file call method and preset.
        model: the method's own part.
        recipe: everything else.
        perceptual: frozen feature network, frames in [0, 1] -> list of activations.
        adversary: for adversarial training.

    Raises:
        BenchbedError: the networks cannot halve the resolution as often as they need to.
    """

    frozen: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        preset: str,
        model: PairModel[Any],
        recipe: Recipe,
        perceptual: nn.Module,
        adversary: Adversary | None = None,
    ) -> None:
        self.preset = preset
        self.model = model
        self.recipe = recipe
        self.schedule = recipe.schedule
        self.perceptual = perceptual
        self.adversary = adversary
        self.perceptual_weights, self.relative_taps = _tap_weights(recipe, perceptual)
        require_trainable_size(name, preset, self.schedule.resolution, model.size_multiple)
        self.networks = nn.ModuleDict(dict(model.networks.items()))
        if adversary is not None:
            self.networks["discriminator"] = adversary.network
        self.pyramid = ImagePyramid(recipe.scales)
        channels_last(self.networks)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam (or plain gradient descent) per network, learning rates as in the recipe."""
        return {
            name: self._optimizer(name, network)
            for name, network in self.networks.items()
            if any(True for _ in network.parameters())
        }

    def _optimizer(self, name: str, network: nn.Module) -> Optimizer:
        recipe, rate = self.recipe, self.recipe.learning_rates[name]
        groups = self._parameter_groups(network, rate)
        if recipe.momentum is not None:
            return SGD(groups, lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
        betas = recipe.own_betas.get(name, recipe.betas)
        return Adam(groups, lr=rate, betas=betas, weight_decay=recipe.weight_decay)

    def _parameter_groups(self, network: nn.Module, rate: float) -> list[dict[str, Any]]:
        share = self.recipe.additions.colour_rate
        colours = {id(p) for block in self.model.colour_path() for p in block.parameters()}
        slow = [p for p in network.parameters() if id(p) in colours]
        if share == 1 or not slow:
            return [{"params": list(network.parameters())}]
        rest = [p for p in network.parameters() if id(p) not in colours]
        groups: list[dict[str, Any]] = [{"params": rest}] if rest else []
        return [*groups, {"params": slow, "lr": rate * share}]

    def schedulers(self, optimizers: dict[str, Optimizer]) -> list[LRScheduler]:
        """The recipe's milestones, or the warm cosine."""
        if self.recipe.additions.warm_cosine:
            return [LambdaLR(one, WarmCosine(self.schedule.steps)) for one in optimizers.values()]
        return [MultiStepLR(one, list(self.recipe.milestones), gamma=0.1) for one in optimizers.values()]

    def reconstruct(self, pair: FramePair) -> Reconstruction:
        """What the model makes of a batch; a model that looks at more than the pair is called otherwise."""
        return self.model.reconstruct(pair.source, pair.driving)

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step of the method's networks, then one of the discriminator where training is adversarial."""
        self.perceptual.to(pair.source.device)
        self.pyramid.to(pair.source.device)
        if self.adversary is not None:
            self.adversary.to(pair.source.device)
        self.networks.train()
        share = self.recipe.additions.freeze_norm_after
        if share < 1 and steps_done(optimizers) >= share * self.schedule.steps:
            freeze_norms(self.model.colour_path())
        source = pair.source.contiguous(memory_format=torch.channels_last)
        driving = pair.driving.contiguous(memory_format=torch.channels_last)
        made = self.reconstruct(replace(pair, source=source, driving=driving))
        losses = self._losses(source, driving, made)
        total = torch.stack(list(losses.values())).sum()
        backward(total)
        for name, norm in self.recipe.gradient_norms.items():
            nn.utils.clip_grad_norm_(self.networks[name].parameters(), norm, self.recipe.gradient_order)
        for name, optimizer in optimizers.items():
            if name != "discriminator":
                optimizer.step()
        # The generator's terms went through the discriminator: its gradients are cleared as well.
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        own = self.discriminator_loss(driving, made)
        if own is not None:
            backward(own)
            optimizers["discriminator"].step()
            optimizers["discriminator"].zero_grad(set_to_none=True)
            losses["discriminator_gan"] = own
        return {"total": total.detach()} | {name: loss.detach() for name, loss in losses.items()}

    def _losses(self, source: Tensor, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        additions = self.recipe.additions
        losses = {}
        if sum(self.perceptual_weights):
            losses["perceptual"] = self._perceptual(made.prediction, driving)
            if made.augmented is not None:
                losses["perceptual_augmented"] = additions.augmented_share * self._perceptual(*made.augmented)
        if additions.l1_weight:
            losses["l1"] = additions.l1_weight * (made.prediction - driving).abs().mean()
        if additions.deformed_weight and made.deformed is not None:
            losses["deformed"] = additions.deformed_weight * (made.deformed - driving).abs().mean()
        losses |= self.model.losses(source, driving, made)
        return losses | self.adversarial_losses(driving, made)

    def adversarial_losses(self, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        """What the discriminator makes of the prediction, as terms of the other networks; none without adversary."""
        if self.adversary is None:
            return {}
        return self.adversary.generator_losses(driving, made.prediction, _detached(made.points))

    def discriminator_loss(self, driving: Tensor, made: Reconstruction) -> Tensor | None:
        """The loss of the network `discriminator`, whose gradient reaches no other; None without adversary."""
        if self.adversary is None:
            return None
        return self.adversary.discriminator_loss(driving, made.prediction, _detached(made.points))

    def _perceptual(self, prediction: Tensor, driving: Tensor) -> Tensor:
        return perceptual_loss(
            self.perceptual,
            self.pyramid(prediction),
            self.pyramid(driving),
            self.perceptual_weights,
            relative=self.relative_taps,
        )

    @torch.no_grad()
    def sample(self, pair: FramePair) -> Tensor:
        """Reconstructions of the driving frames from the sources, in eval mode."""
        self.networks.eval()
        made = self.reconstruct(pair)
        self.networks.train()
        return made.prediction

    def export(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The networks that animate under published names, and the configuration that rebuilds them."""
        tensors = {
            f"{name}.{key}": value.detach().clone(memory_format=torch.contiguous_format)
            for name, network in self.model.networks.items()
            for key, value in network.state_dict().items()
        }
        configuration = {
            **self.model.configuration,
            "name": self.preset,
            "resolution": self.schedule.resolution,
        }
        return tensors, {"configuration": json.dumps(configuration)}


def require_trainable_size(name: str, preset: str, resolution: int, multiple: int) -> None:
    """Refuse a resolution that is no multiple of so many pixels.

    Raises:
        BenchbedError: it is not.
    """
    if resolution % multiple:
        raise BenchbedError(
            f"{name} cannot be trained at {resolution} pixels with preset '{preset}'; "
            f"choose a multiple of {multiple}"
        )


def freeze_norms(blocks: list[nn.Module]) -> None:
    """Let the batch norms of these blocks use their running statistics, and keep them."""
    for block in blocks:
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.eval()


def overridden(schedule: TrainingSchedule, resolution: int | None, steps: int | None) -> TrainingSchedule:
    """A schedule with another resolution or number of steps where one is given."""
    return replace(
        schedule,
        resolution=schedule.resolution if resolution is None else resolution,
        steps=schedule.steps if steps is None else steps,
    )


def _detached(points: Tensor | None) -> Tensor | None:
    return None if points is None else points.detach()


def steps_done(optimizers: dict[str, Optimizer]) -> int:
    """How many steps of a training are done."""
    # Adam counts its steps per parameter, and the count survives a resumed training.
    counts = (state["step"] for one in optimizers.values() for state in one.state.values())
    return int(next(counts, 0))


@torch.no_grad()
def _tap_weights(recipe: Recipe, perceptual: nn.Module) -> tuple[tuple[float, ...], bool]:
    """A loss weight per tap, and whether taps are divided by their own size.

    The published weights are for the five taps of VGG-19. Over another number of taps their sum is spread evenly,
    and taps are made relative, as activations of another network are of another scale.
    """
    weights = recipe.perceptual
    taps = len(perceptual(torch.zeros(1, 3, 64, 64)))
    if taps == len(weights):
        return weights, recipe.additions.relative_perceptual
    return (sum(weights) / taps,) * taps, True
