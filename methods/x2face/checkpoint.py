"""X2Face's two networks under their checkpoint names, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from .config import X2FaceConfig, x2face_config
from .driving_network import DrivingNetwork
from .embedding_network import EmbeddingNetwork
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: X2FaceConfig) -> nn.ModuleDict:
    """Embedding and driving network, freshly initialised."""
    return nn.ModuleDict(
        {"pix2pixUnwrapped": EmbeddingNetwork(config), "pix2pixSampler": DrivingNetwork(config)}
    )


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(x2face_config(published))


RELEASES = Releases(
    title="X2Face",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    training_only=("optimizer",),
    # Files of 2018 have none of them.
    optional=("num_batches_tracked",),
    wrapper="state_dict.",
)
