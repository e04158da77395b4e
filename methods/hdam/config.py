"""What decides an HDAM network and its test-time transfer, read from the words of the published files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.anchor_config import AnchorConfig, anchor_config
from ..blocks.configurations import reading

# The published normalisation of the attention has this many channels whatever attention_channel says.
ATTENTION_CHANNELS = 64


@dataclass(frozen=True)
class AttentionConfig:
    """The attention from intermediate to motion anchors, which training alone uses.

    Args:
        scale: multiplies the similarities before the softmax.
        ignored: motion anchors that get no attention.
        detach_feature: stop the gradient into the features.
    """

    scale: float
    ignored: tuple[int, ...]
    detach_feature: bool


@dataclass(frozen=True)
class HdamConfig:
    """All parts a configuration describes."""

    anchors: AnchorConfig
    attention: AttentionConfig


def hdam_config(published: Mapping[str, Any]) -> HdamConfig:
    """Read a configuration in the published words; see `anchor_config`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("HDAM", _read, published)


def _read(published: Mapping[str, Any]) -> HdamConfig:
    anchors = anchor_config(published)
    own = published["model_params"]["kp_detector_params"]
    if not own["subroot_leaf_attention"] or not anchors.num_intermediate:
        raise ValueError(
            "without subroot_leaf_attention and intermediate anchors (num_root_kp above 1) it is DAM's; choose method dam"
        )
    if own.get("attention_channel", ATTENTION_CHANNELS) != ATTENTION_CHANNELS:
        raise ValueError(f"attention_channel must be {ATTENTION_CHANNELS}, as in all released configurations")
    ignored = tuple(own.get("ignore_kp_list", ()))
    if not set(ignored) < set(range(anchors.num_motion)):
        raise ValueError(
            f"ignore_kp_list {list(ignored)} must leave some of {anchors.num_motion} motion anchors"
        )
    attention = AttentionConfig(
        scale=float(own.get("attention_scale", 1)),
        ignored=ignored,
        detach_feature=own.get("detach_feature", False),
    )
    return HdamConfig(anchors, attention)
