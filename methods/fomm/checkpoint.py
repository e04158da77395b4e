"""FOMM's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from benchbed.errors import BenchbedError

from ..blocks.checkpoints import Published, Releases
from ..blocks.first_order import OcclusionAwareGenerator
from ..blocks.keypoint_detector import KeypointDetector
from .config import FommConfig, fomm_config
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: FommConfig) -> nn.ModuleDict:
    """Detector and generator under their checkpoint names, freshly initialised.

    Raises:
        BenchbedError: the configuration does not describe both.
    """
    if config.keypoint_detector is None or config.generator is None:
        raise BenchbedError(
            "the FOMM configuration lacks kp_detector_params or generator_params; add both to animate"
        )
    return nn.ModuleDict(
        {
            "generator": OcclusionAwareGenerator(config.generator),
            "kp_detector": KeypointDetector(config.keypoint_detector),
        }
    )


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(fomm_config(published))


RELEASES = Releases(
    title="FOMM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
)
