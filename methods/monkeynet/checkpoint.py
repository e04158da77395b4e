"""Monkey-Net's networks for inference, and the files that carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from .config import MonkeyNetConfig, monkeynet_config
from .generator import MotionTransferGenerator
from .keypoint_detector import KeypointDetector
from .official import DATASETS, OFFICIAL_FILES, official, official_names


def inference_networks(config: MonkeyNetConfig) -> nn.ModuleDict:
    """Detector and generator under their checkpoint names, freshly initialised."""
    return nn.ModuleDict(
        {
            "generator": MotionTransferGenerator(config.generator),
            "kp_detector": KeypointDetector(config.keypoint_detector),
        }
    )


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(monkeynet_config(published))


RELEASES = Releases(
    title="Monkey-Net",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files=OFFICIAL_FILES,
    datasets=DATASETS,
    optional=("num_batches_tracked",),
    # The scales and normalisations in which configurations differ leave no trace in the tensors.
    tensors_tell=False,
)
