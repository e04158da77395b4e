"""Monkey-Net as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.building import build_released, released_file
from ..blocks.frame_size import require_multiples
from ..blocks.transfer import initial_frame
from .checkpoint import RELEASES, inference_networks
from .config import MonkeyNetConfig, monkeynet_config
from .generator import Generation, MotionTransferGenerator, SourceFeatures
from .keypoint_detector import KeypointDetector
from .keypoints import SpreadKeypoints, transfer_spread_keypoints


@dataclass(frozen=True)
class Encoding:
    """A source: its encoded appearance and its key points, a batch of one each."""

    features: SourceFeatures
    keypoints: SpreadKeypoints


class MonkeyNet(nn.Module):
    """Monkey-Net (Siarohin et al., CVPR 2019).

    Args:
        config: describes detector, generator and relative transfer.
        networks: `kp_detector` and `generator`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: MonkeyNetConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        detector, generator = networks["kp_detector"], networks["generator"]
        if not isinstance(detector, KeypointDetector) or not isinstance(generator, MotionTransferGenerator):
            raise TypeError("networks must hold a KeypointDetector and a MotionTransferGenerator")
        self.kp_detector = detector
        self.generator = generator
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.align_corners).lower(),
            **{name: str(value).lower() for name, value in asdict(config.transfer).items()},
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and key points of a source `(1, 3, H, W)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Encoding(self.generator.encode(source), self.kp_detector(source))

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
        keypoints = self.driving_keypoints(
            encoding, driving, initial_driving=initial_driving, transfer=transfer
        )
        return self.generate(encoding, keypoints).prediction

    def driving_keypoints(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> SpreadKeypoints:
        """The key points handed to the generator, one set per driving frame."""
        initial = initial_frame("monkeynet", transfer, initial_driving)
        self._check_size(driving)
        keypoints = self.kp_detector(driving)
        if initial is None:
            return keypoints
        return transfer_spread_keypoints(
            encoding.keypoints,
            keypoints,
            self.kp_detector(initial),
            move_location=True,
            **asdict(self.config.transfer),
        )

    def generate(self, encoding: Encoding, keypoints: SpreadKeypoints) -> Generation:
        """The source with given driving key points, `(N, K, 2)`."""
        return self.generator.decode(encoding.features, encoding.keypoints, keypoints)

    def _check_size(self, frames: Tensor) -> None:
        require_multiples("monkeynet", frames, size_multiple(self.config))


def size_multiple(config: MonkeyNetConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    detector, generator = config.keypoint_detector, config.generator
    multiples = [round(2**detector.num_blocks / detector.scale_factor), 2**generator.num_blocks]
    if generator.dense_motion is not None:
        dense = generator.dense_motion
        multiples.append(round(2**dense.num_blocks / dense.scale_factor))
    if generator.kp_embedding is not None:
        multiples.append(round(1 / generator.kp_embedding.scale_factor))
    return math.lcm(*multiples)


def build(*, checkpoint: Path | None, configuration: str | None) -> MonkeyNet:
    """Monkey-Net with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with `+aligned`, `+adapted`, `+adapted-variance` or `+clipped`;
            None reads it from the file.
    """
    return build_released(
        "monkeynet",
        MonkeyNet,
        monkeynet_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=f"train one (benchbed train --method monkeynet) or give {released_file('monkeynet', RELEASES)}",
    )
