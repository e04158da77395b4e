"""MOFD as a method of the bench: TPSMM whose motion is optimised and whose features hear of the driving frame."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.building import build_released
from ..blocks.frame_size import require_size
from ..blocks.grids import coordinate_grid, sample
from ..blocks.inpainting import sized
from ..blocks.keypoint_set_animation import Encoding, Generation
from ..blocks.motion import Keypoints
from ..blocks.multi_occlusion_motion import MultiOcclusionMotion
from ..blocks.spline_animation import SplineAnimation
from ..blocks.warping_generator import Appearance
from .checkpoint import ATTENTIONS, DECOUPLER, OPTIMISERS, RELEASES, mofd_networks
from .config import MofdConfig, mofd_config
from .feature_decoupling import FeatureDecoupling


@dataclass(frozen=True)
class MofdEncoding(Encoding):
    """A source, and what the attention is asked with.

    Args:
        identity: F_id `(1, width)`; None where features are not decoupled.
        query: `(N, width)`, of N driving frames; None until they are known.
    """

    identity: Tensor | None = None
    query: Tensor | None = None


@dataclass(frozen=True)
class Painting:
    """What the image branch makes of its sources.

    Args:
        prediction: `(B, C, H, W)` in [0, 1].
        deformed: `(B, C, H, W)`, the source images warped by the finest motion.
        flows: `(B, h, w, 2)` each, the motion at every resolution, coarsest first; (x, y) in [-1, 1].
    """

    prediction: Tensor
    deformed: Tensor
    flows: tuple[Tensor, ...]


class Mofd(SplineAnimation):
    """Motion optimisation with feature decoupling, over TPSMM.

    Args:
        config: describes the networks and the test-time choices.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: MofdConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        networks = mofd_networks(config) if networks is None else networks
        super().__init__("mofd", config.model, networks, configuration=configuration, trained_on=trained_on)
        held = dict(networks.items())
        self.parts = config
        self.motion_optimisation = cast(nn.ModuleList | None, held.get(OPTIMISERS))
        self.feature_decoupling = cast(FeatureDecoupling | None, held.get(DECOUPLER))
        self.motion_attention = cast(nn.ModuleList | None, held.get(ATTENTIONS))
        self.conventions |= {
            "motion_optimisation": _on_or_off(self.motion_optimisation),
            "feature_decoupling": _on_or_off(self.feature_decoupling),
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> MofdEncoding:
        """Appearance, key points and identity code of a source; see `KeypointSetAnimation.encode`.

        Raises:
            BenchbedError: the size is not the one the motion optimisation was made for.
        """
        encoding = super().encode(source, references)
        shared = {field.name: getattr(encoding, field.name) for field in fields(encoding)}
        return MofdEncoding(**shared, identity=self.identity_code(source))

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        The motion code is always that of the driving frame itself, whatever the transfer.

        Raises:
            BenchbedError: unknown transfer, relative transfer without its initial frame, or a wrong size.
        """
        self._check_size(driving)
        asked = self.query(self.motion_code(driving), _own(encoding).identity)
        return super().animate(
            replace(_own(encoding), query=asked),
            driving,
            initial_driving=initial_driving,
            transfer=transfer,
        )

    def generate(
        self, encoding: Encoding, keypoints: Keypoints, background: Tensor | None = None
    ) -> Generation:
        """The source with given driving key points, `(N, P, 2)`, and motion of the background, `(N, 3, 3)`.

        Args:
            encoding: with the query of the driving frames, where features are decoupled.
        """
        count = len(keypoints.value)
        motion = self.move(
            encoding.downsampled.expand(count, -1, -1, -1),
            encoding.keypoints.expand(count),
            keypoints,
            background,
        )
        painting = self.paint(encoding.appearance.expand(count), motion, _own(encoding).query)
        return Generation(painting.prediction, motion)

    def motion_code(self, driving: Tensor) -> Tensor | None:
        """F_m of driving frames `(B, 3, H, W)`, `(B, width)`; None where features are not decoupled."""
        return None if self.feature_decoupling is None else self.feature_decoupling.motion(driving)

    def identity_code(self, source: Tensor) -> Tensor | None:
        """F_id of sources `(B, 3, H, W)`, `(B, width)`; None where features are not decoupled."""
        return None if self.feature_decoupling is None else self.feature_decoupling.identity(source)

    @property
    def asks_with_identity(self) -> bool:
        """Whether the identity code is part of what the attention is asked with."""
        return self.parts.decoupling is not None and self.parts.decoupling.identity_in_generator

    def query(self, motion_code: Tensor | None, identity_code: Tensor | None) -> Tensor | None:
        """What the attention is asked with: F_m, or F_m + F_id."""
        if motion_code is None or identity_code is None or not self.asks_with_identity:
            return motion_code
        return motion_code + identity_code

    def paint(self, appearance: Appearance, motion: MultiOcclusionMotion, query: Tensor | None) -> Painting:
        """B sources along their dense motion.

        Args:
            query: `(B, width)`, what the attention is asked with; None where features are not decoupled.
        """
        network = self.inpainting_network
        flows: list[Tensor] = []
        stages: list[Tensor] = []
        for level, features in enumerate(reversed(appearance.features)):
            flows.append(self.flow(level, features, motion.deformation))
            warped = self.attended(level, sample(features, flows[-1], align_corners=True), query)
            occlusion = motion.occlusion_maps[level if network.multi_mask else 0]
            stages.append(warped * sized(occlusion, features.shape[2:]))
        deformed = sample(appearance.image, flows[-1], align_corners=True)
        visible = sized(motion.occlusion_maps[-1], appearance.image.shape[2:])
        return Painting(network.decode(iter(stages), deformed, visible), deformed, tuple(flows))

    def flow(self, level: int, features: Tensor, deformation: Tensor) -> Tensor:
        """The optimised motion at one resolution, `(B, H, W, 2)`.

        Args:
            level: of the resolution, 0 is the coarsest.
            features: `(B, C, H, W)`, of the source.
            deformation: `(B, h, w, 2)`, as the dense motion network has it.

        Source: MOFD, Eq. 6. Read literally it gives the motion itself; as an offset, so that zeros stand still.
        """
        given = sized(deformation.movedim(-1, 1), features.shape[2:]).movedim(1, -1)
        if self.motion_optimisation is None or self.parts.optimisation is None:
            return given
        still = coordinate_grid(given.shape[1], given.shape[2], like=given)
        correction = self.motion_optimisation[level](
            (given - still).movedim(-1, 1), sample(features, given, align_corners=True)
        )
        return (given if self.parts.optimisation.residual else still) + correction.movedim(1, -1)

    def attended(self, level: int, warped: Tensor, query: Tensor | None) -> Tensor:
        """Warped features `(B, C, H, W)` of one resolution, mixed as the query asks."""
        if self.motion_attention is None:
            return warped
        if query is None:
            raise BenchbedError("mofd needs the motion code of driving frames; animate gives it")
        return self.motion_attention[level](query, warped)

    def _check_size(self, frames: Tensor) -> None:
        if self.motion_optimisation is not None and self.resolution is not None:
            # the size of patches is the size of layers
            require_size(self.name, frames, self.resolution)
        super()._check_size(frames)


def _own(encoding: Encoding) -> MofdEncoding:
    if not isinstance(encoding, MofdEncoding):
        raise TypeError("this is no encoding of MOFD's own")
    return encoding


def _on_or_off(part: nn.Module | None) -> str:
    return "off" if part is None else "on"


def build(*, checkpoint: Path | None, configuration: str | None) -> Mofd:
    """MOFD with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours.
        configuration: one of `official_names`, optionally with the options of `official`; None reads it from the file.
    """
    return build_released(
        "mofd",
        Mofd,
        mofd_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=(
            "its authors released none, so give one written by benchbed train --method mofd with "
            "--checkpoint mofd=FILE"
        ),
    )
