"""Refusing frames of a size that a method's networks cannot work on."""

from __future__ import annotations

from torch import Tensor

from benchbed.errors import BenchbedError


def size_of(frames: Tensor) -> str:
    """Width and height of frames `(..., H, W)` in pixels, for sentences (`64x48`)."""
    return f"{frames.shape[-1]}x{frames.shape[-2]}"


def require_multiples(name: str, frames: Tensor, multiple: int, *, one_larger: bool = False) -> None:
    """Refuse frames `(N, 3, H, W)` whose sides are no multiples of so many pixels.

    Args:
        name: of the method, for sentences.
        one_larger: both sides being just that long will not do either.

    Raises:
        BenchbedError: they are not.
    """
    height, width = frames.shape[2:]
    if height % multiple or width % multiple or (one_larger and height == width == multiple):
        larger = f", one of them larger than {multiple}," if one_larger else ""
        raise BenchbedError(
            f"{name} cannot work on frames of {size_of(frames)} pixels; "
            f"both sides must be multiples of {multiple}{larger} in this configuration"
        )


def require_size(name: str, frames: Tensor, size: tuple[int, int]) -> None:
    """Refuse frames `(N, 3, H, W)` of any size but one, (height, width).

    Raises:
        BenchbedError: they are of another size.
    """
    height, width = size
    if frames.shape[2:] != (height, width):
        raise BenchbedError(
            f"{name} cannot work on frames of {size_of(frames)} pixels; "
            f"this configuration takes {width}x{height} only"
        )
