"""Anytime-V2 as a method of the bench: source and interpolated image, both warped, make the driving pose."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from ..blocks.anytime_animation import AnytimeAnimation, View
from ..blocks.anytime_config import AnytimeConfig
from ..blocks.building import build_released
from ..blocks.multi_occlusion_motion import MultiOcclusionMotion
from ..blocks.vision_transformer import FrozenTransformer
from .checkpoint import RELEASES, two_view_networks
from .config import anytime_config
from .two_view_inpainting import TwoViewInpaintingNetwork


class AnytimeV2(AnytimeAnimation):
    """Large Displacement Motion Transfer with Unsupervised Anytime Interpolation (ICML 2025), with two views.

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
            "anytime-v2",
            config,
            two_view_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
            transformer=transformer,
        )

    def views(self, source: View, middle: View) -> tuple[View, ...]:
        """What the second stage looks at: the source and the image between."""
        return (source, middle)

    def combine(
        self, views: tuple[View, ...], motions: tuple[MultiOcclusionMotion, ...]
    ) -> tuple[Tensor, Tensor]:
        """The images that the second stage makes of its views, and the views warped."""
        network = cast(TwoViewInpaintingNetwork, self.inpainting_network)
        return network.paint_two([view.appearance for view in views], motions)


def build(*, checkpoint: Path | None, configuration: str | None) -> AnytimeV2:
    """Anytime-V2 with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours.
        configuration: a full-size one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "anytime-v2",
        AnytimeV2,
        anytime_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted="none were released: train them with benchbed train --method anytime-v2, then give "
        "--checkpoint anytime-v2=FILE",
    )
