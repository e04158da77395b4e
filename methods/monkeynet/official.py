"""The officially published configurations, in the published words, and the file that carries released weights.

Source: Monkey-Net's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.configurations import split_options

# Option of a configuration -> the switch of the test-time transfer that it turns on.
TRANSFER_OPTIONS = {"adapted": "movement_mult", "clipped": "clip_mean", "adapted-variance": "adapt_variance"}
ALIGNED = "aligned"
OPTIONS = (ALIGNED, *TRANSFER_OPTIONS)

OFFICIAL_FILES = {"moving-gif-ckp.pth.tar": "moving-gif"}

DATASETS = {
    "taichi": "taichi-mocogan",  # 64x64 videos of the MoCoGAN paper, not TaiChiHD
    "nemo": "nemo",
    "bair": "bair",
    "moving-gif": "mgif",
    "vox": "voxceleb",
    "vox-full": "voxceleb",
    "actions": "actions",
    "shapes": "shapes",
}

# name: (resolution, key points, block_expansion, max_features, generator's blocks,
#        scales of detector, dense motion and key-point embedding, norm_const, clip_variance, group blocks)
_ROWS: dict[str, tuple[int, int, int, int, int, tuple[float, float, float], str | int, float | None, int]] = {
    "taichi": (64, 10, 32, 1024, 5, (1, 1, 1), 100, 0.001, 2),
    "nemo": (64, 10, 32, 512, 5, (1, 1, 1), 100, 0.001, 2),
    "bair": (64, 10, 32, 512, 5, (1, 1, 1), "sum", 0.001, 2),
    "moving-gif": (128, 10, 32, 1024, 6, (0.5, 0.5, 0.5), 100, 0.001, 2),
    "vox": (256, 10, 32, 1024, 7, (0.25, 0.25, 0.25), 100, 0.001, 2),
    "vox-full": (256, 10, 32, 1024, 7, (1, 1, 0.25), 100, 0.001, 2),
    "actions": (64, 10, 32, 512, 5, (1, 1, 1), 100, None, 2),
    "shapes": (64, 4, 16, 128, 5, (1, 1, 1), 10, None, 0),
}
_TRILINEAR = ("vox", "vox-full")
_WITH_DIFFERENCE = ("moving-gif",)


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+aligned` (sample with aligned corners, as the
            weights were trained) and, for relative transfer, by `+adapted` (scale the movement to the source's
            size), `+adapted-variance` (carry the change of spread over to the source's) and `+clipped` (keep key
            points inside the image).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options("Monkey-Net", name, official_names(), OPTIONS)
    return {
        **_published(base),
        "align_corners": ALIGNED in options,
        "transfer": {word: option in options for option, word in TRANSFER_OPTIONS.items()},
    }


def _published(name: str) -> dict[str, Any]:
    resolution, points, expansion, features, blocks, scales, norm, clip, groups = _ROWS[name]
    widths = {"block_expansion": expansion, "max_features": features}
    heatmaps = {"use_heatmap": True, "heatmap_type": "difference", "norm_const": norm}
    of_detector, of_motion, of_embedding = scales
    return {
        "resolution": resolution,
        "model_params": {
            "common_params": {"num_kp": points, "kp_variance": "matrix", "num_channels": 3},
            "kp_detector_params": {
                "temperature": 0.1,
                **widths,
                "num_blocks": 5,
                "scale_factor": of_detector,
                "clip_variance": clip,
            },
            "generator_params": {
                **widths,
                "num_blocks": blocks,
                "num_refinement_blocks": 4,
                "interpolation_mode": "trilinear" if name in _TRILINEAR else "nearest",
                "dense_motion_params": {
                    **widths,
                    "num_blocks": 5,
                    "use_mask": True,
                    "use_correction": True,
                    "scale_factor": of_motion,
                    "num_group_blocks": groups,
                    "mask_embedding_params": {
                        **heatmaps,
                        "use_deformed_source_image": True,
                        "use_difference": name in _WITH_DIFFERENCE,
                    },
                },
                "kp_embedding_params": {**heatmaps, "scale_factor": of_embedding},
            },
            "discriminator_params": {
                "kp_embedding_params": {"norm_const": norm},
                "block_expansion": 32,
                "max_features": 256,
                "num_blocks": 4,
            },
        },
    }
