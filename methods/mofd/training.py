"""Training MOFD: TPSMM's training on pairs, with motion codes that a discriminator must not recognise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchbed.interfaces.training import FramePair, TrainingRequest

from ..blocks.keypoint_set_animation import BACKGROUND
from ..training.disentangling import Disentangling, DisentanglingPreset
from ..training.keypoint_set_pairs import KeypointSetPairs, KeypointSetTraining, SetReconstruction
from ..training.keypoint_set_poses import keypoint_set_disentangling
from ..training.pair_training import require_trainable_size
from ..training.presets import preset_named
from .checkpoint import mofd_networks
from .config import mofd_config, mofd_size_multiple
from .domain_discriminator import DomainDiscriminator
from .losses import confusion_loss, motion_code_loss, recognition_loss
from .method import Mofd
from .presets import MofdPreset, presets


@dataclass(frozen=True)
class MofdReconstruction(SetReconstruction):
    """A reconstruction with the motion codes `(B, width)` of the driving frames, and who they show, `(B,)`."""

    motion_code: Tensor | None = None
    identity: Tensor | None = None


class MofdPairs(KeypointSetPairs):
    """MOFD's part of training on pairs, see `KeypointSetPairs`.

    Args:
        preset: how it is trained.
        identities: of the training split.

    Attributes:
        discriminator: in training only, and not among the networks that animate; None where features are not decoupled.
    """

    def __init__(self, preset: MofdPreset, identities: int) -> None:
        config = mofd_config(preset.published)
        networks = mofd_networks(config, frozenset({BACKGROUND}))
        self.mofd = Mofd(config, networks)
        super().__init__(self.mofd, networks, preset)
        self.weights = preset
        self.size_multiple = mofd_size_multiple(config)
        self.discriminator = (
            None if config.decoupling is None else DomainDiscriminator(config.decoupling.width, identities)
        )

    def reconstruct(self, source: Tensor, driving: Tensor) -> MofdReconstruction:
        """Sources in the pose of the driving frames."""
        method = self.mofd
        moved = self.moved(source, driving)
        appearance = method.inpainting_network.look(source)
        code = method.motion_code(driving)
        asked = method.query(code, method.identity_code(source) if method.asks_with_identity else None)
        painting = method.paint(appearance, moved.motion, asked)
        return MofdReconstruction(
            painting.prediction,
            painting.deformed,
            moved.driving.value,
            appearance=appearance,
            motion=moved.motion,
            driving=moved.driving,
            background=moved.background,
            flows=painting.flows,
            motion_code=code,
        )

    def losses(self, source: Tensor, driving: Tensor, made: SetReconstruction) -> dict[str, Tensor]:
        """TPSMM's terms, warped features along the optimised motion; motion codes without identity, and kept.

        Source: MOFD, Eqs. 9 to 11, 14 and 16.
        """
        losses = super().losses(source, driving, made)
        decoupling = self.mofd.feature_decoupling
        if decoupling is None or self.discriminator is None:
            return losses
        if not isinstance(made, MofdReconstruction) or made.motion_code is None:
            raise TypeError("these losses are of a reconstruction with its motion codes")
        code, identity = made.motion_code, made.identity
        if identity is None:
            identity = torch.zeros(len(code), dtype=torch.long, device=code.device)
        weights = self.weights
        look = decoupling.motion if weights.motion_code_trains_encoder else decoupling.frozen_motion
        return losses | {
            "recognition": weights.recognition_weight * recognition_loss(self.discriminator, code, identity),
            "confusion": weights.confusion_weight * confusion_loss(self.discriminator, code, identity),
            "motion_code": weights.motion_code_weight * motion_code_loss(look(made.prediction), code),
        }


class MofdTraining(KeypointSetTraining):
    """Training on pairs that knows who is shown, and trains the discriminator beside the networks.

    The terms of discriminator and codes cut each other off, so one backward pass serves both; the discriminator has
    an Adam of its own, as every network has.
    """

    def __init__(self, model: MofdPairs, perceptual: nn.Module) -> None:
        super().__init__(model, perceptual)
        self.mofd = model
        if model.discriminator is not None:
            self.networks["domain_discriminator"] = model.discriminator

    def reconstruct(self, pair: FramePair) -> MofdReconstruction:
        """What the model makes of a batch, and who is shown."""
        return replace(self.mofd.reconstruct(pair.source, pair.driving), identity=pair.identity)


def build_training(request: TrainingRequest) -> MofdTraining | Disentangling:
    """MOFD under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, one of its ablations (`tiny-without-decoupling`, `tiny-without-motion-optimisation`),
            `paper` (the VoxCeleb recipe), that of one of `official_names`, `tiny-avd` or `paper-avd`.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("mofd", request.preset, presets()).resized(request.resolution, request.steps)
    resolution = chosen.recipe.schedule.resolution
    # The resolution decides the size of layers: refused here, before any is made.
    multiple = mofd_size_multiple(mofd_config(chosen.published))
    require_trainable_size("mofd", chosen.name, resolution, multiple)
    chosen = replace(chosen, published={**chosen.published, "resolution": resolution})
    if isinstance(chosen, DisentanglingPreset):
        config = mofd_config(chosen.published)
        held = mofd_networks(config)
        return keypoint_set_disentangling(Mofd(config, held), held, chosen)
    return MofdTraining(MofdPairs(chosen, request.identities), request.perceptual)
