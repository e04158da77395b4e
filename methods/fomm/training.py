"""Training FOMM: its networks, recipe and discriminator under a preset, for the training on pairs."""

from __future__ import annotations

from torch import nn

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingRequest

from ..blocks.patch_discriminator import MultiScaleDiscriminator
from ..training.adversary import Adversary
from ..training.first_order_pairs import FirstOrderPairs
from ..training.pair_training import PairTraining
from ..training.presets import Preset, preset_named
from .checkpoint import inference_networks
from .config import DiscriminatorConfig, FommConfig, LossWeights, fomm_config
from .method import size_multiple
from .presets import described_training, presets


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


def fomm_training(preset: Preset, perceptual: nn.Module) -> PairTraining:
    """FOMM under a preset.

    Raises:
        BenchbedError: the resolution does not fit the networks.
    """
    config = fomm_config(preset.published)
    training = described_training(config)
    model = FirstOrderPairs(
        inference_networks(config),
        {**preset.published, "align_corners": config.align_corners},
        size_multiple=size_multiple(config),
        warps=training.transform,
        value_weight=training.loss_weights.equivariance_value,
        jacobian_weight=training.loss_weights.equivariance_jacobian,
        copier=preset.recipe.additions.copier,
    )
    adversary = _adversary(config, training.loss_weights)
    return PairTraining("fomm", preset.name, model, preset.recipe, perceptual, adversary)


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


def build_training(request: TrainingRequest) -> PairTraining:
    """FOMM under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny`, `paper` (the VoxCeleb recipe) or an official configuration.

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    return fomm_training(
        preset_named("fomm", request.preset, presets()).resized(request.resolution, request.steps),
        request.perceptual,
    )
