"""DiME's part of training on pairs: sources with further views, its losses, and starts that small training needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchbed.interfaces.training import FramePair

from ..blocks.grids import resize, warp
from ..blocks.motion import Keypoints
from ..training.copying import start_as_copier, start_still
from ..training.equivariance_terms import equivariance_losses
from ..training.pair_training import PairTraining, Reconstruction
from ..training.presets import Preset
from ..training.recipe import WarpConfig
from .fusion import MovedView
from .method import Dime


@dataclass(frozen=True)
class DimePreset(Preset):
    """A preset, its loss weights, and how often there are no further views.

    Args:
        warps, equivariance_weight: of the equivariance of the source's key points (lambda, equation 14).
        one_shot_share: of the steps that see the source alone, so that the weights serve without references as well.
        views_weight: of the mean absolute error of every view's image warped by its flow; not published.
        blend_weight: of that of the warped images weighed by confidence; not published.
    """

    warps: WarpConfig
    equivariance_weight: float
    one_shot_share: float = 0.25
    views_weight: float = 0.0
    blend_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DimeReconstruction(Reconstruction):
    """A reconstruction and what its losses look at.

    Args:
        views: images `(B, V, 3, H, W)`, the source first.
        moved: `B * V` views in the driving pose, those of a source beside each other.
        keypoints: of the sources, `(B, K, 2)`.
    """

    views: Tensor
    moved: MovedView
    keypoints: Keypoints


class DimePairs:
    """See `pair_training.PairModel`.

    Args:
        method: with the networks that are trained.
        networks: the same, under their checkpoint names.
        preset: how it is trained.
    """

    def __init__(self, method: Dime, networks: nn.ModuleDict, preset: DimePreset) -> None:
        self.method = method
        self.networks = networks
        self.preset = preset
        self.configuration: Mapping[str, Any] = preset.published
        self.size_multiple = method.config.size_multiple
        if preset.recipe.additions.copier:
            motion = method.generator.dense_motion_network
            start_as_copier(method.generator)
            start_still(motion.mask, [motion.occlusion])

    def detect(self, frames: Tensor) -> Keypoints:
        """Key points of frames, in float32 always: half precision would make them jump."""
        with torch.autocast(frames.device.type, enabled=False):
            return self.method.kp_detector(frames)

    def reconstruct(
        self, source: Tensor, driving: Tensor, references: Tensor | None = None
    ) -> DimeReconstruction:
        """Sources in the pose of the driving frames, with the help of further views `(B, R, 3, H, W)`."""
        views = source.unsqueeze(1)
        if references is not None and self._looks_further():
            views = torch.cat((views, references), dim=1)
        count = views.shape[1]
        images = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        found = self.detect(torch.cat((images, driving))).value
        of_views, of_driving = found[: len(images)], found[len(images) :]
        moved = self.method.move(
            self.method.look(images, Keypoints(of_views)),
            Keypoints(of_driving.repeat_interleave(count, dim=0)),
            driving.repeat_interleave(count, dim=0),
        )
        return DimeReconstruction(
            self.method.paint(_each(moved, count)),
            points=of_driving,
            views=views,
            moved=moved,
            keypoints=Keypoints(of_views[::count]),
        )

    def _looks_further(self) -> bool:
        if self.method.config.one_shot:
            return False
        return not self.method.generator.training or bool(torch.rand(()) >= self.preset.one_shot_share)

    def losses(self, source: Tensor, driving: Tensor, made: DimeReconstruction) -> dict[str, Tensor]:
        """Equivariance of the sources' key points (equation 14), and what teaches small training flow and confidence."""
        preset = self.preset
        terms = equivariance_losses(
            self.detect,
            source,
            made.keypoints,
            preset.warps,
            value=preset.equivariance_weight,
            align_corners=self.method.generator.align_corners,
        )
        if not preset.views_weight + preset.blend_weight:
            return terms
        warped = self._warped_images(made)
        if preset.views_weight:
            terms["views"] = preset.views_weight * (warped - driving.unsqueeze(1)).abs().mean()
        if preset.blend_weight:
            blend = (self._weights(made) * warped).sum(dim=1)
            terms["blend"] = preset.blend_weight * (blend - driving).abs().mean()
        return terms

    def _warped_images(self, made: DimeReconstruction) -> Tensor:
        """Every view's image warped by its flow, `(B, V, 3, H, W)`."""
        images = warp(
            made.views.flatten(0, 1),
            made.moved.deformation,
            align_corners=self.method.generator.align_corners,
        )
        return images.unflatten(0, made.views.shape[:2])

    def _weights(self, made: DimeReconstruction) -> Tensor:
        """How much every view counts, `(B, V, 1, H, W)`; they sum to 1."""
        confidence = made.moved.confidence
        if confidence.shape[2:] != made.views.shape[3:]:
            confidence = resize(confidence, made.views.shape[3:])
        return torch.softmax(confidence.unflatten(0, made.views.shape[:2]), dim=1)

    def colour_path(self) -> list[nn.Module]:
        """The blocks of the generator that colours pass through: all but its dense motion."""
        blocks = self.method.generator.named_children()
        return [block for name, block in blocks if name != "dense_motion_network"]


class DimeTraining(PairTraining):
    """Training on pairs whose sources have further views."""

    model: DimePairs

    def reconstruct(self, pair: FramePair) -> Reconstruction:
        """The driving frames, made of all views of the sources."""
        return self.model.reconstruct(pair.source, pair.driving, pair.references)


def _each(moved: MovedView, count: int) -> Iterator[MovedView]:
    """Views one by one, `(B, ...)` each, of `B * count` that lie beside each other."""

    def apart(maps: Tensor) -> tuple[Tensor, ...]:
        return maps.unflatten(0, (-1, count)).unbind(1)

    fetched = [None] * count if moved.fetched is None else apart(moved.fetched)
    flows = (apart(moved.deformation), apart(moved.coarse))
    for flow, coarse, warped, self_moved, confidence in zip(
        *flows, apart(moved.warped), fetched, apart(moved.confidence), strict=True
    ):
        yield MovedView(flow, coarse, warped, self_moved, confidence)
