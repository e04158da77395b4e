"""Training LIA: its part of the training on pairs, and its networks and recipe under a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingRequest

from ..training.adversary import Adversary
from ..training.pair_training import PairTraining, Reconstruction
from .animator import LatentAnimator
from .checkpoint import inference_networks
from .config import ENCODER_CHANNELS, SMALLEST, lia_config
from .decoder import Level
from .discriminator import Discriminator
from .losses import LOGISTIC
from .presets import Preset, preset_named
from .ranges import signed, unsigned
from .start import start_as_copier


@dataclass(frozen=True)
class LevelReconstruction(Reconstruction):
    """A reconstruction and the levels of the decoder it was made in, coarse to fine."""

    levels: tuple[Level, ...] = ()


class LiaPairs:
    """LIA's part of training on pairs, see `pair_training.PairModel`.

    Args:
        preset: configuration and loss weights; the network has the size of its recipe's frames.

    Raises:
        BenchbedError: the preset has no network of that size.
    """

    def __init__(self, preset: Preset) -> None:
        self.size_multiple = preset.recipe.schedule.resolution
        widths = preset.published.get("channels", ENCODER_CHANNELS)
        sizes = [int(size) for size in widths if int(size) >= SMALLEST]
        if self.size_multiple not in sizes:
            raise BenchbedError(
                f"lia cannot be trained at {self.size_multiple} pixels with preset '{preset.name}'; choose a power "
                f"of two, {min(sizes)} or a multiple up to {max(sizes)}"
            )
        self.configuration: Mapping[str, Any] = {**preset.published, "size": self.size_multiple}
        self.config = lia_config(self.configuration)
        self.networks = inference_networks(self.config)
        animator = self.networks["gen"]
        if not isinstance(animator, LatentAnimator):
            raise TypeError("networks must hold a LatentAnimator")
        self.animator = animator
        self.preset = preset
        if preset.recipe.additions.copier:
            start_as_copier(animator)

    def reconstruct(self, source: Tensor, driving: Tensor) -> LevelReconstruction:
        """Sources in the pose of the driving frames.

        Source: LIA, equation 11, the transfer it is trained with.
        """
        encoder, decoder = self.animator.enc, self.animator.dec
        appearance = encoder.net_app(signed(source))
        path = self.animator.path(encoder.net_app.latent(signed(driving)), self.animator.directions())
        levels = tuple(decoder.pyramid(appearance.latent + path, appearance.features))
        deformed = decoder.moved(source, levels[-1].flow)
        return LevelReconstruction(unsigned(levels[-1].image), deformed, levels=levels)

    def losses(self, source: Tensor, driving: Tensor, made: LevelReconstruction) -> dict[str, Tensor]:
        """The mean absolute error of the images, before they are clamped, and that of every level's flow."""
        error = (made.levels[-1].image - signed(driving)).abs().mean()
        losses = {"reconstruction": self.preset.reconstruction_weight * error}
        if self.preset.pyramid_weight:
            errors = [
                (self.animator.dec.moved(_shrunk(source, level), level.flow) - _shrunk(driving, level))
                for level in made.levels[:-1]
            ]
            losses["deformed_pyramid"] = (
                self.preset.pyramid_weight * torch.stack([error.abs().mean() for error in errors]).sum()
            )
        return losses

    def colour_path(self) -> list[nn.Module]:
        """None: there are no norms to freeze."""
        return []


class LiaTraining(PairTraining):
    """Training on pairs with a discriminator that sees images before they are clamped, as published."""

    def __init__(self, preset: Preset, perceptual: nn.Module) -> None:
        model = LiaPairs(preset)
        adversary = None
        if preset.adversarial_weight:
            adversary = Adversary(
                Discriminator(model.config), generator_gan=preset.adversarial_weight, objective=LOGISTIC
            )
        super().__init__("lia", preset.name, model, preset.recipe, perceptual, adversary)

    def adversarial_losses(self, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        """See `PairTraining.adversarial_losses`."""
        return super().adversarial_losses(signed(driving), _unclamped(made))

    def discriminator_loss(self, driving: Tensor, made: Reconstruction) -> Tensor | None:
        """See `PairTraining.discriminator_loss`."""
        return super().discriminator_loss(signed(driving), _unclamped(made))


def _unclamped(made: Reconstruction) -> Reconstruction:
    """With the image as the decoder gives it, around [-1, 1], for its prediction."""
    if not isinstance(made, LevelReconstruction):
        raise TypeError("these losses are of a reconstruction with its levels")
    return replace(made, prediction=made.levels[-1].image)


def _shrunk(frames: Tensor, level: Level) -> Tensor:
    """Frames at the resolution of a level, averaged over areas."""
    return functional.avg_pool2d(frames, frames.shape[2] // level.flow.shape[2])


def build_training(request: TrainingRequest) -> LiaTraining:
    """LIA under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, `paper` (the VoxCeleb recipe, also called `vox-256`), or an ablation of either, as
            `tiny-m5` and `m5-256`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: no network of that resolution exists.
    """
    chosen = preset_named(request.preset).resized(request.resolution, request.steps)
    return LiaTraining(chosen, request.perceptual)
