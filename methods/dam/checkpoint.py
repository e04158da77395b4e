"""DAM's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.anchor_animation import LACKABLE, anchor_networks
from ..blocks.anchor_config import AnchorConfig
from ..blocks.checkpoints import Published, Releases
from ..blocks.keypoint_detector import KeypointDetector
from .config import dam_config
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: AnchorConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """The networks under their checkpoint names, freshly initialised; see `anchor_networks`."""
    return anchor_networks(config, KeypointDetector(config.detector), held)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(dam_config(published), held)


RELEASES = Releases(
    title="DAM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    lackable=LACKABLE,
    # Skips have no tensors: mgif256 loads the weights of vox256 and paints something else.
    tensors_tell=False,
)
