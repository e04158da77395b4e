"""Anytime as a method of the bench: to the driving pose by the best of a few images between."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..blocks.anytime_animation import AnytimeAnimation, anytime_networks
from ..blocks.anytime_config import AnytimeConfig
from ..blocks.building import build_released
from ..blocks.vision_transformer import FrozenTransformer
from .checkpoint import RELEASES
from .config import anytime_config


class Anytime(AnytimeAnimation):
    """Large Displacement Motion Transfer with Unsupervised Anytime Interpolation (ICML 2025), its first version.

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
        transformer: see `AnytimeAnimation`.
    """

    def __init__(
        self,
        config: AnytimeConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
        transformer: FrozenTransformer | None = None,
    ) -> None:
        super().__init__(
            "anytime",
            config,
            anytime_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
            transformer=transformer,
        )


def build(*, checkpoint: Path | None, configuration: str | None) -> Anytime:
    """Anytime with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours; files of TPSMM fit as well.
        configuration: a full-size one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "anytime",
        Anytime,
        anytime_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted="none were released: train them with benchbed train --method anytime, then give "
        "--checkpoint anytime=FILE",
    )
