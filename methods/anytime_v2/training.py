"""Training Anytime-V2: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from benchbed.interfaces.training import TrainingRequest

from ..blocks.keypoint_set_animation import BACKGROUND
from ..training.anytime_pairs import AnytimePairs
from ..training.disentangling import Disentangling, DisentanglingPreset
from ..training.keypoint_set_pairs import KeypointSetTraining
from ..training.keypoint_set_poses import keypoint_set_disentangling
from ..training.presets import preset_named
from .checkpoint import two_view_networks
from .config import anytime_config
from .method import AnytimeV2
from .presets import presets


def build_training(request: TrainingRequest) -> KeypointSetTraining | Disentangling:
    """Anytime-V2 under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, `tiny-model1`, `tiny-model2`, `paper` (the Tai-Chi-HD recipe), the name of a
            full-size configuration, `tiny-avd` or `paper-avd`.

    Raises:
        UnknownNameError: no such preset.
        WeightsMissingError: a full-size preset, and the weights store has no weights of the transformer.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("anytime-v2", request.preset, presets(request.identities))
    chosen = chosen.resized(request.resolution, request.steps)
    config = anytime_config(chosen.published)
    if isinstance(chosen, DisentanglingPreset):
        held = two_view_networks(config)
        return keypoint_set_disentangling(AnytimeV2(config, held), held, chosen)
    networks = two_view_networks(config, frozenset({BACKGROUND}))
    return KeypointSetTraining(
        AnytimePairs(AnytimeV2(config, networks), networks, chosen), request.perceptual
    )
