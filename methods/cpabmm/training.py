"""Training CPABMM: its networks, fits and recipe under a preset, for the training on pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbed.interfaces.training import TrainingRequest

from ..blocks.keypoint_set_animation import BACKGROUND
from ..blocks.keypoint_set_config import POINTS_PER_SET
from ..blocks.motion import Keypoints
from ..blocks.thin_plate import fit_spline
from ..blocks.vision_transformer import FrozenTransformer, TransformerConfig, stored_transformer
from ..training.disentangling import Disentangling, DisentanglingPreset
from ..training.keypoint_set_pairs import KeypointSetPairs, KeypointSetTraining, SetReconstruction
from ..training.keypoint_set_poses import keypoint_set_disentangling
from ..training.presets import preset_named
from .checkpoint import inference_networks
from .config import cpabmm_config
from .method import Cpabmm
from .presets import CpabmmPreset, presets
from .structure import structure_loss


class GuidedCpabmm(Cpabmm):
    """CPABMM in training, where the warped source can teach the key points; not published.

    The fitted transformations are constants for the networks. Those of single sets take the gradient of the
    thin-plate splines through the same points, and keep their values.
    """

    def set_motions(self, source: Keypoints, driving: Keypoints, size: tuple[int, int]) -> Tensor:
        """See `Cpabmm.set_motions`."""
        fitted = super().set_motions(source, driving, size)
        if not torch.is_grad_enabled():
            return fitted
        sets = (-1, POINTS_PER_SET)
        splines = fit_spline(driving.value.unflatten(1, sets), source.value.unflatten(1, sets))
        guide = splines.grid(*size)
        return torch.cat((fitted[:, :-1] + (guide - guide.detach()), fitted[:, -1:]), dim=1)


class FittedPairs(KeypointSetPairs):
    """CPABMM's part of training on pairs, see `KeypointSetPairs`.

    The transformations of a training batch are fitted under one norm, as published. Without `spline_gradient` key
    points learn through their heat maps and their equivariance alone, as published too.

    Args:
        preset: how it is trained.
        transformer: of the structure loss.
    """

    def __init__(self, preset: CpabmmPreset, transformer: FrozenTransformer | None = None) -> None:
        config = cpabmm_config(preset.published)
        networks = inference_networks(config, frozenset({BACKGROUND}))
        self.fitted = GuidedCpabmm(config, networks) if preset.spline_gradient else Cpabmm(config, networks)
        super().__init__(self.fitted, networks, preset)
        self.structure_weight = preset.structure_weight
        self.transformer = transformer

    def reconstruct(self, source: Tensor, driving: Tensor) -> SetReconstruction:
        """Sources in the pose of the driving frames; at rest frames are fitted singly, as when they are animated."""
        self.fitted.joint_fit = self.fitted.dense_motion_network.training
        self.fitted.to(source.device)  # with its bases, which are in no network
        return super().reconstruct(source, driving)

    def losses(self, source: Tensor, driving: Tensor, made: SetReconstruction) -> dict[str, Tensor]:
        """Those of `KeypointSetPairs`, and the structure loss where there is a transformer."""
        losses = super().losses(source, driving, made)
        if self.transformer is not None:
            self.transformer.to(driving.device)
            error = structure_loss(self.transformer, made.prediction, driving)
            losses["structure"] = self.structure_weight * error
        return losses


def build_training(request: TrainingRequest) -> KeypointSetTraining | Disentangling:
    """CPABMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, `paper` (the VoxCeleb recipe, also called `vox-256`), `tiny-avd` or `paper-avd`.

    Raises:
        UnknownNameError: no such preset.
        WeightsMissingError: `paper`, and the weights store has no weights of the transformer.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("cpabmm", request.preset, presets()).resized(request.resolution, request.steps)
    if isinstance(chosen, DisentanglingPreset):
        config = cpabmm_config(chosen.published)
        held = inference_networks(config)
        return keypoint_set_disentangling(Cpabmm(config, held), held, chosen)
    transformer = stored_transformer(TransformerConfig()) if chosen.structure_weight else None
    return KeypointSetTraining(FittedPairs(chosen, transformer), request.perceptual)
