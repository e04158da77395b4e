"""Training FOMM: its networks, recipe and discriminator under a preset, for the training on pairs."""

from __future__ import annotations

from torch import nn

from benchbed.errors import BenchbedError

from ..blocks.patch_discriminator import MultiScaleDiscriminator
from ..training.adversary import Adversary
from ..training.first_order_pairs import FirstOrderPairs
from ..training.pair_training import PairTraining
from .checkpoint import inference_networks
from .config import DiscriminatorConfig, FommConfig, LossWeights, fomm_config
from .method import size_multiple
from .presets import Preset, preset_named, recipe_of


def build_discriminator(config: DiscriminatorConfig) -> MultiScaleDiscriminator:
    """The discriminator a configuration describes, under its published names."""
    return MultiScaleDiscriminator(
        scales=config.scales,
        num_channels=config.num_channels,
        block_expansion=config.block_expansion,
        num_blocks=config.num_blocks,
        max_features=config.max_features,
        spectral=config.spectral_norm,
        num_keypoints=config.num_kp,
        variance=config.kp_variance,
    )


def fomm_training(
    preset: Preset, perceptual: nn.Module, *, resolution: int | None = None, steps: int | None = None
) -> PairTraining:
    """FOMM under a preset; resolution and steps are the preset's where None.

    Raises:
        BenchbedError: the preset describes no training, or the resolution does not fit.
    """
    config = fomm_config(preset.published)
    if config.training is None:
        raise BenchbedError(
            "the FOMM configuration has no train_params with num_epochs; it cannot be trained"
        )
    weights = config.training.loss_weights
    model = FirstOrderPairs(
        inference_networks(config),
        {**preset.published, "align_corners": config.align_corners},
        size_multiple=size_multiple(config),
        warps=config.training.transform,
        value_weight=weights.equivariance_value,
        jacobian_weight=weights.equivariance_jacobian,
        copier=preset.additions.copier,
    )
    recipe = recipe_of(preset, config.training, resolution=resolution, steps=steps)
    return PairTraining("fomm", preset.name, model, recipe, perceptual, _adversary(config, weights))


def _adversary(config: FommConfig, weights: LossWeights) -> Adversary | None:
    if weights.generator_gan == 0:
        return None
    if config.discriminator is None:
        raise BenchbedError("adversarial training of fomm needs discriminator_params in the configuration")
    return Adversary(
        build_discriminator(config.discriminator),
        config.discriminator.scales,
        weights.generator_gan,
        weights.discriminator_gan,
        weights.feature_matching,
    )


def build_training(
    *, preset: str, perceptual: nn.Module, resolution: int | None, steps: int | None
) -> PairTraining:
    """FOMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        preset: `tiny`, `paper` (the VoxCeleb recipe) or an official configuration.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    return fomm_training(preset_named(preset), perceptual, resolution=resolution, steps=steps)
