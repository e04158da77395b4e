"""Training TPSMM: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from benchbed.interfaces.training import TrainingRequest

from ..blocks.keypoint_set_animation import BACKGROUND, keypoint_set_networks
from ..training.keypoint_set_pairs import KeypointSetPairs, KeypointSetTraining
from ..training.presets import preset_named
from .config import tpsmm_config
from .method import Tpsmm
from .presets import presets


def build_training(request: TrainingRequest) -> KeypointSetTraining:
    """TPSMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, or `paper` (the VoxCeleb recipe, also called `vox-256`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("tpsmm", request.preset, presets()).resized(request.resolution, request.steps)
    config = tpsmm_config(chosen.published)
    networks = keypoint_set_networks(config, frozenset({BACKGROUND}))
    return KeypointSetTraining(
        KeypointSetPairs(Tpsmm(config, networks), networks, chosen), request.perceptual
    )
