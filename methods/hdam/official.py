"""The officially released configurations, in the published words, and the files that carry their weights.

Source: HDAM's published configuration files. How the files inside the released archive are called is not
documented; these names follow those that users report of DAM's.
"""

from __future__ import annotations

from typing import Any

from ..blocks.anchor_config import AnchorRelease, released_configuration

OFFICIAL_FILES = {
    "taichi-hdam.pth": "taichi256",
    "vox-hdam.pth": "vox256",
    "fashion-hdam.pth": "fashion256",
    "mgif-hdam.pth": "mgif256",
}

DATASETS = {
    "taichi256": "taichi-hd",
    "vox256": "voxceleb",
    "fashion256": "fashion",
    "mgif256": "mgif",
}

_RELEASES = {
    "taichi256": AnchorRelease(
        14, 4, single_jacobian_map=False, use_bg_predictor=True, ignore_kp_list=(1, 4)
    ),
    "vox256": AnchorRelease(14, 4, ignore_kp_list=(2, 3)),
    "fashion256": AnchorRelease(14, 4),
    "mgif256": AnchorRelease(15, 5, skips=False),
}


def official_names() -> tuple[str, ...]:
    """The names of the official configurations."""
    return tuple(_RELEASES)


def official(name: str) -> dict[str, Any]:
    """An official configuration in the published words.

    Args:
        name: one of `official_names`, optionally with the options of `released_configuration`.

    Raises:
        UnknownNameError: no such configuration.
    """
    return released_configuration("HDAM", name, _RELEASES, attention=True)
