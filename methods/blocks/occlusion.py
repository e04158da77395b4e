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


def blend(warped: Tensor, inpainted: Tensor | None, occlusion_map: Tensor | None) -> Tensor:
    """Warped source where it is visible, something inpainted elsewhere; `(B, C, H, W)`.

    Args:
        warped: features or an image of the source, warped.
        inpainted: of the same size; None leaves nothing where the source is hidden.
        occlusion_map: `(B, 1, h, w)`, resized where needed; None shows `warped` alone and drops `inpainted`,
            as published.

    Source: MRAA's published code, the skips of its generator; DAM and MTIA blend alike.
    """
    if inpainted is None or occlusion_map is None:
        return occlude(warped, occlusion_map)
    if occlusion_map.shape[2:] != warped.shape[2:]:
        occlusion_map = resize(occlusion_map, warped.shape[2:])
    return warped * occlusion_map + inpainted * (1 - occlusion_map)
