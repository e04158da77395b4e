"""MTIA as a method of the bench: key points that a transformer finds, first-order motion around them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from benchbed.errors import BenchbedError, WeightsMissingError

from ..blocks.checkpoints import read_checkpoint
from ..blocks.first_order_animation import FirstOrderAnimation
from .checkpoint import RELEASES, inference_networks
from .config import MtiaConfig, mtia_config
from .keypoint_detector import KeypointDetector
from .official import official_names


class Mtia(FirstOrderAnimation):
    """Motion Transformer for Unsupervised Image Animation (Tao et al., ECCV 2022).

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names, `bg_predictor` may be absent; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.

    Raises:
        CheckpointError: the configuration wants a network that is not among them.
    """

    kp_detector: KeypointDetector

    def __init__(
        self,
        config: MtiaConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        networks = inference_networks(config) if networks is None else networks
        if not isinstance(networks["kp_detector"], KeypointDetector):
            raise TypeError("networks must hold mtia's kp_detector and generator")
        super().__init__(
            "mtia",
            networks,
            config.transfer,
            size_multiple=config.generator.size_multiple,
            resolution=config.resolution,
            configuration=configuration,
            trained_on=trained_on,
        )
        self.config = config
        self.conventions |= self.background_conventions()

    def _check_size(self, frames: Tensor) -> None:
        # The position embedding fixes the number of patches.
        height, width = self.config.resolution
        if frames.shape[2:] != (height, width):
            raise BenchbedError(
                f"mtia cannot work on frames of {frames.shape[3]}x{frames.shape[2]} pixels; "
                f"this configuration sees {width}x{height} alone"
            )


def build(*, checkpoint: Path | None, configuration: str | None) -> Mtia:
    """MTIA with the weights of a file, in eval mode on the CPU.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.

    Raises:
        WeightsMissingError: no file is given.
        CheckpointError: the file does not fit, or is not safe to load.
        UnknownNameError: no such configuration.
    """
    if checkpoint is None:
        raise WeightsMissingError(
            "mtia needs a weights file and none was given; give an officially released one with "
            f"--checkpoint mtia=FILE and its configuration ({', '.join(official_names())})"
        )
    read = read_checkpoint(Path(checkpoint), configuration, RELEASES)
    method = Mtia(
        mtia_config(read.published),
        read.networks,
        configuration=read.configuration,
        trained_on=read.trained_on,
    )
    return method.eval()
