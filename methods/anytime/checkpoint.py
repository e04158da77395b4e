"""The networks of Anytime for inference, and how a file carries their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.anytime_animation import anytime_networks
from ..blocks.checkpoints import Published, Releases
from ..blocks.keypoint_set_animation import LACKABLE
from .config import anytime_config
from .official import official, official_names


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return anytime_networks(anytime_config(published), held)


RELEASES = Releases(
    title="Anytime",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets={},
    lackable=LACKABLE,
    # Weights of one data set load for another all the same, and see other images.
    tensors_tell=False,
)
