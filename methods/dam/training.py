"""Training DAM: its networks under a preset, and the root that must explain all motion anchors."""

from __future__ import annotations

from torch import Tensor

from benchbed.interfaces.training import TrainingRequest

from ..training.anchor_pairs import AnchorPairs, AnchorReconstruction
from ..training.pair_training import PairTraining
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import dam_config
from .losses import root_loss
from .presets import DamPreset, presets


class DamPairs(AnchorPairs):
    """DAM's part of training on pairs."""

    def __init__(self, preset: DamPreset) -> None:
        config = dam_config(preset.published)
        super().__init__(inference_networks(config), config, preset)
        self.root_weight = preset.root_weight

    def hierarchy_losses(self, made: AnchorReconstruction) -> dict[str, Tensor]:
        """How far the root's motion carries the motion anchors from where they are."""
        source, driving = self.anchors(made.of_source), self.anchors(made.of_driving)
        return {"root": self.root_weight * root_loss(source, driving)}


def build_training(request: TrainingRequest) -> PairTraining:
    """DAM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("dam", request.preset, presets()).resized(request.resolution, request.steps)
    return PairTraining("dam", chosen.name, DamPairs(chosen), chosen.recipe, request.perceptual)
