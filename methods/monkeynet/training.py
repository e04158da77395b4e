"""Training Monkey-Net: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchbed.interfaces.training import TrainingRequest

from ..blocks.convolution import ResidualBlock
from ..training.pair_training import PairTraining, Reconstruction
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import monkeynet_config
from .generator import MotionTransferGenerator
from .keypoints import SpreadKeypoints
from .losses import deformed_loss, mean_per_image
from .method import size_multiple
from .presets import PRESETS, MonkeyNetPreset

# The sigmoid's slope at grey is 1/4: times 4, colours near grey come out as they went in.
COPY_GAIN = 4.0


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

    def reconstruct(self, source: Tensor, driving: Tensor) -> Reconstruction:
        """Sources in the pose of the driving frames."""
        of_driving = self.detect(driving)
        generation = self.generator(source, self.detect(source), of_driving)
        return Reconstruction(generation.prediction, generation.deformed, of_driving.value)

    def losses(self, source: Tensor, driving: Tensor, made: Reconstruction) -> dict[str, Tensor]:
        """The published reconstruction losses of images; they are means over the batch."""
        preset = self.preset
        losses = {
            "reconstruction": preset.reconstruction * mean_per_image((driving - made.prediction).abs()).mean()
        }
        if preset.reconstruction_deformed and made.deformed is not None:
            own = deformed_loss(driving, made.deformed).mean()
            losses["reconstruction_deformed"] = preset.reconstruction_deformed * own
        return losses

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_module"]


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


def build_training(request: TrainingRequest) -> PairTraining:
    """Monkey-Net under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("monkeynet", request.preset, PRESETS).resized(request.resolution, request.steps)
    return PairTraining("monkeynet", chosen.name, MonkeyNetPairs(chosen), chosen.recipe, request.perceptual)
