"""DiME as a method of the bench: every view of the source is carried to the driving pose, then all become one image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.building import build_released
from ..blocks.first_order import OcclusionAwareGenerator, SourceFeatures
from ..blocks.frame_size import require_multiples, size_of
from ..blocks.grids import sample, warp
from ..blocks.keypoint_detector import KeypointDetector
from ..blocks.motion import Keypoints
from ..blocks.occlusion import occlude
from ..blocks.transfer import initial_frame, transfer_keypoints
from ..blocks.warping_generator import Appearance
from .checkpoint import RELEASES, inference_networks
from .config import DimeConfig, dime_config
from .evolution import Context, MotionEvolution
from .fusion import FeatureFusion, MovedView, fuse
from .self_flow import SelfFlowNetwork

NAME = "dime"


@dataclass(frozen=True)
class Views:
    """Views of sources, V of them, encoded; as an encoding the first is the source.

    Args:
        features: appearance with the views themselves, and the views at the size of the flow.
        beside: the views at the size of their features, `(V, C, h, w)`.
        keypoints: `(V, K, 2)`.
    """

    features: SourceFeatures
    beside: Tensor
    keypoints: Keypoints

    def __len__(self) -> int:
        return len(self.beside)

    def repeated(self, number: int, count: int) -> Views:
        """One of the views seen as `count`, without copying."""
        own, one = self.features, slice(number, number + 1)
        appearance = Appearance(
            own.appearance.image[one], tuple(stage[one] for stage in own.appearance.features)
        )
        return Views(
            SourceFeatures(appearance, own.downsampled[one]).expand(count),
            self.beside[one].expand(count, -1, -1, -1),
            Keypoints(self.keypoints.value[one]).expand(count),
        )


class Dime(nn.Module):
    """DiME: motion transfer by differential motion evolution.

    Args:
        config: describes the networks; a variant lacks some of them.
        networks: under their checkpoint names; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: DimeConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        held = dict((inference_networks(config) if networks is None else networks).items())
        detector, generator, self_flow = held["kp_detector"], held["generator"], held["self_flow"]
        evolution, fusion = held.get("evolution"), held.get("fusion")
        if not (
            isinstance(detector, KeypointDetector)
            and isinstance(generator, OcclusionAwareGenerator)
            and isinstance(self_flow, SelfFlowNetwork)
            and isinstance(evolution, MotionEvolution | None)
            and isinstance(fusion, FeatureFusion | None)
        ):
            raise TypeError("networks must hold DiME's kp_detector, generator and self_flow")
        self.kp_detector = detector
        self.generator = generator
        self.self_flow = self_flow
        self.evolution = evolution
        self.fusion = fusion
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        solver = config.evolution
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(generator.align_corners).lower(),
            "evolution": "none" if solver is None else f"{solver.solver}, {solver.steps} steps",
            "views": "source" if config.one_shot else "source and references",
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Views:
        """All views, the source `(1, 3, H, W)` first, then any number of references `(N_ref, 3, H, W)`.

        Raises:
            BenchbedError: a size that the networks cannot halve as often as they need to, or references of another
                size than the source.
        """
        self._check_size(source)
        if references is None or self.config.one_shot:
            return self.look(source, self.kp_detector(source))
        if references.shape[2:] != source.shape[2:]:
            raise BenchbedError(
                f"{NAME} was given references of {size_of(references)} pixels with a source of {size_of(source)}; "
                "resize them to it"
            )
        views = torch.cat((source, references))
        return self.look(views, self.kp_detector(views))

    @torch.no_grad()
    def animate(
        self,
        encoding: Views,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Relative transfer adds the driving motion to the source's pose, and all views take that one pose.

        Raises:
            BenchbedError: unknown transfer, or relative transfer without its initial frame.
        """
        initial = initial_frame(NAME, transfer, initial_driving)
        self._check_size(driving)
        keypoints = transfer_keypoints(
            encoding.repeated(0, 1).keypoints,
            self.kp_detector(driving),
            None if initial is None else self.kp_detector(initial),
            relative=initial is not None,
        )

        def moved() -> Iterator[MovedView]:
            # One view at a time: memory does not grow with their number.
            for number in range(len(encoding)):
                yield self.move(encoding.repeated(number, len(driving)), keypoints, driving)

        return self.paint(moved())

    def look(self, views: Tensor, keypoints: Keypoints) -> Views:
        """What depends on views `(V, 3, H, W)` and their key points alone."""
        return Views(self.generator.encode(views), self.self_flow.downsample(views), keypoints)

    def move(self, views: Views, keypoints: Keypoints, driving: Tensor) -> MovedView:
        """Views in the poses of as many driving key points.

        Args:
            driving: frames `(V, 3, H, W)`, looked at only where the configuration shows them to the evolution.

        Source: DiME, equations 4 to 10.
        """
        align = self.generator.align_corners
        motion = self.generator.dense_motion_network(views.features.downsampled, views.keypoints, keypoints)
        flow = self.refine(motion.deformation, views, driving)
        warped = occlude(
            warp(views.features.appearance.features[-1], flow, align_corners=align), motion.occlusion_map
        )
        self_flow, confidence = self.self_flow(warped, warp(views.beside, flow, align_corners=align))
        fetched = None if self_flow is None else sample(warped, self_flow, align_corners=align)
        return MovedView(flow, motion.deformation, warped, fetched, confidence)

    def refine(self, coarse: Tensor, views: Views, driving: Tensor) -> Tensor:
        """The flows `(V, h, w, 2)` that coarse ones evolve to; themselves where the variant does not refine.

        Source: DiME, equations 6 to 8.
        """
        if self.evolution is None or self.config.evolution is None:
            return coarse
        coarse = coarse.float()
        if self.config.evolution.context is None:
            return self.evolution(coarse)
        return self.evolution(coarse, self._images(views.features.downsampled, driving))

    def _images(self, small: Tensor, driving: Tensor) -> Context:
        target = self.generator.dense_motion_network.downsample(driving)
        align = self.generator.align_corners
        return lambda flow: torch.cat((sample(small, flow, align_corners=align), target), dim=1)

    def paint(self, views: Iterable[MovedView]) -> Tensor:
        """One image `(B, 3, H, W)` in [0, 1] of all views in the driving pose.

        Source: DiME, equations 11 and 12.
        """
        motion, identity = fuse(views)
        if self.fusion is not None and identity is not None:
            motion = self.fusion(motion, identity)
        return self.generator.render(motion)

    def _check_size(self, frames: Tensor) -> None:
        require_multiples(NAME, frames, self.config.size_multiple)


def build(*, checkpoint: Path | None, configuration: str | None) -> Dime:
    """DiME with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours; none were released.
        configuration: a full-size one; None reads it from the file.
    """
    return build_released(
        NAME,
        Dime,
        dime_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=f"train one (benchbed train --method {NAME}), none was released",
    )
