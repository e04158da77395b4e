"""Training HDAM: its networks under a preset, a hierarchy of anchors and the attention between its levels."""

from __future__ import annotations

from torch import Tensor

from benchbed.interfaces.training import TrainingRequest

from ..training.anchor_pairs import AnchorPairs, AnchorReconstruction
from ..training.pair_training import PairTraining
from ..training.presets import preset_named
from .anchor_detector import AnchorDetector
from .checkpoint import inference_networks
from .config import hdam_config
from .losses import completeness_loss, intermediate_loss, orthogonality_loss, root_loss
from .presets import HdamPreset, presets


class HdamPairs(AnchorPairs):
    """HDAM's part of training on pairs."""

    detector: AnchorDetector

    def __init__(self, preset: HdamPreset) -> None:
        config = hdam_config(preset.published)
        super().__init__(inference_networks(config), config.anchors, preset)
        self.preset = preset

    def hierarchy_losses(self, made: AnchorReconstruction) -> dict[str, Tensor]:
        """Motion carried from the root to the intermediate anchors, and on to those they attend to."""
        source, driving = self.anchors(made.of_source), self.anchors(made.of_driving)
        attention = self.detector.attention(made.of_driving.features, driving)
        weights = self.preset
        return {
            "root": weights.root_weight * root_loss(source, driving),
            "intermediate": weights.intermediate_weight * intermediate_loss(source, driving, attention),
            "orthogonality": weights.orthogonality_weight * orthogonality_loss(attention),
            "completeness": weights.completeness_weight * completeness_loss(attention, weights.threshold),
        }


def build_training(request: TrainingRequest) -> PairTraining:
    """HDAM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe, also called `vox256`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("hdam", request.preset, presets()).resized(request.resolution, request.steps)
    return PairTraining("hdam", chosen.name, HdamPairs(chosen), chosen.recipe, request.perceptual)
