"""Monkey-Net as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, WeightsMissingError

from ..blocks.checkpoints import read_checkpoint
from .checkpoint import RELEASES, inference_networks
from .config import MonkeyNetConfig, monkeynet_config
from .generator import Generation, MotionTransferGenerator, SourceFeatures
from .keypoint_detector import KeypointDetector
from .keypoints import SpreadKeypoints, transfer_spread_keypoints
from .official import OFFICIAL_FILES

TRANSFERS = ("absolute", "relative")


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
        if transfer not in TRANSFERS:
            raise BenchbedError(f"unknown transfer '{transfer}' for monkeynet; known: {', '.join(TRANSFERS)}")
        self._check_size(driving)
        keypoints = self.kp_detector(driving)
        if transfer == "absolute":
            return keypoints
        if initial_driving is None:
            raise BenchbedError(
                "relative transfer needs the first frame of the driving clip; give initial_driving"
            )
        return transfer_spread_keypoints(
            encoding.keypoints,
            keypoints,
            self.kp_detector(initial_driving),
            move_location=True,
            **asdict(self.config.transfer),
        )

    def generate(self, encoding: Encoding, keypoints: SpreadKeypoints) -> Generation:
        """The source with given driving key points, `(N, K, 2)`."""
        return self.generator.decode(encoding.features, encoding.keypoints, keypoints)

    def _check_size(self, frames: Tensor) -> None:
        multiple = size_multiple(self.config)
        height, width = frames.shape[2:]
        if height % multiple or width % multiple:
            raise BenchbedError(
                f"monkeynet cannot work on frames of {width}x{height} pixels; "
                f"both sides must be multiples of {multiple} in this configuration"
            )


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
    """Monkey-Net with the weights of a file, in eval mode on the CPU.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with `+aligned`, `+adapted`, `+adapted-variance` or `+clipped`;
            None reads it from the file.

    Raises:
        WeightsMissingError: no file is given.
        CheckpointError: the file does not fit, or is not safe to load.
        UnknownNameError: no such configuration.
    """
    if checkpoint is None:
        raise WeightsMissingError(
            "monkeynet needs a weights file and none was given; give an officially released one with "
            f"--checkpoint monkeynet=FILE ({', '.join(OFFICIAL_FILES)})"
        )
    read = read_checkpoint(Path(checkpoint), configuration, RELEASES)
    method = MonkeyNet(
        monkeynet_config(read.published),
        read.networks,
        configuration=read.configuration,
        trained_on=read.trained_on,
    )
    return method.eval()
