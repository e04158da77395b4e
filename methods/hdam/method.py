"""HDAM as a method of the bench: first-order motion whose anchors were trained to follow a hierarchy of anchors."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..blocks.anchor_animation import AnchorAnimation
from ..blocks.building import build_released
from .checkpoint import RELEASES, inference_networks
from .config import HdamConfig, hdam_config


class Hdam(AnchorAnimation):
    """Hierarchical Deformable Anchor Model (Tao et al., CVPR 2022).

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: HdamConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__(
            "hdam",
            config.anchors,
            inference_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
        )


def build(*, checkpoint: Path | None, configuration: str | None) -> Hdam:
    """HDAM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released("hdam", Hdam, hdam_config, RELEASES, checkpoint, configuration)
