"""The officially released configurations, in the published words, and the files that carry their weights.

Source: FOMM's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.configurations import split_options

OPTIONS = ("aligned", "adapted")

OFFICIAL_FILES = {
    "vox-cpk.pth.tar": "vox-256",
    "taichi-cpk.pth.tar": "taichi-256",
    "fashion.pth.tar": "fashion-256",
    "mgif-cpk.pth.tar": "mgif-256",
    "bair-cpk.pth.tar": "bair-256",
    "nemo-cpk.pth.tar": "nemo-256",
    "vox-adv-cpk.pth.tar": "vox-adv-256",
    "taichi-adv-cpk.pth.tar": "taichi-adv-256",
}

DATASETS = {
    "vox-256": "voxceleb",
    "taichi-256": "taichi-hd",
    "fashion-256": "fashion",
    "mgif-256": "mgif",
    "bair-256": "bair",
    "nemo-256": "nemo",
    "vox-adv-256": "voxceleb",
    "taichi-adv-256": "taichi-hd",
}

_ALL = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1}
_PAPER = (60, 90)

# name: (single jacobian, spectral norm, discriminator sees key points, generator_gan, epochs, repeats,
#        milestones, detector's learning rate, batch size, id_sampling, jitter, crop and resize)
_ROWS: dict[
    str, tuple[bool, bool, bool, int, int, int, tuple[int, ...], float, int, bool, dict[str, float], bool]
] = {
    "vox-256": (False, True, False, 0, 100, 75, _PAPER, 2e-4, 40, True, _ALL, False),
    "taichi-256": (False, False, False, 0, 100, 150, _PAPER, 2e-4, 30, True, _ALL, False),
    "fashion-256": (False, False, False, 1, 100, 50, _PAPER, 2e-4, 27, False, {"hue": 0.1}, False),
    "mgif-256": (True, True, False, 1, 100, 25, _PAPER, 2e-4, 36, False, {"hue": 0.5}, True),
    "bair-256": (False, True, False, 1, 20, 1, (12, 18), 2e-4, 36, False, _ALL, False),
    "nemo-256": (False, True, False, 1, 100, 8, _PAPER, 2e-4, 36, False, {}, False),
    "vox-adv-256": (False, False, True, 1, 150, 75, (), 2e-4, 36, True, _ALL, False),
    "taichi-adv-256": (False, False, True, 1, 150, 150, (), 0.0, 27, True, _ALL, False),
}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+aligned` (sample with aligned corners, as the
            weights were trained) and `+adapted` (relative transfer adapts the movement scale).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options("FOMM", name, official_names(), OPTIONS)
    configuration = _published(base)
    configuration["align_corners"] = "aligned" in options
    configuration["animate_params"]["normalization_params"]["adapt_movement_scale"] = "adapted" in options
    return configuration


def _published(name: str) -> dict[str, Any]:
    single, spectral, use_kp, gan, epochs, repeats, milestones, lr_kp, batch, by_identity, jitter, crop = (
        _ROWS[name]
    )
    augmentation: dict[str, Any] = {"flip_param": {"horizontal_flip": True, "time_flip": True}}
    if jitter:
        augmentation["jitter_param"] = dict(jitter)
    if crop:
        augmentation |= {"crop_param": {"size": [256, 256]}, "resize_param": {"ratio": [0.9, 1.1]}}
    hourglass = {"max_features": 1024, "num_blocks": 5, "scale_factor": 0.25}
    detector: dict[str, Any] = {"temperature": 0.1, "block_expansion": 32, **hourglass}
    if single:
        detector["single_jacobian_map"] = True
    return {
        "dataset_params": {
            "frame_shape": [256, 256, 3],
            "id_sampling": by_identity,
            "augmentation_params": augmentation,
        },
        "model_params": {
            "common_params": {"num_kp": 10, "num_channels": 3, "estimate_jacobian": True},
            "kp_detector_params": detector,
            "generator_params": {
                "block_expansion": 64,
                "max_features": 512,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 6,
                "estimate_occlusion_map": True,
                "dense_motion_params": {"block_expansion": 64, **hourglass},
            },
            "discriminator_params": {
                "scales": [1],
                "block_expansion": 32,
                "max_features": 512,
                "num_blocks": 4,
                "sn": spectral,
                "use_kp": use_kp,
            },
        },
        "train_params": {
            "num_epochs": epochs,
            "num_repeats": repeats,
            "epoch_milestones": list(milestones),
            "lr_generator": 2e-4,
            "lr_discriminator": 2e-4,
            "lr_kp_detector": lr_kp,
            "batch_size": batch,
            "scales": [1, 0.5, 0.25, 0.125],
            "transform_params": {"sigma_affine": 0.05, "sigma_tps": 0.005, "points_tps": 5},
            "loss_weights": {
                "generator_gan": gan,
                "discriminator_gan": 1,
                "feature_matching": [10, 10, 10, 10],
                "perceptual": [10, 10, 10, 10, 10],
                "equivariance_value": 10,
                "equivariance_jacobian": 10,
            },
        },
        "animate_params": {
            "normalization_params": {
                "adapt_movement_scale": False,
                "use_relative_movement": True,
                "use_relative_jacobian": True,
            }
        },
    }
