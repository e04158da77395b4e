"""What decides an X2Face network: one frozen dataclass, read from the published words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchbed.errors import BenchbedError

FEWEST_DOWNS = 5


@dataclass(frozen=True)
class X2FaceConfig:
    """Embedding and driving network.

    Args:
        size: pixels of the square images the weights were trained at; other multiples of `2 ** num_downs` work.
        ngf: width of the outermost level of both U-Nets.
        num_downs: how often both halve the size.
        inner_nc: width of the driving network's bottleneck.
        align_corners: of all up-sampling and all sampling.
    """

    size: int
    ngf: int
    num_downs: int
    inner_nc: int
    align_corners: bool = True


def x2face_config(published: Mapping[str, Any]) -> X2FaceConfig:
    """Read a configuration in the published words: `size`, `ngf`, `num_downs`, `inner_nc`.

    Our own addition is `align_corners`, true where absent.

    Raises:
        BenchbedError: a needed word is missing, or no network of these values exists.
    """
    try:
        config = X2FaceConfig(
            size=int(published["size"]),
            ngf=int(published["ngf"]),
            num_downs=int(published["num_downs"]),
            inner_nc=int(published["inner_nc"]),
            align_corners=bool(published.get("align_corners", True)),
        )
        if config.num_downs < FEWEST_DOWNS:
            raise ValueError(f"num_downs {config.num_downs} is below {FEWEST_DOWNS}")
        if config.size % 2**config.num_downs:
            raise ValueError(f"size {config.size} cannot be halved {config.num_downs} times")
    except KeyError as error:
        raise BenchbedError(f"the X2Face configuration lacks {error}; give every published word") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchbedError(f"the X2Face configuration cannot be read: {error}") from error
    return config
