"""DAM as a method of the bench: first-order motion whose anchors were trained to follow one root anchor."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..blocks.anchor_animation import AnchorAnimation
from ..blocks.anchor_config import AnchorConfig
from ..blocks.building import build_released
from .checkpoint import RELEASES, inference_networks
from .config import dam_config


class Dam(AnchorAnimation):
    """Deformable Anchor Model (Tao et al., CVPR 2022).

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: AnchorConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__(
            "dam",
            config,
            inference_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
        )


def build(*, checkpoint: Path | None, configuration: str | None) -> Dam:
    """DAM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released("dam", Dam, dam_config, RELEASES, checkpoint, configuration)
