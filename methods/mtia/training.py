"""Training MTIA: its networks under a preset, and what the masks of the motion should look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingRequest

from ..training.first_order_pairs import FirstOrderPairs, FirstOrderReconstruction
from ..training.pair_training import PairTraining
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import mtia_config
from .keypoint_detector import KeypointDetector
from .losses import background_mask_loss, mask_concentration_loss
from .presets import MtiaPreset, presets
from .start import start_bold


class MtiaPairs(FirstOrderPairs):
    """MTIA's part of training on pairs."""

    def __init__(self, preset: MtiaPreset) -> None:
        config = mtia_config(preset.published)
        networks = inference_networks(config)
        super().__init__(
            networks,
            preset.published,
            size_multiple=config.size_multiple,
            warps=preset.warps,
            value_weight=preset.equivariance_value,
            jacobian_weight=preset.equivariance_jacobian,
            copier=preset.recipe.additions.copier,
        )
        self.mask_weights = preset.background_mask_weight, preset.concentration_weight
        detector = networks["kp_detector"]
        if preset.bold_start and isinstance(detector, KeypointDetector):
            start_bold(detector.transformer)

    def losses(self, source: Tensor, driving: Tensor, made: FirstOrderReconstruction) -> dict[str, Tensor]:
        """The equivariance of the driving frames' key points, and the mask losses that have a weight."""
        terms = super().losses(source, driving, made)
        if made.motion is None:
            raise TypeError("these losses are of a reconstruction with its motion")
        background, concentration = self.mask_weights
        if background:
            terms["background_mask"] = background * background_mask_loss(made.motion.mask)
        if concentration:
            terms["mask_concentration"] = concentration * mask_concentration_loss(made.motion.mask)
        return terms


def _sized(preset: MtiaPreset, resolution: int | None) -> MtiaPreset:
    """The preset for images of another size; the position embedding knows one alone.

    Raises:
        BenchbedError: patches of that size do not fit.
    """
    if resolution is None:
        return preset
    multiple = mtia_config(preset.published).size_multiple
    if resolution % multiple:
        raise BenchbedError(
            f"mtia cannot be trained at {resolution} pixels with preset '{preset.name}'; "
            f"choose a multiple of {multiple}"
        )
    model: Mapping[str, Any] = preset.published["MODEL"]
    words = {**preset.published, "MODEL": {**model, "IMAGE_SIZE": [resolution, resolution]}}
    return replace(preset, published=words)


def build_training(request: TrainingRequest) -> PairTraining:
    """MTIA under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks need another resolution.
    """
    chosen = preset_named("mtia", request.preset, presets()).resized(request.resolution, request.steps)
    sized = _sized(chosen, request.resolution)
    return PairTraining("mtia", sized.name, MtiaPairs(sized), sized.recipe, request.perceptual)
