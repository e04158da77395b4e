"""MOFD's networks for inference, and the files that carry their weights; none were released."""

from __future__ import annotations

from torch import nn

from ..blocks.checkpoints import Published, Releases
from ..blocks.hourglass import hourglass_width
from ..blocks.keypoint_set_animation import LACKABLE, keypoint_set_networks
from .config import MofdConfig, mofd_config
from .feature_decoupling import FeatureDecoupling
from .motion_attention import MotionAttention
from .motion_optimisation import MotionOptimisation
from .official import official, official_names

OPTIMISERS, DECOUPLER, ATTENTIONS = "motion_optimisation", "feature_decoupling", "motion_attention"


def mofd_networks(config: MofdConfig, held: frozenset[str] = frozenset(LACKABLE)) -> nn.ModuleDict:
    """TPSMM's networks and MOFD's own, under their checkpoint names; a module per resolution, coarsest first."""
    networks = keypoint_set_networks(config.model, held)
    branch = config.model.inpainting
    widths = [
        hourglass_width(branch.block_expansion, branch.max_features, level)
        for level in range(branch.num_down_blocks, -1, -1)
    ]
    optimisation, decoupling = config.optimisation, config.decoupling
    if optimisation is not None:
        networks[OPTIMISERS] = nn.ModuleList(
            MotionOptimisation(channels, size, optimisation)
            for channels, size in zip(widths, config.stage_sizes(), strict=True)
        )
    if decoupling is not None:
        networks[DECOUPLER] = FeatureDecoupling(decoupling)
        networks[ATTENTIONS] = nn.ModuleList(
            MotionAttention(decoupling.width, channels, scaled=decoupling.attention_scale == "1/n")
            for channels in widths
        )
    return networks


def _networks(published: Published, held: frozenset[str]) -> nn.ModuleDict:
    return mofd_networks(mofd_config(published), held)


RELEASES = Releases(
    title="MOFD",
    configurations=official_names(),
    published=official,
    networks=_networks,
    files={},
    datasets={},
    lackable=LACKABLE,
)
