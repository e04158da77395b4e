"""Training IAPM: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.training.pairs import jitter

from ..training.pair_training import PairTraining, Reconstruction, steps_done
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import iapm_config
from .generator import MaskedGenerator, Source
from .mask_generator import padded
from .method import size_multiple
from .perturbation import perturb_at_random
from .presets import PRESETS, IapmPreset

# The sigmoid's slope at grey is 1/4: times 4, colours near grey come out as they went in.
COPY_GAIN = 4.0


@dataclass(frozen=True)
class MaskedReconstruction(Reconstruction):
    """A reconstruction, the guess it was made from, and the masks.

    Args:
        guess: `(B, 3, H, W)` in [0, 1].
        corrected: `(B, 1, h, w)` in [0, 1], the driving mask, perturbed at random and refined; None before the
            refinement begins to learn.
        mask: `(B, 1, h, w)` in [0, 1], the driving mask.
    """

    guess: Tensor | None = None
    corrected: Tensor | None = None
    mask: Tensor | None = None


class IapmPairs:
    """IAPM's part of training on pairs, see `pair_training.PairModel`.

    Args:
        preset: networks and loss weights.

    Attributes:
        epoch: of the training; set from outside.
    """

    def __init__(self, preset: IapmPreset) -> None:
        config = iapm_config(preset.published)
        self.networks = inference_networks(config)
        generator = self.networks["generator"]
        if not isinstance(generator, MaskedGenerator):
            raise TypeError("networks must hold a MaskedGenerator")
        self.generator = generator
        self.threshold = config.generator.threshold
        self.configuration = preset.published
        self.size_multiple = size_multiple(config)
        self.preset = preset
        self.epoch = 0
        if preset.recipe.additions.copier:
            start_with_source(generator)

    def masks(self, frames: Tensor) -> Tensor:
        """The padded masks of frames, in float32 always: their temperature of 0.1 makes rounding ten times larger."""
        with torch.autocast(frames.device.type, enabled=False):
            return padded(self.networks["mask_generator"](frames))

    def reconstruct(self, source: Tensor, driving: Tensor) -> MaskedReconstruction:
        """Sources in the pose of the driving frames, by the published path for frames of one clip.

        Only the guess teaches masks: the second branch and the refinement see them, and the guess, without gradient.
        """
        training = self.generator.training
        seen = self._jittered(driving) if training else driving
        of_source, mask = self.masks(source), self.masks(seen)
        guess = self.generator.guess(Source.of(source, of_source), mask)
        still = Source.of(source, of_source.detach())
        prediction = self.generator.draw(still, guess.detach(), mask.detach())
        if not training:
            return MaskedReconstruction(prediction)
        corrected = None
        if self.epoch >= self.preset.refinement_start:
            corrected = self.generator.refine(still, perturb_at_random(mask, self.threshold))
        return MaskedReconstruction(
            prediction, augmented=(guess, driving), guess=guess, corrected=corrected, mask=mask.detach()
        )

    def losses(self, source: Tensor, driving: Tensor, made: MaskedReconstruction) -> dict[str, Tensor]:
        """The mask correction, zero before the refinement begins to learn, and the error of the guess."""
        if made.guess is None or made.mask is None:
            raise TypeError("these losses are of a reconstruction made in training mode")
        preset, error = self.preset, made.mask.new_zeros(())
        if made.corrected is not None:
            error = (made.corrected - made.mask).abs().mean()
        losses = {"mask_correction": preset.mask_correction * error}
        if preset.guess:
            losses["guess"] = preset.guess * (made.guess - driving).abs().mean()
        return losses

    def colour_path(self) -> list[nn.Module]:
        """All blocks of the generator but those that refine masks."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name not in ("mask_fix_net", "ref")]

    def _jittered(self, frames: Tensor) -> Tensor:
        # Seeded from torch, whose state follows from the step: a resumed training draws what it would have drawn.
        seeds = torch.randint(2**31, (len(frames),)).tolist()
        ranges = self.preset.driving_jitter
        each = [
            jitter(frame[None], ranges, np.random.default_rng(seed))
            for frame, seed in zip(frames, seeds, strict=True)
        ]
        return torch.cat(each)


class IapmTraining(PairTraining):
    """Training on pairs that tells its model the epoch; see `PairTraining`."""

    def __init__(self, preset: IapmPreset, perceptual: nn.Module) -> None:
        self.masked = IapmPairs(preset)
        super().__init__("iapm", preset.name, self.masked, preset.recipe, perceptual)

    def step(
        self, pair: FramePair, optimizers: dict[str, Optimizer], backward: Callable[[Tensor], None]
    ) -> dict[str, Tensor]:
        """One step of `PairTraining`, in its epoch."""
        self.masked.epoch = self.masked.preset.epochs * steps_done(optimizers) // self.schedule.steps
        return super().step(pair, optimizers, backward)


@torch.no_grad()
def start_with_source(generator: MaskedGenerator) -> None:
    """Let the first prediction be the source image, its contrast a little bent by the sigmoid.

    The image is among what the hourglass hands to the last convolution, which starts by reading it alone.
    """
    last = generator.final_hourglass
    hourglass, centre = generator.hourglass.out_channels, last.kernel_size[0] // 2
    first = hourglass - (2 * last.out_channels + 2)  # the inputs come last: source, its mask, guess, mask
    nn.init.zeros_(last.weight)
    nn.init.constant_(cast(Tensor, last.bias), -COPY_GAIN / 2)
    for colour in range(last.out_channels):
        last.weight[colour, first + colour, centre, centre] = COPY_GAIN


def build_training(request: TrainingRequest) -> IapmTraining:
    """IAPM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe, also called `vox-256`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("iapm", request.preset, PRESETS).resized(request.resolution, request.steps)
    return IapmTraining(chosen, request.perceptual)
