"""TPSMM's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from ..blocks.keypoint_set_animation import LACKABLE, keypoint_set_networks
from .config import tpsmm_config
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return keypoint_set_networks(tpsmm_config(published), held)


RELEASES = Releases(
    title="TPSMM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    lackable=LACKABLE,
    # Weights for another resolution load all the same but see people at another size.
    tensors_tell=False,
)
