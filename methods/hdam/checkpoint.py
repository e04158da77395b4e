"""HDAM's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.anchor_animation import LACKABLE, anchor_networks
from ..blocks.checkpoints import Published, Releases
from .anchor_detector import AnchorDetector
from .config import HdamConfig, hdam_config
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: HdamConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """The networks under their checkpoint names, freshly initialised; see `anchor_networks`."""
    detector = AnchorDetector(config.anchors.detector, config.attention)
    return anchor_networks(config.anchors, detector, held)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(hdam_config(published), held)


RELEASES = Releases(
    title="HDAM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    lackable=LACKABLE,
)
