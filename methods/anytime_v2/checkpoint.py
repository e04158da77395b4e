"""The networks of Anytime-V2 for inference, and how a file carries their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.anytime_animation import anytime_networks
from ..blocks.anytime_config import AnytimeConfig
from ..blocks.checkpoints import Published, Releases
from ..blocks.keypoint_set_animation import LACKABLE
from .config import anytime_config
from .official import official, official_names
from .two_view_inpainting import TwoViewInpaintingNetwork


def two_view_networks(config: AnytimeConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """The networks of the first version, of which the image branch fuses two views."""
    networks = anytime_networks(config, held)
    networks["inpainting_network"] = TwoViewInpaintingNetwork(
        num_channels=config.num_channels,
        block_expansion=config.inpainting.block_expansion,
        max_features=config.inpainting.max_features,
        num_down_blocks=config.inpainting.num_down_blocks,
        multi_mask=config.multi_mask,
    )
    return networks


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return two_view_networks(anytime_config(published), held)


RELEASES = Releases(
    title="Anytime-V2",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets={},
    lackable=LACKABLE,
    # Weights of one data set load for another all the same, and see other images.
    tensors_tell=False,
)
