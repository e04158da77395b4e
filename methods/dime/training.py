"""Training DiME: its networks and recipe under a preset, for the training on pairs."""

from __future__ import annotations

from benchbed.interfaces.training import TrainingRequest

from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import dime_config
from .method import NAME, Dime
from .pairs import DimePairs, DimeTraining
from .presets import presets


def build_training(request: TrainingRequest) -> DimeTraining:
    """DiME under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or a variant of it (`tiny-without-refinement`, `tiny-without-identity`,
            `tiny-one-shot`), or `paper` (the VoxCeleb recipe, also called `vox-256`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named(NAME, request.preset, presets()).resized(request.resolution, request.steps)
    config = dime_config(chosen.published)
    networks = inference_networks(config)
    model = DimePairs(Dime(config, networks), networks, chosen)
    return DimeTraining(NAME, chosen.name, model, chosen.recipe, request.perceptual)
