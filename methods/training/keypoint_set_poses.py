"""The AVD network of methods that fit a map of the plane to each set of key points, for the stage that trains it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.keypoint_set_animation import AVD, KeypointSetAnimation, size_multiple
from .disentangling import Disentangling, DisentanglingPreset, published_disentangling
from .keypoint_set_terms import stretched
from .presets import Preset


class KeypointSetPoses:
    """Key points of one frame, by the shape of another and its own stretched pose; see `disentangling.PoseModel`.

    Args:
        method: with the networks that animate.
        networks: the same, under their checkpoint names.
    """

    def __init__(self, method: KeypointSetAnimation, networks: nn.ModuleDict) -> None:
        self.method = method
        self.networks = networks
        self.size_multiple = size_multiple(method.config)

    def losses(self, source: Tensor, driving: Tensor, factors: Tensor) -> dict[str, Tensor]:
        """Mean absolute error of the key points.

        Source: TPSMM's published code.
        """
        with torch.no_grad():
            of_source, wanted = self.method.kp_detector(source), self.method.kp_detector(driving)
        pose = stretched(wanted.value, factors)
        # the whole batch at once: in training its norms need more than one row
        posed = self.networks[AVD](of_source.value.flatten(1), pose.flatten(1))
        return {"keypoints": (wanted.value.flatten(1) - posed).abs().mean()}

    def animate(self, source: Tensor, driving: Tensor) -> Tensor:
        """The source in the poses of driving frames."""
        method = self.method.to(source.device)  # with what is in no network
        return method.animate(method.encode(source), driving)


def vox_disentangling(base: Preset) -> DisentanglingPreset:
    """The published stage of a preset for VoxCeleb.

    Source: TPSMM's published configuration; its scheduler falls an epoch later than the milestones say.
    """
    return published_disentangling(base, epochs=200, repeats=300, milestones=(141, 181))


def keypoint_set_disentangling(
    method: KeypointSetAnimation, networks: nn.ModuleDict, preset: DisentanglingPreset
) -> Disentangling:
    """The stage of the AVD network of such a method.

    Raises:
        BenchbedError: its configuration describes none, or the resolution does not suit the networks.
    """
    if AVD not in networks:
        raise BenchbedError(f"preset '{preset.name}' of {method.name} has no AVD network to train")
    return Disentangling(method.name, KeypointSetPoses(method, networks), preset)
