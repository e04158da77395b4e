"""What decides an IAPM network and its test-time path: one frozen dataclass each.

`iapm_config` reads them from the words of the published configuration files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchbed.errors import BenchbedError

REFINEMENT_TEMPERATURE = 0.1
# Rows and columns that the mask generator's unpadded 7x7 convolution takes off each side.
MASK_BORDER = 3


@dataclass(frozen=True)
class HourglassConfig:
    """Widths of an hourglass."""

    block_expansion: int
    max_features: int
    num_blocks: int


@dataclass(frozen=True)
class MaskGeneratorConfig:
    """The mask generator: image -> one soft mask."""

    num_channels: int
    hourglass: HourglassConfig
    temperature: float
    scale_factor: float


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator: source, source mask and driving mask -> image.

    Args:
        low: widths of the low-resolution branch.
        high: widths of the high-resolution hourglass; constants in the published code.
        refinement: widths of the mask refinement; constants in the published code.
        threshold: of the perturbation, on the scale 0..255 (`th`).
    """

    num_channels: int
    low: HourglassConfig
    num_bottleneck_blocks: int
    high: HourglassConfig
    refinement: HourglassConfig
    threshold: float


@dataclass(frozen=True)
class IapmConfig:
    """All parts a configuration describes.

    Args:
        perturbed: animate by the cross-identity path.
    """

    mask_generator: MaskGeneratorConfig
    generator: GeneratorConfig
    perturbed: bool
    resolution: tuple[int, int] | None


def iapm_config(published: Mapping[str, Any]) -> IapmConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` (with `common_params`, `mask_generator_params`, `generator_params` and, optional,
            `widths_fixed_upstream`: what the published code fixes). Our own additions, both optional, are
            `resolution` (pixels, or height and width) and `perturbed`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    try:
        return _read(published)
    except KeyError as error:
        raise BenchbedError(f"the IAPM configuration lacks {error}; give every published word") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchbedError(f"the IAPM configuration cannot be read: {error}") from error


def _read(published: Mapping[str, Any]) -> IapmConfig:
    model = published["model_params"]
    channels = model["common_params"]["num_channels"]
    mask, own = model["mask_generator_params"], model["generator_params"]
    fixed = model.get("widths_fixed_upstream", {})
    config = IapmConfig(
        mask_generator=MaskGeneratorConfig(
            num_channels=channels,
            hourglass=HourglassConfig(mask["block_expansion"], mask["max_features"], mask["num_blocks"]),
            temperature=mask["temperature"],
            scale_factor=mask["scale_factor"],
        ),
        generator=GeneratorConfig(
            num_channels=channels,
            low=HourglassConfig(own["block_expansion"], own["max_features"], own["num_down_blocks"]),
            num_bottleneck_blocks=own["num_bottleneck_blocks"],
            high=_fixed(fixed, "hourglass"),
            refinement=_fixed(fixed, "mask_fix"),
            threshold=own["th"],
        ),
        perturbed=bool(published.get("perturbed", False)),
        resolution=_resolution(published.get("resolution")),
    )
    if config.mask_generator.scale_factor * 2**config.generator.low.num_blocks != 1:
        raise ValueError("num_down_blocks must undo the mask generator's scale_factor (2 and 0.25)")
    return config


def _fixed(widths: Mapping[str, Any], name: str) -> HourglassConfig:
    return HourglassConfig(
        widths.get(f"{name}_block_expansion", 64),
        widths.get(f"{name}_max_features", 1024),
        widths.get(f"{name}_num_blocks", 5),
    )


def _resolution(given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    return (given, given) if isinstance(given, int) else (int(given[0]), int(given[1]))
