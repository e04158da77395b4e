"""What decides an MTIA network and its test-time transfer: one frozen dataclass each.

`mtia_config` reads them from the words of the published configuration files, which are also what our weights
files carry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.background import BackgroundConfig
from ..blocks.configurations import reading
from ..blocks.first_order_config import GeneratorConfig, TransferConfig, generator_config

# The backbone halves the image twice before the patches are cut, and twice more in its coarsest branch.
BACKBONE_STRIDE = 4
COARSEST_STRIDE = 16

# Fixed in the published code.
PUBLISHED_STEM_CHANNELS = 64

# The one variant of the key-point network that was released.
VARIANT: dict[str, Any] = {
    "NAME": "pose_tokenpose_b",
    "POS_EMBEDDING_TYPE": "sine-full",
    "ESTIMATE_JACOBIAN": True,
    "DATA_PREPROCESS": False,
    "FIX_IMG2MOTION_ATTENTION": False,
}
STAGE_VARIANT = {"BLOCK": "BASIC", "FUSE_METHOD": "SUM"}


@dataclass(frozen=True)
class StageConfig:
    """A stage of the backbone.

    Args:
        widths, num_blocks: channels and blocks per branch, finest branch first.
    """

    num_modules: int
    widths: tuple[int, ...]
    num_blocks: tuple[int, ...]


@dataclass(frozen=True)
class TransformerConfig:
    """The token transformer: feature map -> K key points and jacobians.

    Args:
        hidden: width between the linear maps of a feed-forward part.
        patch_size: (height, width) of a patch, in features.
        patch_grid: (rows, columns) of patches.
    """

    num_kp: int
    dim: int
    depth: int
    heads: int
    hidden: int
    patch_size: tuple[int, int]
    patch_grid: tuple[int, int]

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.dim % 2:
            raise ValueError(f"DIM {self.dim} is not an even multiple of TRANSFORMER_HEADS {self.heads}")


@dataclass(frozen=True)
class KeypointDetectorConfig:
    """The key-point detector: image of one size -> K key points and jacobians.

    Args:
        stem_channels: width of the backbone before it has branches; its bottlenecks give four times as many.
    """

    num_channels: int
    stem_channels: int
    second_stage: StageConfig
    third_stage: StageConfig
    transformer: TransformerConfig


@dataclass(frozen=True)
class MtiaConfig:
    """All parts a configuration describes.

    Args:
        background: None where the configuration has no background predictor.
        resolution: (height, width), the only size the key-point detector can see.
    """

    detector: KeypointDetectorConfig
    generator: GeneratorConfig
    background: BackgroundConfig | None
    transfer: TransferConfig
    resolution: tuple[int, int]

    def __post_init__(self) -> None:
        for name, side, multiple in zip(("height", "width"), self.resolution, self._multiples, strict=True):
            if side % multiple:
                raise ValueError(f"the {name} {side} of IMAGE_SIZE is no multiple of {multiple}")

    @property
    def size_multiple(self) -> int:
        """What a square IMAGE_SIZE must be a multiple of."""
        return math.lcm(*self._multiples)

    @property
    def _multiples(self) -> tuple[int, ...]:
        """Of height and width."""
        return tuple(
            math.lcm(COARSEST_STRIDE, BACKBONE_STRIDE * patch, self.generator.size_multiple)
            for patch in self.detector.transformer.patch_size
        )


def mtia_config(published: Mapping[str, Any]) -> MtiaConfig:
    """Read a configuration in the published words.

    Args:
        published: `MODEL` (the key-point detector) and `model_params` (with `common_params`, `generator_params` and,
            where `use_bg_predictor`, `bg_predictor_params`). Our own additions, all optional, are `animation`
            (`adapt_movement_scale`, `background`), `align_corners`, and `STEM_CHANNELS` in `EXTRA`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("MTIA", _read, published)


def _read(published: Mapping[str, Any]) -> MtiaConfig:
    model, own = published["model_params"], published["MODEL"]
    common = model["common_params"]
    if (common["num_kp"], common["estimate_jacobian"]) != (own["NUM_JOINTS"], True):
        raise ValueError("common_params must have num_kp equal to NUM_JOINTS, and estimate_jacobian true")
    _require(own, VARIANT)
    # Written (width, height), as in all configurations of this backbone.
    width, height = own["IMAGE_SIZE"]
    background = None
    if model.get("use_bg_predictor", False):
        background = BackgroundConfig(num_channels=common["num_channels"], **model["bg_predictor_params"])
    return MtiaConfig(
        detector=_detector(own, common["num_channels"]),
        generator=generator_config(
            common, model["generator_params"], align_corners=bool(published.get("align_corners", False))
        ),
        background=background,
        transfer=TransferConfig(**published.get("animation", {})),
        resolution=(height, width),
    )


def _detector(own: Mapping[str, Any], num_channels: int) -> KeypointDetectorConfig:
    (width, height), (patch_width, patch_height) = own["IMAGE_SIZE"], own["PATCH_SIZE"]
    transformer = TransformerConfig(
        num_kp=own["NUM_JOINTS"],
        dim=own["DIM"],
        depth=own["TRANSFORMER_DEPTH"],
        heads=own["TRANSFORMER_HEADS"],
        hidden=own["DIM"] * own["TRANSFORMER_MLP_RATIO"],
        patch_size=(patch_height, patch_width),
        patch_grid=(
            height // (BACKBONE_STRIDE * patch_height),
            width // (BACKBONE_STRIDE * patch_width),
        ),
    )
    extra = own["EXTRA"]
    return KeypointDetectorConfig(
        num_channels,
        extra.get("STEM_CHANNELS", PUBLISHED_STEM_CHANNELS),
        _stage(extra["STAGE2"], 2),
        _stage(extra["STAGE3"], 3),
        transformer,
    )


def _stage(own: Mapping[str, Any], branches: int) -> StageConfig:
    _require(own, STAGE_VARIANT)
    widths, num_blocks = tuple(own["NUM_CHANNELS"]), tuple(own["NUM_BLOCKS"])
    if not len(widths) == len(num_blocks) == branches:
        raise ValueError(f"STAGE{branches} needs {branches} NUM_CHANNELS and NUM_BLOCKS")
    return StageConfig(own["NUM_MODULES"], widths, num_blocks)


def _require(own: Mapping[str, Any], variant: Mapping[str, Any]) -> None:
    for word, wanted in variant.items():
        if own.get(word, wanted) != wanted:
            raise ValueError(f"{word} is {own[word]!r}; only {wanted!r}, that of all releases, is supported")
