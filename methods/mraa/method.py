"""MRAA as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.animation import background_conventions
from ..blocks.background import BackgroundPredictor
from ..blocks.building import build_released
from ..blocks.disentanglement import DisentanglementNetwork
from ..blocks.first_order import SourceFeatures
from ..blocks.frame_size import require_multiples
from ..blocks.transfer import initial_frame, transfer_keypoints
from .avd import disentangle
from .checkpoint import AVD, RELEASES, inference_networks
from .config import MraaConfig, mraa_config
from .generator import Generation, RegionGenerator
from .region_predictor import RegionPredictor
from .regions import Regions


@dataclass(frozen=True)
class Encoding:
    """A source: its encoded appearance (with the image itself) and its regions, a batch of one each."""

    features: SourceFeatures
    regions: Regions


class Mraa(nn.Module):
    """Motion Representations for Articulated Animation (Siarohin et al., CVPR 2021).

    Args:
        config: describes the networks and the test-time choices.
        networks: `region_predictor`, `bg_predictor`, `generator` and perhaps `avd_network`; freshly initialised
            ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.

    Raises:
        CheckpointError: the configuration wants a network that is not among them.
    """

    def __init__(
        self,
        config: MraaConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        regions, background = networks["region_predictor"], networks["bg_predictor"]
        generator, avd = networks["generator"], dict(networks.items()).get(AVD)
        if not (
            isinstance(regions, RegionPredictor)
            and isinstance(background, BackgroundPredictor)
            and isinstance(generator, RegionGenerator)
            and isinstance(avd, DisentanglementNetwork | None)
        ):
            raise TypeError("networks must hold MRAA's region_predictor, bg_predictor and generator")
        config.animation.require_networks(
            configuration, avd=avd is not None, background=bool(background.entries)
        )
        self.region_predictor = regions
        self.bg_predictor = background
        self.generator = generator
        self.avd_network = avd
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.align_corners).lower(),
            "absolute_pose": "avd" if config.animation.avd else "driving",
            **background_conventions(self.predicts_background),
            "adapt_movement_scale": "true",
            "relative_covariance": "driving",
        }

    def predicts_background(self, transfer: str) -> bool:
        """Whether a transfer predicts the background's motion; otherwise it stands still."""
        return bool(self.bg_predictor.entries) and self.config.animation.predicts_background(transfer)

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and regions of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Encoding(self.generator.encode(source), self.region_predictor(source))

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Raises:
            BenchbedError: unknown transfer, or relative transfer without its initial frame.
        """
        regions = self.driving_regions(encoding, driving, initial_driving=initial_driving, transfer=transfer)
        background = None
        if self.predicts_background(transfer):
            source = encoding.features.appearance.image.expand(len(driving), -1, -1, -1)
            background = self.bg_predictor(source, driving)
        return self.generate(encoding, regions, background).prediction

    def driving_regions(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Regions:
        """The regions handed to the generator, one set per driving frame."""
        initial = initial_frame("mraa", transfer, initial_driving)
        self._check_size(driving)
        regions = self.region_predictor(driving)
        if initial is not None:
            return relative_regions(encoding.regions, regions, self.region_predictor(initial))
        return self.posed_regions(encoding.regions, regions)

    def posed_regions(self, source: Regions, driving: Regions) -> Regions:
        """The regions of absolute transfer: the driving ones, or the source's in their pose (`+avd`)."""
        avd = self.config.disentanglement
        if not self.config.animation.avd or self.avd_network is None or avd is None:
            return driving
        return disentangle(
            self.avd_network,
            source.expand(len(driving.shift)),
            driving,
            revert_axis_swap=avd.revert_axis_swap,
        )

    def generate(self, encoding: Encoding, regions: Regions, background: Tensor | None = None) -> Generation:
        """The source with given driving regions, `(N, K, 2)`, and motion of the background, `(N, 3, 3)`."""
        count = len(regions.shift)
        return self.generator.decode(
            encoding.features.expand(count), encoding.regions.expand(count), regions, background
        )

    def _check_size(self, frames: Tensor) -> None:
        require_multiples("mraa", frames, size_multiple(self.config))


def relative_regions(source: Regions, driving: Regions, initial: Regions) -> Regions:
    """The source's regions moved as the driving ones moved since the initial frame.

    The movement is scaled by the ratio of object sizes; the covariance stays that of the driving frame, as published.
    """
    moved = transfer_keypoints(
        source.keypoints, driving.keypoints, initial.keypoints, relative=True, adapt_movement_scale=True
    )
    return Regions(moved.value, moved.jacobian, driving.covar)


def size_multiple(config: MraaConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    regions, flow = config.regions, config.generator.flow
    return math.lcm(
        round(2**regions.num_blocks / regions.scale_factor),
        flow.size_multiple,
        2**config.generator.num_down_blocks,
    )


def build(*, checkpoint: Path | None, configuration: str | None) -> Mraa:
    """MRAA with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released("mraa", Mraa, mraa_config, RELEASES, checkpoint, configuration)
