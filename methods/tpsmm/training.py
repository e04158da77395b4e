"""Training TPSMM: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from benchbed.interfaces.training import TrainingRequest

from ..blocks.keypoint_set_animation import BACKGROUND, keypoint_set_networks
from ..training.disentangling import Disentangling, DisentanglingPreset
from ..training.keypoint_set_pairs import KeypointSetPairs, KeypointSetTraining
from ..training.keypoint_set_poses import keypoint_set_disentangling
from ..training.presets import preset_named
from .config import tpsmm_config
from .method import Tpsmm
from .presets import presets


def build_training(request: TrainingRequest) -> KeypointSetTraining | Disentangling:
    """TPSMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, or `paper` (the VoxCeleb recipe, also called `vox-256`), `tiny-avd` or `paper-avd`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("tpsmm", request.preset, presets()).resized(request.resolution, request.steps)
    config = tpsmm_config(chosen.published)
    if isinstance(chosen, DisentanglingPreset):
        held = keypoint_set_networks(config)
        return keypoint_set_disentangling(Tpsmm(config, held), held, chosen)
    networks = keypoint_set_networks(config, frozenset({BACKGROUND}))
    return KeypointSetTraining(
        KeypointSetPairs(Tpsmm(config, networks), networks, chosen), request.perceptual
    )
