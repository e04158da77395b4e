"""FOMM as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from pathlib import Path

from torch import nn

from ..blocks.building import build_released, released_file
from ..blocks.first_order_animation import FirstOrderAnimation
from ..blocks.keypoint_detector import KeypointDetector
from .checkpoint import RELEASES, inference_networks
from .config import FommConfig, fomm_config


class Fomm(FirstOrderAnimation):
    """First Order Motion Model (Siarohin et al., NeurIPS 2019).

    Args:
        config: describes detector, generator and relative transfer.
        networks: `kp_detector` and `generator`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    kp_detector: KeypointDetector

    def __init__(
        self,
        config: FommConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        networks = inference_networks(config) if networks is None else networks
        if not isinstance(networks["kp_detector"], KeypointDetector):
            raise TypeError("networks must hold a KeypointDetector and an OcclusionAwareGenerator")
        super().__init__(
            "fomm",
            networks,
            config.transfer,
            size_multiple=size_multiple(config),
            resolution=config.resolution,
            configuration=configuration,
            trained_on=trained_on,
        )
        self.config = config


def size_multiple(config: FommConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    parts = (config.keypoint_detector, config.generator)
    return math.lcm(*(part.size_multiple for part in parts if part is not None))


def build(*, checkpoint: Path | None, configuration: str | None) -> Fomm:
    """FOMM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with `+aligned` or `+adapted`; None reads it from the file.
    """
    return build_released(
        "fomm",
        Fomm,
        fomm_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=f"train one (benchbed train --method fomm) or give {released_file('fomm', RELEASES)}",
    )
