"""FOMM as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, WeightsMissingError

from ..blocks.motion import Keypoints
from ..blocks.transfer import transfer_keypoints
from .checkpoint import inference_networks, read_checkpoint
from .config import FommConfig
from .generator import Generation, OcclusionAwareGenerator, SourceFeatures
from .keypoint_detector import KeypointDetector
from .official import OFFICIAL_FILES

TRANSFERS = ("absolute", "relative")


@dataclass(frozen=True)
class Encoding:
    """A source: its encoded appearance and its key points, a batch of one each."""

    features: SourceFeatures
    keypoints: Keypoints


class Fomm(nn.Module):
    """First Order Motion Model (Siarohin et al., NeurIPS 2019).

    Args:
        config: describes detector, generator and relative transfer.
        networks: `kp_detector` and `generator`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: FommConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        detector, generator = networks["kp_detector"], networks["generator"]
        if not isinstance(detector, KeypointDetector) or not isinstance(generator, OcclusionAwareGenerator):
            raise TypeError("networks must hold a KeypointDetector and an OcclusionAwareGenerator")
        self.kp_detector = detector
        self.generator = generator
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.align_corners).lower(),
            "relative_jacobian": str(config.transfer.relative_jacobian).lower(),
            "adapt_movement_scale": str(config.transfer.adapt_movement_scale).lower(),
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
    ) -> Keypoints:
        """The key points handed to the generator, one set per driving frame."""
        if transfer not in TRANSFERS:
            raise BenchbedError(f"unknown transfer '{transfer}' for fomm; known: {', '.join(TRANSFERS)}")
        relative = transfer == "relative" and self.config.transfer.relative_movement
        if relative and initial_driving is None:
            raise BenchbedError(
                "relative transfer needs the first frame of the driving clip; give initial_driving"
            )
        self._check_size(driving)
        return transfer_keypoints(
            encoding.keypoints,
            self.kp_detector(driving),
            self.kp_detector(initial_driving) if relative else None,
            relative=relative,
            relative_jacobian=self.config.transfer.relative_jacobian,
            adapt_movement_scale=self.config.transfer.adapt_movement_scale,
        )

    def generate(self, encoding: Encoding, keypoints: Keypoints) -> Generation:
        """The source with given driving key points, `(N, K, 2)`."""
        count = len(keypoints.value)
        source = encoding.keypoints
        jacobian = None if source.jacobian is None else source.jacobian.expand(count, -1, -1, -1)
        return self.generator.decode(
            encoding.features.expand(count),
            Keypoints(source.value.expand(count, -1, -1), jacobian),
            keypoints,
        )

    def _check_size(self, frames: Tensor) -> None:
        multiple = size_multiple(self.config)
        height, width = frames.shape[2:]
        if height % multiple or width % multiple:
            raise BenchbedError(
                f"fomm cannot work on frames of {width}x{height} pixels; "
                f"both sides must be multiples of {multiple} in this configuration"
            )


def size_multiple(config: FommConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    multiples = [1]
    if config.keypoint_detector is not None:
        detector = config.keypoint_detector
        multiples.append(round(2**detector.num_blocks / detector.scale_factor))
    if config.generator is not None:
        dense = config.generator.dense_motion
        multiples.append(round(2**dense.num_blocks / dense.scale_factor))
        multiples.append(2**config.generator.num_down_blocks)
    return math.lcm(*multiples)


def build(*, checkpoint: Path | None, configuration: str | None) -> Fomm:
    """FOMM with the weights of a file, in eval mode on the CPU.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with `+aligned` or `+adapted`; None reads it from the file.

    Raises:
        WeightsMissingError: no file is given.
        CheckpointError: the file does not fit, or is not safe to load.
        UnknownNameError: no such configuration.
    """
    if checkpoint is None:
        raise WeightsMissingError(
            "fomm needs a weights file and none was given; train one (benchbed train --method fomm) or give "
            f"an officially released one with --checkpoint fomm=FILE ({', '.join(OFFICIAL_FILES)})"
        )
    networks, config, provenance = read_checkpoint(Path(checkpoint), configuration)
    method = Fomm(config, networks, configuration=provenance.configuration, trained_on=provenance.trained_on)
    return method.eval()
