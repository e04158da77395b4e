"""What decides a DAM network and its test-time transfer, read from the words of the published files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..blocks.anchor_config import AnchorConfig, anchor_config
from ..blocks.configurations import reading


def dam_config(published: Mapping[str, Any]) -> AnchorConfig:
    """Read a configuration in the published words; see `anchor_config`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("DAM", _read, published)


def _read(published: Mapping[str, Any]) -> AnchorConfig:
    config = anchor_config(published)
    attention = published["model_params"]["kp_detector_params"].get("subroot_leaf_attention", False)
    if attention or config.num_intermediate:
        raise ValueError("intermediate anchors and subroot_leaf_attention are HDAM's; choose method hdam")
    return config
