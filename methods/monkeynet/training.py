"""Training Monkey-Net: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingRequest

from ..blocks.convolution import ResidualBlock
from ..blocks.patch_discriminator import PatchScores
from ..training.pair_training import PairTraining, Reconstruction
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import monkeynet_config
from .discriminator import Discriminator
from .generator import MotionTransferGenerator
from .keypoints import SpreadKeypoints
from .losses import (
    deformed_loss,
    discriminator_gan_loss,
    generator_gan_loss,
    mean_per_image,
    reconstruction_losses,
)
from .method import size_multiple
from .presets import PRESETS, MonkeyNetPreset

# The sigmoid's slope at grey is 1/4: times 4, colours near grey come out as they went in.
COPY_GAIN = 4.0


@dataclass(frozen=True, kw_only=True)
class SpreadReconstruction(Reconstruction):
    """A reconstruction and the key points it was made with."""

    of_source: SpreadKeypoints
    of_driving: SpreadKeypoints


class MonkeyNetPairs:
    """Monkey-Net's part of training on pairs, see `pair_training.PairModel`.

    Args:
        preset: networks and loss weights.
    """

    def __init__(self, preset: MonkeyNetPreset) -> None:
        config = monkeynet_config(preset.published)
        self.networks = inference_networks(config)
        self.detector = self.networks["kp_detector"]
        generator = self.networks["generator"]
        if not isinstance(generator, MotionTransferGenerator):
            raise TypeError("networks must hold a MotionTransferGenerator")
        self.generator = generator
        self.configuration: Mapping[str, Any] = {**preset.published, "align_corners": config.align_corners}
        self.size_multiple = size_multiple(config)
        self.preset = preset
        if preset.recipe.additions.copier:
            start_with_warped_source(generator, config.generator.block_expansion)

    def detect(self, frames: Tensor) -> SpreadKeypoints:
        """Key points of frames, in float32 always.

        The softmax at temperature 0.1 turns the rounding of half precision into jumping points.
        """
        with torch.autocast(frames.device.type, enabled=False):
            return self.detector(frames)

    def reconstruct(self, source: Tensor, driving: Tensor) -> SpreadReconstruction:
        """Sources in the pose of the driving frames."""
        of_driving = self.detect(driving)
        of_source = self.detect(source)
        generation = self.generator(source, of_source, of_driving)
        return SpreadReconstruction(
            generation.prediction,
            generation.deformed,
            of_driving.value,
            of_source=of_source,
            of_driving=of_driving,
        )

    def losses(self, source: Tensor, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        """The published reconstruction losses of images; they are means over the batch."""
        preset, losses = self.preset, {}
        # An adversary compares the images themselves along with what it makes of them.
        if not preset.generator_gan:
            error = mean_per_image((driving - made.prediction).abs()).mean()
            losses["reconstruction"] = preset.reconstruction * error
        if preset.reconstruction_deformed and made.deformed is not None:
            own = deformed_loss(driving, made.deformed).mean()
            losses["reconstruction_deformed"] = preset.reconstruction_deformed * own
        return losses

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_module"]


class MonkeyNetTraining(PairTraining):
    """Training on pairs with a discriminator that sees key points, and their spread, beside the image.

    Raises:
        BenchbedError: adversarial training without a discriminator in the configuration.
    """

    def __init__(self, preset: MonkeyNetPreset, perceptual: nn.Module) -> None:
        super().__init__("monkeynet", preset.name, MonkeyNetPairs(preset), preset.recipe, perceptual)
        self.monkeynet = preset
        self.discriminator: Discriminator | None = None
        if preset.generator_gan:
            config = monkeynet_config(preset.published).discriminator
            if config is None:
                raise BenchbedError(
                    "adversarial training of monkeynet needs discriminator_params in the configuration"
                )
            self.discriminator = Discriminator(config)
            self.networks["discriminator"] = self.discriminator

    def adversarial_losses(self, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        """The published reconstruction losses, of images and of what the discriminator makes of them; its scores.

        The gradient reaches key points through both images, as published.
        """
        if self.discriminator is None:
            return {}
        preset, points = self.monkeynet, _points(made)
        fake = self._scores(made.prediction, *points)
        differences = reconstruction_losses(
            driving,
            made.prediction,
            self._scores(driving, *points),
            fake,
            (preset.reconstruction, *preset.features),
        )
        return {
            "reconstruction": torch.stack(differences).sum(dim=0).mean(),
            "generator_gan": preset.generator_gan * generator_gan_loss(fake).mean(),
        }

    def discriminator_loss(self, driving: Tensor, made: Reconstruction) -> Tensor | None:
        """The least-squares loss of the scores of both images; None without a discriminator."""
        if self.discriminator is None:
            return None
        points = tuple(one.detach() for one in _points(made))
        real, fake = (self._scores(image, *points) for image in (driving, made.prediction.detach()))
        return self.monkeynet.discriminator_gan * discriminator_gan_loss(real, fake).mean()

    def _scores(self, image: Tensor, source: SpreadKeypoints, driving: SpreadKeypoints) -> PatchScores:
        return self.networks["discriminator"](image, source, driving)


def _points(made: Reconstruction) -> tuple[SpreadKeypoints, SpreadKeypoints]:
    if not isinstance(made, SpreadReconstruction):
        raise TypeError("these losses are of a reconstruction with its key points")
    return made.of_source, made.of_driving


@torch.no_grad()
def start_with_warped_source(generator: MotionTransferGenerator, block_expansion: int) -> None:
    """Let the first prediction be the warped source image, its contrast a little bent by the sigmoid.

    The image is among the features that the decoder hands to the refinement: residual blocks start at zero, and the
    last convolution reads the image alone.
    """
    blocks = dict(generator.refinement_module.named_children())
    last = cast(nn.Conv2d, blocks.pop("conv-last"))
    for block in blocks.values():
        second = cast(nn.Conv2d, cast(ResidualBlock, block).conv2)
        nn.init.zeros_(second.weight)
        nn.init.zeros_(cast(Tensor, second.bias))
    nn.init.zeros_(last.weight)
    nn.init.constant_(cast(Tensor, last.bias), -COPY_GAIN / 2)
    for colour in range(last.out_channels):
        last.weight[colour, block_expansion + colour] = COPY_GAIN


def build_training(request: TrainingRequest) -> MonkeyNetTraining:
    """Monkey-Net under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe, also called `vox`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("monkeynet", request.preset, PRESETS).resized(request.resolution, request.steps)
    return MonkeyNetTraining(chosen, request.perceptual)
