"""IAPM's networks for inference, and how files carry their weights."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from .config import IapmConfig, iapm_config
from .generator import MaskedGenerator
from .mask_generator import MaskGenerator
from .official import DATASETS, official, official_names


def inference_networks(config: IapmConfig) -> nn.ModuleDict:
    """Both networks under their checkpoint names, freshly initialised."""
    return nn.ModuleDict(
        {
            "generator": MaskedGenerator(config.generator),
            "mask_generator": MaskGenerator(config.mask_generator),
        }
    )


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return inference_networks(iapm_config(published))


RELEASES = Releases(
    title="IAPM",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets=DATASETS,
    # The threshold of the perturbation is not in the tensors.
    tensors_tell=False,
)
