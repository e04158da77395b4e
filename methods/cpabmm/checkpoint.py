"""CPABMM's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from ..blocks.keypoint_set_animation import LACKABLE, keypoint_set_networks
from .config import CpabmmConfig, cpabmm_config
from .official import DATASETS, official, official_names


def inference_networks(config: CpabmmConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """The networks under their checkpoint names; besides a motion per set there is one of all key points."""
    return keypoint_set_networks(config.model, held, extra_motions=1)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(cpabmm_config(published), held)


RELEASES = Releases(
    title="CPABMM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets=DATASETS,
    lackable=LACKABLE,
    # The number of fitting steps and the resolution are no tensors.
    tensors_tell=False,
)
