"""Training FOMM: the networks, losses, optimisers and schedules of a preset, for the training loop."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import FramePair, TrainingSchedule

from ..blocks.antialias import ImagePyramid
from ..blocks.equivariance import equivariance_jacobian_loss, equivariance_value_loss
from ..blocks.first_order import Generation, OcclusionAwareGenerator
from ..blocks.motion import Keypoints
from ..blocks.patch_discriminator import MultiScaleDiscriminator
from ..blocks.transforms import random_warp
from .checkpoint import inference_networks
from .config import DiscriminatorConfig, FommConfig, TrainingConfig, fomm_config
from .copying import start_as_copier
from .losses import (
    discriminator_gan_loss,
    feature_matching_loss,
    generator_gan_loss,
    perceptual_loss,
)
from .method import size_multiple
from .presets import Preset, preset_named

BETAS = (0.5, 0.999)
INFERENCE = ("generator", "kp_detector")


def colour_path(generator: OcclusionAwareGenerator) -> list[nn.Module]:
    """The blocks of the generator that colours pass through: all but its dense motion."""
    return [block for name, block in generator.named_children() if name != "dense_motion_network"]


def freeze_norms(blocks: list[nn.Module]) -> None:
    """Let the batch norms of these blocks use their running statistics, and keep them."""
    for block in blocks:
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def _steps_done(optimizer: Optimizer) -> int:
    # Adam counts its steps per parameter, and the count survives a resumed training.
    state = next(iter(optimizer.state.values()), None)
    return 0 if state is None else int(state["step"])


def build_discriminator(config: DiscriminatorConfig) -> MultiScaleDiscriminator:
    """The discriminator a configuration describes, under its published names."""
    return MultiScaleDiscriminator(
        scales=config.scales,
        num_channels=config.num_channels,
        block_expansion=config.block_expansion,
        num_blocks=config.num_blocks,
        max_features=config.max_features,
        spectral=config.spectral_norm,
        num_keypoints=config.num_kp,
        variance=config.kp_variance,
    )


class FommTraining:
    """One FOMM under training; see `benchbed.interfaces.training.TrainingTask`.

    Args:
        preset: configuration and what the preset adds to it.
        perceptual: frozen feature network, frames in [0, 1] -> list of activations.
        resolution: pixels, the preset's where None.
        steps: optimisation steps, the preset's where None.
    """

    def __init__(
        self, preset: Preset, perceptual: nn.Module, resolution: int | None, steps: int | None
    ) -> None:
        self.preset = preset
        self.config, self.recipe = _complete(fomm_config(preset.published))
        self.perceptual = perceptual
        self.perceptual_weights, self.relative_taps = _tap_weights(preset, self.recipe, perceptual)
        self.schedule = TrainingSchedule(
            resolution=preset.resolution if resolution is None else resolution,
            batch_size=self.recipe.batch_size,
            steps=preset.steps if steps is None else steps,
            id_sampling=self.recipe.id_sampling,
            horizontal_flip=self.recipe.horizontal_flip,
            time_flip=self.recipe.time_flip,
            jitter=self.recipe.jitter,
        )
        multiple = size_multiple(self.config)
        if self.schedule.resolution % multiple:
            raise BenchbedError(
                f"fomm cannot be trained at {self.schedule.resolution} pixels with preset '{preset.name}'; "
                f"choose a multiple of {multiple}"
            )
        self.networks = inference_networks(self.config)
        if preset.copier:
            start_as_copier(self._generator)
        self.adversarial = self.recipe.loss_weights.generator_gan != 0
        if self.adversarial:
            if self.config.discriminator is None:
                raise BenchbedError(
                    "adversarial training of fomm needs discriminator_params in the configuration"
                )
            self.networks["discriminator"] = build_discriminator(self.config.discriminator)
            self.discriminator_pyramid = ImagePyramid(self.config.discriminator.scales)
        self.pyramid = ImagePyramid(self.recipe.scales)
        # Measured a fifth faster on CPUs; the results differ by float noise only.
        self.networks.to(memory_format=torch.channels_last)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam per network, learning rates as in the recipe."""
        rates = {
            "generator": self.recipe.lr_generator,
            "kp_detector": self.recipe.lr_kp_detector,
            "discriminator": self.recipe.lr_discriminator,
        }
        return {
            name: Adam(self._parameter_groups(name, rates[name]), lr=rates[name], betas=BETAS)
            for name in self.networks
        }

    def _parameter_groups(self, name: str, rate: float) -> list[dict[str, Any]]:
        if name != "generator" or self.preset.colour_rate == 1:
            return [{"params": list(self.networks[name].parameters())}]
        slow = [p for block in colour_path(self._generator) for p in block.parameters()]
        return [
            {"params": list(self._generator.dense_motion_network.parameters())},
            {"params": slow, "lr": rate * self.preset.colour_rate},
        ]

    @property
    def _generator(self) -> OcclusionAwareGenerator:
        return cast(OcclusionAwareGenerator, self.networks["generator"])

    def schedulers(self, optimizers: dict[str, Optimizer]) -> list[LRScheduler]:
        """The recipe's milestones as steps, or the preset's warm cosine."""
        steps = self.schedule.steps
        if self.preset.warm_cosine:
            return [LambdaLR(optimizer, WarmCosine(steps)) for optimizer in optimizers.values()]
        milestones = [steps * epoch // self.recipe.num_epochs for epoch in self.recipe.epoch_milestones]
        return [MultiStepLR(optimizer, milestones, gamma=0.1) for optimizer in optimizers.values()]

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step of detector and generator, then one of the discriminator where training is adversarial."""
        self._place(pair.source.device)
        self.networks.train()
        if _steps_done(optimizers["generator"]) >= self.preset.freeze_norm_after * self.schedule.steps:
            freeze_norms(colour_path(self._generator))
        image = pair.source.contiguous(memory_format=torch.channels_last)
        target = pair.driving.contiguous(memory_format=torch.channels_last)
        source, driving = self._keypoints(image), self._keypoints(target)
        generation: Generation = self.networks["generator"](image, source, driving)
        losses = self._losses(image, target, driving, generation)
        total = torch.stack(list(losses.values())).sum()
        backward(total)
        for name in INFERENCE:
            optimizers[name].step()
        # The generator's terms went through the discriminator: its gradients are cleared as well.
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        if self.adversarial:
            losses["discriminator_gan"] = self._discriminator_step(
                target, driving, generation, optimizers["discriminator"], backward
            )
        return {"total": total.detach()} | {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def sample(self, pair: FramePair) -> Tensor:
        """Reconstructions of the driving frames from the sources, in eval mode."""
        self.networks.eval()
        detector, generator = self.networks["kp_detector"], self.networks["generator"]
        generation: Generation = generator(pair.source, detector(pair.source), detector(pair.driving))
        self.networks.train()
        return generation.prediction

    def export(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Detector and generator under published names, and the configuration that rebuilds them."""
        tensors = {
            f"{name}.{key}": value.detach().clone(memory_format=torch.contiguous_format)
            for name in INFERENCE
            for key, value in self.networks[name].state_dict().items()
        }
        configuration = {
            **self.preset.published,
            "name": self.preset.name,
            "resolution": self.schedule.resolution,
            "align_corners": self.config.align_corners,
        }
        return tensors, {"configuration": json.dumps(configuration)}

    def _place(self, device: torch.device) -> None:
        self.perceptual.to(device)
        self.pyramid.to(device)
        if self.adversarial:
            self.discriminator_pyramid.to(device)

    def _keypoints(self, frames: Tensor) -> Keypoints:
        # In float32 always: the softmax at temperature 0.1 turns the rounding of half precision into jumping points.
        with torch.autocast(frames.device.type, enabled=False):
            return self.networks["kp_detector"](frames)

    def _losses(
        self, source: Tensor, target: Tensor, driving: Keypoints, generation: Generation
    ) -> dict[str, Tensor]:
        weights = self.recipe.loss_weights
        losses = {}
        if sum(self.perceptual_weights):
            losses["perceptual"] = perceptual_loss(
                self.perceptual,
                self.pyramid(generation.prediction),
                self.pyramid(target),
                self.perceptual_weights,
                relative=self.relative_taps,
            )
        if self.preset.l1_weight:
            losses["l1"] = self.preset.l1_weight * (generation.prediction - target).abs().mean()
        if self.preset.deformed_weight:
            deformed = self._generator.deform(source, generation.motion)
            losses["deformed"] = self.preset.deformed_weight * (deformed - target).abs().mean()
        if weights.equivariance_value + weights.equivariance_jacobian:
            losses |= self._equivariance(target, driving)
        if self.adversarial:
            losses |= self._adversarial(target, driving, generation)
        return losses

    def _equivariance(self, target: Tensor, driving: Keypoints) -> dict[str, Tensor]:
        weights, transform = self.recipe.loss_weights, self.recipe.transform
        warp = random_warp(
            target,
            sigma_affine=transform.sigma_affine,
            sigma_tps=transform.sigma_tps,
            points_tps=transform.points_tps,
        )
        transformed = self._keypoints(warp.frame(target, align_corners=self.config.align_corners))
        losses = {}
        if weights.equivariance_value:
            losses["equivariance_value"] = weights.equivariance_value * equivariance_value_loss(
                warp, driving, transformed
            )
        if weights.equivariance_jacobian:
            losses["equivariance_jacobian"] = weights.equivariance_jacobian * equivariance_jacobian_loss(
                warp, driving, transformed
            )
        return losses

    def _adversarial(self, target: Tensor, driving: Keypoints, generation: Generation) -> dict[str, Tensor]:
        weights = self.recipe.loss_weights
        discriminator = self.networks["discriminator"]
        positions = driving.value.detach()
        generated = discriminator(self.discriminator_pyramid(generation.prediction), positions)
        losses = {"generator_gan": weights.generator_gan * generator_gan_loss(generated)}
        if sum(weights.feature_matching):
            real = discriminator(self.discriminator_pyramid(target), positions)
            losses["feature_matching"] = feature_matching_loss(real, generated, weights.feature_matching)
        return losses

    def _discriminator_step(
        self,
        target: Tensor,
        driving: Keypoints,
        generation: Generation,
        optimizer: Optimizer,
        backward: Callable[[Tensor], None],
    ) -> Tensor:
        discriminator = self.networks["discriminator"]
        positions = driving.value.detach()
        generated = discriminator(self.discriminator_pyramid(generation.prediction.detach()), positions)
        real = discriminator(self.discriminator_pyramid(target), positions)
        loss = self.recipe.loss_weights.discriminator_gan * discriminator_gan_loss(real, generated)
        backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss


class WarmCosine:
    """Learning-rate factor: linear over the first 2 % of the steps, then half a cosine to 2 %."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.warm = max(1, steps // 50)

    def __call__(self, step: int) -> float:
        if step < self.warm:
            return (step + 1) / self.warm
        progress = min(1.0, (step - self.warm) / max(1, self.steps - self.warm))
        return 0.02 + 0.49 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def _tap_weights(
    preset: Preset, recipe: TrainingConfig, perceptual: nn.Module
) -> tuple[tuple[float, ...], bool]:
    """A loss weight per tap, and whether taps are divided by their own size.

    The published weights are for the five taps of VGG-19. Over another number of taps their sum is spread evenly,
    and taps are made relative, as activations of another network are of another scale.
    """
    weights = recipe.loss_weights.perceptual
    taps = len(perceptual(torch.zeros(1, 3, 64, 64)))
    if taps == len(weights):
        return weights, preset.relative_perceptual
    return (sum(weights) / taps,) * taps, True


def _complete(config: FommConfig) -> tuple[FommConfig, TrainingConfig]:
    if config.training is None:
        raise BenchbedError(
            "the FOMM configuration has no train_params with num_epochs; it cannot be trained"
        )
    return config, config.training


def build_training(
    *, preset: str, perceptual: nn.Module, resolution: int | None, steps: int | None
) -> FommTraining:
    """FOMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        preset: `tiny`, `paper` (the VoxCeleb recipe) or an official configuration.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    return FommTraining(preset_named(preset), perceptual, resolution, steps)
