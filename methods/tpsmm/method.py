"""TPSMM as a method of the bench: a thin-plate spline per set of five key points."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..blocks.building import build_released
from ..blocks.keypoint_set_animation import keypoint_set_networks
from ..blocks.keypoint_set_config import KeypointSetConfig
from ..blocks.spline_animation import SplineAnimation
from .checkpoint import RELEASES
from .config import tpsmm_config


class Tpsmm(SplineAnimation):
    """Thin-Plate Spline Motion Model (Zhao and Zhang, CVPR 2022).

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: KeypointSetConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__(
            "tpsmm",
            config,
            keypoint_set_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
        )


def build(*, checkpoint: Path | None, configuration: str | None) -> Tpsmm:
    """TPSMM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released("tpsmm", Tpsmm, tpsmm_config, RELEASES, checkpoint, configuration)
