"""CPABMM as a method of the bench: piecewise-affine transformations fitted to the key points of every frame."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.building import build_released
from ..blocks.grids import coordinate_grid
from ..blocks.keypoint_set_animation import KeypointSetAnimation
from ..blocks.motion import Keypoints
from .checkpoint import RELEASES, inference_networks
from .config import CpabmmConfig, cpabmm_config
from .fit import fit_transformations, moved_points
from .tessellation import velocity_basis

PARTIAL_SIDE, GLOBAL_SIDE = 4, 6


class Cpabmm(KeypointSetAnimation):
    """Continuous Piecewise-Affine Based Motion Model (Wang et al., AAAI 2024).

    Args:
        config: describes the networks, the fits and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
        bases: of the velocities of the partial and of the global transformations; ours where None.
        joint_fit: fit all items of a batch under one norm, as published for batches; frames then depend on each
            other.
    """

    partial_basis: Tensor
    global_basis: Tensor

    def __init__(
        self,
        config: CpabmmConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
        bases: tuple[Tensor, Tensor] | None = None,
        joint_fit: bool = False,
    ) -> None:
        super().__init__(
            "cpabmm",
            config.model,
            inference_networks(config) if networks is None else networks,
            configuration=configuration,
            trained_on=trained_on,
        )
        bases = (velocity_basis(PARTIAL_SIDE), velocity_basis(GLOBAL_SIDE)) if bases is None else bases
        # float64: a converged fit oscillates, and blows float32 noise (of another batch size, of another number of
        # threads) up to what can be seen.
        for name, basis in zip(("partial_basis", "global_basis"), bases, strict=True):
            self.register_buffer(name, basis.double(), persistent=False)
        self.fits = config
        self.joint_fit = joint_fit
        self.conventions |= {
            "fit_iterations": f"{config.partial_iterations} and {config.global_iterations}",
            "fit_rate": str(config.fit_rate),
            "fit_norm": "joint" if joint_fit else "per frame",
        }

    def keypoints(self, frames: Tensor) -> Keypoints:
        """The key points of frames `(B, 3, H, W)`, found frame by frame.

        The fits would blow up even the noise of another batch size.
        """
        found = [self.kp_detector(frame.unsqueeze(0).clone()).value for frame in frames]
        return Keypoints(torch.cat(found))

    def posed(self, source: Keypoints, driving: Keypoints) -> Keypoints:
        """The source's key points in the pose of the driving ones, frame by frame for the same reason."""
        pairs = zip(source.value.expand_as(driving.value), driving.value, strict=True)
        single = [super(Cpabmm, self).posed(Keypoints(s[None]), Keypoints(d[None])).value for s, d in pairs]
        return Keypoints(torch.cat(single))

    def set_motions(self, source: Keypoints, driving: Keypoints, size: tuple[int, int]) -> Tensor:
        """Where every pixel comes from under each transformation, `(B, K + 1, *size, 2)`; the global one is last."""
        pixels = coordinate_grid(*size, like=driving.value).flatten(0, 1)
        motions = []
        for sets, basis, iterations in (
            (self.config.num_sets, self.partial_basis, self.fits.partial_iterations),
            (1, self.global_basis, self.fits.global_iterations),
        ):
            theta = fit_transformations(
                driving.value.unflatten(1, (sets, -1)),
                source.value.unflatten(1, (sets, -1)),
                basis,
                iterations=iterations,
                joint=self.joint_fit,
                rate=self.fits.fit_rate,
            )
            motions.append(moved_points(theta, basis, pixels).unflatten(2, size))
        return torch.cat(motions, dim=1)


def build(*, checkpoint: Path | None, configuration: str | None) -> Cpabmm:
    """CPABMM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or a file written by the published training code.
        configuration: a published one, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "cpabmm",
        Cpabmm,
        cpabmm_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=(
            "its authors released none, so give one written by their training code with --checkpoint cpabmm=FILE"
        ),
    )
