"""MTIA's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.background import background_predictor
from ..blocks.checkpoints import Published, Releases
from ..blocks.first_order import OcclusionAwareGenerator
from ..blocks.first_order_animation import BACKGROUND
from .config import MtiaConfig, mtia_config
from .keypoint_detector import KeypointDetector
from .official import DATASETS, official, official_names

LACKABLE = (BACKGROUND,)


def inference_networks(config: MtiaConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """All networks under their checkpoint names, freshly initialised.

    Args:
        held: which of `LACKABLE` to build, where the configuration describes them.
    """
    networks: dict[str, nn.Module] = {
        "generator": OcclusionAwareGenerator(config.generator),
        "kp_detector": KeypointDetector(config.detector),
    }
    if BACKGROUND in held and config.background is not None:
        networks[BACKGROUND] = background_predictor(config.background)
    return nn.ModuleDict(networks)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(mtia_config(published), held)


RELEASES = Releases(
    title="MTIA",
    configurations=official_names(),
    published=official,
    networks=_networks,
    # The weights were released as one archive; no file names are on record.
    files={},
    datasets=DATASETS,
    lackable=LACKABLE,
    optional=("down.weight", "num_batches_tracked", "pos_embedding"),
    # The skips of the generator have no tensors of their own.
    tensors_tell=False,
)
