"""Hiding feature maps where the source has nothing to show."""

from __future__ import annotations

from torch import Tensor

from .grids import resize


def occlude(features: Tensor, occlusion_map: Tensor | None) -> Tensor:
    """Features `(B, C, H, W)` times the map `(B, 1, h, w)`, resized where needed; None changes nothing."""
    if occlusion_map is None:
        return features
    if occlusion_map.shape[2:] != features.shape[2:]:
        occlusion_map = resize(occlusion_map, features.shape[2:])
    return features * occlusion_map
