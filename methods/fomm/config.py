"""What decides a FOMM network, its training and its test-time transfer: one frozen dataclass each.

`fomm_config` reads them from the words of the published configuration files, which are also what our weights
files carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading, resolution
from ..blocks.first_order_config import (
    GeneratorConfig,
    KeypointDetectorConfig,
    TransferConfig,
    detector_config,
    generator_config,
)
from ..training.recipe import WarpConfig


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The patch discriminators of training."""

    num_channels: int
    block_expansion: int
    num_blocks: int
    max_features: int
    scales: tuple[float, ...] = (1,)
    spectral_norm: bool = False
    num_kp: int = 0
    kp_variance: float = 0.01


@dataclass(frozen=True)
class LossWeights:
    """Weights of the training losses; a zero switches the term off."""

    perceptual: tuple[float, ...]
    generator_gan: float = 0.0
    discriminator_gan: float = 0.0
    feature_matching: tuple[float, ...] = ()
    equivariance_value: float = 0.0
    equivariance_jacobian: float = 0.0


@dataclass(frozen=True)
class TrainingConfig:
    """The training recipe; epochs and milestones in passes over the repeated dataset."""

    num_epochs: int
    num_repeats: int
    epoch_milestones: tuple[int, ...]
    batch_size: int
    lr_generator: float
    lr_discriminator: float
    lr_kp_detector: float
    scales: tuple[float, ...]
    loss_weights: LossWeights
    transform: WarpConfig
    id_sampling: bool
    horizontal_flip: bool
    time_flip: bool
    jitter: tuple[float, float, float, float]


@dataclass(frozen=True)
class FommConfig:
    """All parts a configuration describes; None for parts it is silent about."""

    keypoint_detector: KeypointDetectorConfig | None
    generator: GeneratorConfig | None
    discriminator: DiscriminatorConfig | None
    transform: WarpConfig | None
    transfer: TransferConfig
    training: TrainingConfig | None
    align_corners: bool
    resolution: tuple[int, int] | None


def fomm_config(published: Mapping[str, Any]) -> FommConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` (with `common_params`, `kp_detector_params`, `generator_params`,
            `discriminator_params`), `train_params`, `animate_params`, `dataset_params`;
            all but the first optional.
            Our own two additions are `resolution` (pixels, or height and width) and `align_corners`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("FOMM", _read, published)


def _read(published: Mapping[str, Any]) -> FommConfig:
    model = published["model_params"]
    common = model["common_params"]
    detector, generator = model.get("kp_detector_params"), model.get("generator_params")
    align_corners = bool(published.get("align_corners", False))
    training = published.get("train_params", {})
    transform = training.get("transform_params")
    normalization = published.get("animate_params", {}).get("normalization_params", {})
    return FommConfig(
        keypoint_detector=None if detector is None else detector_config(common, detector),
        generator=None
        if generator is None
        else generator_config(common, generator, align_corners=align_corners),
        discriminator=_discriminator(common, model.get("discriminator_params")),
        transform=None if transform is None else WarpConfig(**transform),
        transfer=TransferConfig(
            normalization.get("use_relative_movement", True),
            normalization.get("use_relative_jacobian", True),
            normalization.get("adapt_movement_scale", False),
        ),
        training=_training(training, published["dataset_params"]) if "num_epochs" in training else None,
        align_corners=align_corners,
        resolution=resolution(published),
    )


def _discriminator(common: Mapping[str, Any], own: Mapping[str, Any] | None) -> DiscriminatorConfig | None:
    if own is None:
        return None
    rest = dict(own)
    return DiscriminatorConfig(
        num_channels=common["num_channels"],
        scales=tuple(rest.pop("scales", (1,))),
        spectral_norm=rest.pop("sn", False),
        num_kp=common["num_kp"] if rest.pop("use_kp", False) else 0,
        **rest,
    )


def _training(own: Mapping[str, Any], dataset: Mapping[str, Any]) -> TrainingConfig:
    weights = dict(own["loss_weights"])
    augmentation = dataset["augmentation_params"]
    flip, jitter = augmentation.get("flip_param", {}), augmentation.get("jitter_param", {})
    brightness, contrast, saturation, hue = (
        float(jitter.get(name, 0)) for name in ("brightness", "contrast", "saturation", "hue")
    )
    return TrainingConfig(
        num_epochs=own["num_epochs"],
        num_repeats=own["num_repeats"],
        epoch_milestones=tuple(own["epoch_milestones"]),
        batch_size=own["batch_size"],
        lr_generator=own["lr_generator"],
        lr_discriminator=own["lr_discriminator"],
        lr_kp_detector=own["lr_kp_detector"],
        scales=tuple(own["scales"]),
        loss_weights=LossWeights(
            perceptual=tuple(weights.pop("perceptual")),
            feature_matching=tuple(weights.pop("feature_matching", ())),
            **weights,
        ),
        transform=WarpConfig(**own["transform_params"]),
        id_sampling=dataset.get("id_sampling", False),
        horizontal_flip=flip.get("horizontal_flip", False),
        time_flip=flip.get("time_flip", False),
        jitter=(brightness, contrast, saturation, hue),
    )
