"""DiME's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from ..blocks.first_order import OcclusionAwareGenerator
from ..blocks.keypoint_detector import KeypointDetector
from .config import DimeConfig, dime_config
from .evolution import MotionEvolution
from .fusion import FeatureFusion
from .official import DATASETS, OFFICIAL_FILES, official, official_names
from .self_flow import SelfFlowNetwork


def inference_networks(config: DimeConfig) -> nn.ModuleDict:
    """The networks under their checkpoint names, freshly initialised; a variant has those it uses."""
    networks: dict[str, nn.Module] = {
        "kp_detector": KeypointDetector(config.keypoint_detector),
        "generator": OcclusionAwareGenerator(config.generator),
        "self_flow": SelfFlowNetwork(config),
    }
    if config.evolution is not None:
        networks["evolution"] = MotionEvolution(config.evolution)
    if config.identity:
        networks["fusion"] = FeatureFusion(config.features)
    return nn.ModuleDict(networks)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(dime_config(published))


RELEASES = Releases(
    title="DiME",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
)
