"""What decides a Monkey-Net network and its test-time transfer: one frozen dataclass each.

`monkeynet_config` reads them from the words of the published configuration files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading, resolution

HEATMAP_TYPES = ("gaussian", "difference")
INTERPOLATION_MODES = ("nearest", "trilinear")
# Kinds of spread that are estimated; a number is a spread that is fixed.
ESTIMATED_SPREADS = ("matrix", "single")


@dataclass(frozen=True)
class KeypointDetectorConfig:
    """The key-point detector: image -> K key points, each with the spread of its heat map."""

    num_kp: int
    num_channels: int
    kp_variance: str | float
    temperature: float
    block_expansion: int
    max_features: int
    num_blocks: int
    scale_factor: float = 1.0
    clip_variance: float | None = None

    def __post_init__(self) -> None:
        _check_spread(self.kp_variance)


@dataclass(frozen=True)
class EmbeddingConfig:
    """The movement embedding: two sets of key points -> maps, a few channels per component.

    Args:
        norm_const: what Gaussian maps are divided by: a number, or `sum` for their own sum.
        add_bg_feature_map: put a component that never moves before the key points.
    """

    num_kp: int
    num_channels: int
    kp_variance: str | float
    use_heatmap: bool = True
    use_difference: bool = False
    use_deformed_source_image: bool = False
    add_bg_feature_map: bool = False
    heatmap_type: str = "gaussian"
    norm_const: str | float = "sum"
    scale_factor: float = 1.0
    align_corners: bool = False

    def __post_init__(self) -> None:
        _check_spread(self.kp_variance)
        _check_word("heatmap_type", self.heatmap_type, HEATMAP_TYPES)
        if self.norm_const != "sum":
            float(self.norm_const)

    @property
    def components(self) -> int:
        """Key points, and the background where it has maps."""
        return self.num_kp + self.add_bg_feature_map

    @property
    def out_channels(self) -> int:
        """Channels of the embedding."""
        deformed = self.num_channels * self.use_deformed_source_image
        return self.components * (self.use_heatmap + 2 * self.use_difference + deformed)


@dataclass(frozen=True)
class DenseMotionConfig:
    """The dense motion module: source and two sets of key points -> motion.

    Args:
        bg_init: how strongly the background is preferred before training.
    """

    mask_embedding: EmbeddingConfig
    block_expansion: int
    max_features: int
    num_blocks: int
    use_mask: bool = True
    use_correction: bool = True
    num_group_blocks: int = 2
    scale_factor: float = 1.0
    bg_init: float = 2.0


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator: source features, warped, and the movement embedding -> image.

    Args:
        dense_motion: None leaves the source where it is.
        kp_embedding: None appends nothing to the warped features.
        interpolation_mode: how motion and embedding are brought to the size of the features.
    """

    num_channels: int
    block_expansion: int
    max_features: int
    num_blocks: int
    num_refinement_blocks: int
    dense_motion: DenseMotionConfig | None
    kp_embedding: EmbeddingConfig | None
    interpolation_mode: str = "nearest"
    align_corners: bool = False

    def __post_init__(self) -> None:
        _check_word("interpolation_mode", self.interpolation_mode, INTERPOLATION_MODES)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The patch discriminator of training, which sees the key points."""

    num_channels: int
    kp_embedding: EmbeddingConfig
    block_expansion: int
    max_features: int
    num_blocks: int


@dataclass(frozen=True)
class TransferConfig:
    """What relative transfer adapts; the switches of the published test-time configuration."""

    movement_mult: bool = False
    clip_mean: bool = False
    adapt_variance: bool = False


@dataclass(frozen=True)
class MonkeyNetConfig:
    """All parts a configuration describes; no discriminator where it is silent about it."""

    keypoint_detector: KeypointDetectorConfig
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig | None
    transfer: TransferConfig
    align_corners: bool
    resolution: tuple[int, int] | None


def monkeynet_config(published: Mapping[str, Any]) -> MonkeyNetConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` with `common_params`, `kp_detector_params`, `generator_params` and, optional,
            `discriminator_params`. Our own additions, all optional, are `resolution` (pixels, or height and
            width), `align_corners` and `transfer` (`movement_mult`, `clip_mean`, `adapt_variance`).

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("Monkey-Net", _read, published)


def _read(published: Mapping[str, Any]) -> MonkeyNetConfig:
    model = published["model_params"]
    common = dict(model["common_params"])
    align_corners = bool(published.get("align_corners", False))
    sampled = {**common, "align_corners": align_corners}
    return MonkeyNetConfig(
        keypoint_detector=KeypointDetectorConfig(**common, **model["kp_detector_params"]),
        generator=_generator(sampled, model["generator_params"]),
        discriminator=_discriminator(sampled, model.get("discriminator_params")),
        transfer=TransferConfig(**published.get("transfer", {})),
        align_corners=align_corners,
        resolution=resolution(published),
    )


def _generator(sampled: Mapping[str, Any], own: Mapping[str, Any]) -> GeneratorConfig:
    rest = dict(own)
    dense = rest.pop("dense_motion_params", None)
    embedding = rest.pop("kp_embedding_params", None)
    return GeneratorConfig(
        num_channels=sampled["num_channels"],
        dense_motion=None if dense is None else _dense_motion(sampled, dense),
        kp_embedding=None if embedding is None else EmbeddingConfig(**{**sampled, **embedding}),
        align_corners=sampled["align_corners"],
        **rest,
    )


def _dense_motion(sampled: Mapping[str, Any], own: Mapping[str, Any]) -> DenseMotionConfig:
    rest = dict(own)
    # The background takes part in the mask whatever the configuration says of its embedding.
    words = {**sampled, **rest.pop("mask_embedding_params"), "add_bg_feature_map": True}
    return DenseMotionConfig(mask_embedding=EmbeddingConfig(**words), **rest)


def _discriminator(sampled: Mapping[str, Any], own: Mapping[str, Any] | None) -> DiscriminatorConfig | None:
    if own is None:
        return None
    rest = dict(own)
    embedding = EmbeddingConfig(**{**sampled, **rest.pop("kp_embedding_params")})
    return DiscriminatorConfig(num_channels=sampled["num_channels"], kp_embedding=embedding, **rest)


def _check_spread(value: str | float) -> None:
    if isinstance(value, str):
        _check_word("kp_variance", value, ESTIMATED_SPREADS)
    elif not value > 0:
        raise ValueError(f"kp_variance {value} is not positive")


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} '{value}'; known: {', '.join(known)}")
