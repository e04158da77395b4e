"""The training presets: `tiny` for small drawn figures on a CPU, `paper` and the official configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchbed.errors import BenchbedError
from benchbed.interfaces.training import TrainingSchedule

from ..training.presets import Preset, vox_steps
from ..training.recipe import Additions, Recipe
from .config import FommConfig, TrainingConfig, fomm_config
from .official import official, official_names

# Where the number of train clips is not published, the preset assumes as many as VoxCeleb has persons.


def presets() -> dict[str, Callable[[], Preset]]:
    """Every preset by its name."""
    official_ones = {name: partial(_paper, name) for name in official_names()}
    return {"tiny": _tiny, "paper": partial(_paper, "vox-256"), **official_ones}


def published_preset(
    name: str, published: Mapping[str, Any], resolution: int, steps: int, additions: Additions | None = None
) -> Preset:
    """A configuration in published words (see `config.fomm_config`), its size and length, and what is added to it.

    Raises:
        BenchbedError: the configuration describes no training.
    """
    training = described_training(fomm_config(published))
    recipe = Recipe(
        TrainingSchedule(
            resolution=resolution,
            batch_size=training.batch_size,
            steps=steps,
            id_sampling=training.id_sampling,
            horizontal_flip=training.horizontal_flip,
            time_flip=training.time_flip,
            jitter=training.jitter,
        ),
        {
            "generator": training.lr_generator,
            "kp_detector": training.lr_kp_detector,
            "discriminator": training.lr_discriminator,
        },
        milestones=tuple(steps * epoch // training.num_epochs for epoch in training.epoch_milestones),
        perceptual=training.loss_weights.perceptual,
        scales=training.scales,
        additions=Additions() if additions is None else additions,
    )
    return Preset(name, published, recipe)


def described_training(config: FommConfig) -> TrainingConfig:
    """The training a configuration describes.

    Raises:
        BenchbedError: it describes none.
    """
    if config.training is None:
        raise BenchbedError(
            "the FOMM configuration has no train_params with num_epochs; it cannot be trained"
        )
    return config.training


def _paper(configuration: str) -> Preset:
    published = official(configuration)
    training = published["train_params"]
    steps = vox_steps(training["num_epochs"], training["num_repeats"], training["batch_size"])
    return published_preset(configuration, published, 256, steps)


def _tiny() -> Preset:
    """For 64 x 64 pixels and minutes on a CPU: the published losses, and what `Additions` calls not published."""
    published = {
        # At 64 pixels the half-pixel zoom of unaligned sampling would blur what the generator has to learn to copy;
        # FOMM was published when sampling aligned corners.
        "align_corners": True,
        "dataset_params": {
            "id_sampling": False,
            "augmentation_params": {"flip_param": {"horizontal_flip": True, "time_flip": True}},
        },
        "model_params": {
            "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
            "kp_detector_params": {
                "temperature": 0.1,
                "block_expansion": 16,
                "max_features": 64,
                "scale_factor": 0.5,
                "num_blocks": 3,
                "single_jacobian_map": True,
            },
            "generator_params": {
                "block_expansion": 32,
                "max_features": 96,
                "num_down_blocks": 0,
                "num_bottleneck_blocks": 2,
                "estimate_occlusion_map": True,
                "dense_motion_params": {
                    "block_expansion": 16,
                    "max_features": 96,
                    "num_blocks": 3,
                    "scale_factor": 0.5,
                },
            },
        },
        "train_params": {
            "num_epochs": 1,
            "num_repeats": 1,
            "epoch_milestones": [],
            "lr_generator": 5e-4,
            "lr_discriminator": 0.0,
            "lr_kp_detector": 5e-4,
            "batch_size": 8,
            "scales": [1, 0.5, 0.25],
            "transform_params": {"sigma_affine": 0.05, "sigma_tps": 0.005, "points_tps": 5},
            "loss_weights": {
                "generator_gan": 0,
                "perceptual": [2, 2, 2, 2],
                "equivariance_value": 3,
                "equivariance_jacobian": 3,
            },
        },
    }
    return published_preset(
        "tiny",
        published,
        resolution=64,
        steps=6000,
        additions=Additions(
            l1_weight=100.0,
            deformed_weight=50.0,
            copier=True,
            relative_perceptual=True,
            warm_cosine=True,
            freeze_norm_after=0.02,
            colour_rate=0.15,
        ),
    )
