"""LIA's network under its checkpoint name, and the files that carry its weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from .animator import LatentAnimator
from .config import LiaConfig, lia_config
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: LiaConfig) -> nn.ModuleDict:
    """The whole network as `gen`, freshly initialised."""
    return nn.ModuleDict({"gen": LatentAnimator(config)})


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(lia_config(published))


RELEASES = Releases(
    title="LIA",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    training_only=("dis.",),
    optional=(".kernel",),
)
