"""What decides a LIA network: one frozen dataclass, read from the published words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchbed.errors import BenchbedError

SMALLEST = 8
ENCODER_CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}
# From this resolution on the decoder's widths scale with the channel multiplier.
SCALED_FROM = 64


@dataclass(frozen=True)
class LiaConfig:
    """Encoder and decoder.

    Args:
        size: pixels of the square images, a power of two.
        style_dim: width of the latent.
        motion_dim: M, the number of motion directions.
        channels: width of both networks by resolution, 4 to `size`.
        motion_dictionary: without it the encoder predicts the latent path itself (the ablation w/o D_m).
        align_corners: how features are sampled.
    """

    size: int
    style_dim: int
    motion_dim: int
    channels: Mapping[int, int]
    motion_dictionary: bool = True
    align_corners: bool = False

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Sizes of the flow pyramid, coarse to fine: 8, 16, ..., `size`."""
        return tuple(2**power for power in range(3, int(math.log2(self.size)) + 1))


def lia_config(published: Mapping[str, Any]) -> LiaConfig:
    """Read a configuration in the published words.

    Args:
        published: `size`, `style_dim`, `motion_dim`, `channel_multiplier` (1 where absent). Our own additions
            are `channels` (width by resolution, replaces the published table), `motion_dictionary` and
            `align_corners`.

    Raises:
        BenchbedError: a needed word is missing, or no network of these values exists.
    """
    try:
        size, multiplier = int(published["size"]), published.get("channel_multiplier", 1)
        if size < SMALLEST or size & (size - 1):
            raise ValueError(f"size {size} is no power of two from {SMALLEST} on")
        given = published.get("channels")
        config = LiaConfig(
            size=size,
            style_dim=int(published["style_dim"]),
            motion_dim=int(published["motion_dim"]),
            channels=_published_channels(size, multiplier) if given is None else _own(given),
            motion_dictionary=bool(published.get("motion_dictionary", True)),
            align_corners=bool(published.get("align_corners", False)),
        )
        absent = [r for r in (4, *config.resolutions) if r not in config.channels]
        if absent:
            raise ValueError(f"channels has no width for resolution {absent[0]}")
        if not 1 <= config.motion_dim <= config.style_dim:
            raise ValueError(f"motion_dim {config.motion_dim} is not between 1 and style_dim")
    except KeyError as error:
        raise BenchbedError(f"the LIA configuration lacks {error}; give every published word") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchbedError(f"the LIA configuration cannot be read: {error}") from error
    return config


def _own(channels: Mapping[Any, Any]) -> dict[int, int]:
    # JSON has texts as keys.
    return {int(resolution): int(width) for resolution, width in channels.items()}


def _published_channels(size: int, multiplier: float) -> dict[int, int]:
    if multiplier != 1 and size >= SCALED_FROM:
        raise ValueError(
            f"channel_multiplier {multiplier} gives encoder and decoder different widths, which cannot be blended"
        )
    return dict(ENCODER_CHANNELS)
