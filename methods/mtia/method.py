"""MTIA as a method of the bench: key points that a transformer finds, first-order motion around them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from ..blocks.building import build_released
from ..blocks.first_order_animation import FirstOrderAnimation
from ..blocks.frame_size import require_size
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
        require_size("mtia", frames, self.config.resolution)


def build(*, checkpoint: Path | None, configuration: str | None) -> Mtia:
    """MTIA with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "mtia",
        Mtia,
        mtia_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=(
            "give an officially released one with --checkpoint mtia=FILE and its configuration "
            f"({', '.join(official_names())})"
        ),
    )
