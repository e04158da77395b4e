"""MRAA's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.background import background_predictor
from ..blocks.checkpoints import Published, Releases
from ..blocks.disentanglement import DisentanglementNetwork
from .avd import NUMBERS_PER_REGION
from .config import MraaConfig, mraa_config
from .generator import RegionGenerator
from .official import DATASETS, OFFICIAL_FILES, official, official_names
from .region_predictor import RegionPredictor

AVD = "avd_network"


def inference_networks(config: MraaConfig, *, avd: bool = True) -> nn.ModuleDict:
    """All networks under their checkpoint names, freshly initialised.

    Args:
        avd: with the AVD network, where the configuration describes one.
    """
    networks: dict[str, nn.Module] = {
        "generator": RegionGenerator(config.generator),
        "bg_predictor": background_predictor(config.background),
        "region_predictor": RegionPredictor(config.regions),
    }
    own = config.disentanglement
    if avd and own is not None:
        networks[AVD] = DisentanglementNetwork(
            size=NUMBERS_PER_REGION * own.num_regions,
            id_bottle_size=own.id_bottle_size,
            pose_bottle_size=own.pose_bottle_size,
        )
    return nn.ModuleDict(networks)


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(mraa_config(published), avd=AVD in held)


RELEASES = Releases(
    title="MRAA",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    lackable=(AVD,),
    # A wrong padding of the region convolution loads all the same but moves all regions.
    tensors_tell=False,
)
