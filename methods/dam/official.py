"""The officially released configurations, in the published words, and the files that carry their weights.

Source: DAM's published configuration files. How the files inside the released archive are called is not
documented; these names follow what users of them report.
"""

from __future__ import annotations

from typing import Any

from ..blocks.anchor_config import AnchorRelease, released_configuration

OFFICIAL_FILES = {
    "taichi-dam.pth": "taichi256",
    "vox-dam.pth": "vox256",
    "fashion-dam.pth": "fashion256",
    "mgif-dam.pth": "mgif256",
}

DATASETS = {
    "taichi256": "taichi-hd",
    "vox256": "voxceleb",
    "fashion256": "fashion",
    "mgif256": "mgif",
}

_RELEASES = {
    "taichi256": AnchorRelease(11, 1, single_jacobian_map=False, use_bg_predictor=True),
    "vox256": AnchorRelease(11, 1),
    "fashion256": AnchorRelease(11, 1),
    "mgif256": AnchorRelease(11, 1, skips=False),
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
    return released_configuration("DAM", name, _RELEASES, attention=False)
