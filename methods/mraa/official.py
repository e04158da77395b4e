"""The officially released configurations, in the published words, and the files that carry their weights.

Source: MRAA's published configuration files; what they share stands once, what differs in rows.
"""

from __future__ import annotations

from typing import Any

from ..blocks.configurations import BACKGROUND_OPTIONS, background_use, split_options

OPTIONS = ("aligned", "avd", *BACKGROUND_OPTIONS)

OFFICIAL_FILES = {
    "vox256.pth": "vox256",
    "taichi256.pth": "taichi256",
    "ted384.pth": "ted384",
    "ted-youtube384.pth": "ted-youtube384",
    "mgif256.pth": "mgif256",
}

DATASETS = {
    "vox256": "voxceleb",
    "taichi256": "taichi-hd",
    "ted384": "ted-talks",
    "ted-youtube384": "ted-youtube",
    "mgif256": "mgif",
}

# name: (resolution, regions, padding of the region convolution, kind of background motion)
_ROWS: dict[str, tuple[int, int, int, str]] = {
    "vox256": (256, 10, 3, "affine"),
    "taichi256": (256, 10, 0, "affine"),
    "ted384": (384, 10, 0, "affine"),
    "ted-youtube384": (384, 20, 0, "affine"),
    "mgif256": (256, 10, 0, "zero"),
}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_ROWS)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally followed by `+aligned` (sample with aligned corners), `+avd`
            (absolute transfer through the AVD network), and one of `+background` (predict the background's motion
            in every transfer) and `+still-background` (in none).

    Raises:
        UnknownNameError: no such configuration.
    """
    base, options = split_options("MRAA", name, official_names(), OPTIONS)
    return {
        **_published(base),
        "align_corners": "aligned" in options,
        "animation": {"avd": "avd" in options, "background": background_use(options)},
    }


def _published(name: str) -> dict[str, Any]:
    resolution, regions, pad, bg_type = _ROWS[name]
    hourglass = {"max_features": 1024, "num_blocks": 5}
    return {
        "resolution": resolution,
        "model_params": {
            "num_regions": regions,
            "num_channels": 3,
            "estimate_affine": True,
            "revert_axis_swap": True,
            "bg_predictor_params": {"block_expansion": 32, **hourglass, "bg_type": bg_type},
            "region_predictor_params": {
                "temperature": 0.1,
                "block_expansion": 32,
                **hourglass,
                "scale_factor": 0.25,
                "pca_based": True,
                "pad": pad,
            },
            "generator_params": {
                "block_expansion": 64,
                "max_features": 512,
                "num_down_blocks": 2,
                "num_bottleneck_blocks": 6,
                "skips": True,
                "pixelwise_flow_predictor_params": {
                    "block_expansion": 64,
                    **hourglass,
                    "scale_factor": 0.25,
                    "use_deformed_source": True,
                    "use_covar_heatmap": True,
                    "estimate_occlusion_map": True,
                },
            },
            "avd_network_params": {"id_bottle_size": 64, "pose_bottle_size": 64},
        },
    }
