"""What decides a network of anytime interpolation and how it is taught, read from the published words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .configurations import reading
from .keypoint_set_config import KeypointSetConfig, keypoint_set_config, keypoint_set_options
from .vision_transformer import TransformerConfig

STAGE2_KEYPOINTS = ("detect", "interpolate")


@dataclass(frozen=True)
class InterpolationConfig:
    """The images between source and driving frame.

    Args:
        times: where they lie, between 0 (the source) and 1 (the driving frame), ascending.
        stage2_keypoints: `detect` finds the key points of the chosen one, `interpolate` takes those it was made with.
    """

    times: tuple[float, ...] = (0.3, 0.5, 0.7)
    stage2_keypoints: str = "detect"

    def __post_init__(self) -> None:
        if not self.times or not all(0 < time < 1 for time in self.times):
            raise ValueError(f"times {list(self.times)} are not all between 0 and 1")
        if list(self.times) != sorted(set(self.times)):
            raise ValueError(f"times {list(self.times)} do not ascend")
        if self.stage2_keypoints not in STAGE2_KEYPOINTS:
            raise ValueError(
                f"stage2_keypoints '{self.stage2_keypoints}' is none of {', '.join(STAGE2_KEYPOINTS)}"
            )


@dataclass(frozen=True)
class SupervisionConfig:
    """What teaches the networks; nothing of it changes what they compute.

    Args:
        bidirectional: also take the driving frame back to the source, and compare the images between.
        similarity: appearance and structure losses.
        literal_norms: take the norms of these as printed, not as root mean squares.
        base_losses: keep TPSMM's losses beside those of the paper's sum.
    """

    bidirectional: bool = True
    similarity: bool = True
    literal_norms: bool = False
    base_losses: bool = True

    def __post_init__(self) -> None:
        if self.similarity and not self.bidirectional:
            raise ValueError("similarity compares two directions: set bidirectional as well")


@dataclass(frozen=True)
class AnytimeConfig(KeypointSetConfig):
    """All parts a configuration describes: those of TPSMM and what comes to them."""

    interpolation: InterpolationConfig = field(default_factory=InterpolationConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    supervision: SupervisionConfig = field(default_factory=SupervisionConfig)


def anytime_config(title: str, published: Mapping[str, Any]) -> AnytimeConfig:
    """Read a configuration in TPSMM's published words, see `keypoint_set_config`, and words of our own.

    Args:
        title: what the method is called in sentences.
        published: may also have `interpolation_params` and `transformer_params` in `model_params`, and `loss_params`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading(title, _read, published)


def _read(published: Mapping[str, Any]) -> AnytimeConfig:
    model = published["model_params"]
    interpolation = dict(model.get("interpolation_params", {}))
    if "times" in interpolation:
        interpolation["times"] = tuple(interpolation["times"])
    return AnytimeConfig(
        **vars(keypoint_set_config(published, ("num_tps",))),
        interpolation=InterpolationConfig(**interpolation),
        transformer=TransformerConfig(**model.get("transformer_params", {})),
        supervision=SupervisionConfig(**published.get("loss_params", {})),
    )


# name: predicts the background's motion; backdrops of the other two stand still
_ROWS = {"vox-256": True, "taichi-256": True, "fashion-256": False, "nemo-256": False}
DATASETS = {
    "vox-256": "voxceleb",
    "taichi-256": "taichi-hd",
    "fashion-256": "fashion",
    "nemo-256": "uva-nemo",
}


def anytime_names() -> tuple[str, ...]:
    """The names of the full-size configurations."""
    return tuple(_ROWS)


def full_size(title: str, name: str) -> dict[str, Any]:
    """A full-size configuration in the published words: TPSMM's networks, ViT-B/8 with DINO's weights beside them.

    Args:
        title: what the method is called in sentences.
        name: one of `anytime_names`, optionally with the options of `keypoint_set_options`.

    Raises:
        UnknownNameError: no such configuration.
    """
    base, animation = keypoint_set_options(title, name, anytime_names())
    return {
        "resolution": 256,
        "animation": animation,
        "model_params": {
            "common_params": {"num_tps": 10, "num_channels": 3, "bg": _ROWS[base], "multi_mask": True},
            "generator_params": {"block_expansion": 64, "max_features": 512, "num_down_blocks": 3},
            "dense_motion_params": {
                "block_expansion": 64,
                "max_features": 1024,
                "num_blocks": 5,
                "scale_factor": 0.25,
            },
            "avd_network_params": {"id_bottle_size": 128, "pose_bottle_size": 128},
            "interpolation_params": {"times": [0.3, 0.5, 0.7], "stage2_keypoints": "detect"},
            "transformer_params": {"weights": "dino-vitb8"},
        },
    }
