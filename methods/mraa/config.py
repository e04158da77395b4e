"""What decides an MRAA network and its test-time transfer: one frozen dataclass each.

`mraa_config` reads them from the words of the published configuration files, which are also what our weights
files carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.animation import AnimationConfig
from ..blocks.background import BackgroundConfig
from ..blocks.configurations import reading, resolution
from ..blocks.motion_weighing import MotionWeighingConfig
from ..blocks.warping_generator import ImageBranchConfig


@dataclass(frozen=True)
class RegionPredictorConfig:
    """The region predictor: image -> K regions with their affine shape."""

    num_regions: int
    num_channels: int
    estimate_affine: bool
    temperature: float
    block_expansion: int
    max_features: int
    num_blocks: int
    scale_factor: float = 1.0
    pca_based: bool = False
    pad: int = 3


@dataclass(frozen=True, kw_only=True)
class FlowConfig(MotionWeighingConfig):
    """The pixel-wise flow predictor: source and two sets of regions -> optical flow and occlusion."""

    num_regions: int
    revert_axis_swap: bool
    region_var: float = 0.01
    use_deformed_source: bool = True
    use_covar_heatmap: bool = False


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(ImageBranchConfig):
    """The generator: optical flow, and the image branch it moves."""

    flow: FlowConfig


@dataclass(frozen=True)
class DisentanglementConfig:
    """The AVD network: identity regions and pose regions -> regions of that identity in that pose.

    Its own axis correction is on whatever that of the model, as published.
    """

    num_regions: int
    id_bottle_size: int
    pose_bottle_size: int
    revert_axis_swap: bool = True


@dataclass(frozen=True)
class MraaConfig:
    """All parts a configuration describes."""

    regions: RegionPredictorConfig
    background: BackgroundConfig
    generator: GeneratorConfig
    disentanglement: DisentanglementConfig | None
    animation: AnimationConfig
    align_corners: bool
    resolution: tuple[int, int] | None


def mraa_config(published: Mapping[str, Any]) -> MraaConfig:
    """Read a configuration in the published words.

    Args:
        published: `model_params` (with `region_predictor_params`, `bg_predictor_params`, `generator_params` and,
            optional, `avd_network_params`). Our own additions, all optional, are `resolution` (pixels, or height and
            width), `align_corners` and `animation` (`avd`, `background`).

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("MRAA", _read, published)


def _read(published: Mapping[str, Any]) -> MraaConfig:
    model = published["model_params"]
    align_corners = bool(published.get("align_corners", False))
    background = BackgroundConfig(
        num_channels=model["num_channels"], **model.get("bg_predictor_params", {"bg_type": "zero"})
    )
    avd = model.get("avd_network_params")
    return MraaConfig(
        regions=_regions(model),
        background=background,
        generator=_generator(model, align_corners),
        disentanglement=None if avd is None else DisentanglementConfig(model["num_regions"], **avd),
        animation=AnimationConfig(**published.get("animation", {})),
        align_corners=align_corners,
        resolution=resolution(published),
    )


def _regions(model: Mapping[str, Any]) -> RegionPredictorConfig:
    own = dict(model["region_predictor_params"])
    if own.pop("fast_svd", False):
        raise ValueError("fast_svd has another sign convention and no published weights; set it to false")
    config = RegionPredictorConfig(
        num_regions=model["num_regions"],
        num_channels=model["num_channels"],
        estimate_affine=model["estimate_affine"],
        **own,
    )
    flow = model["generator_params"]["pixelwise_flow_predictor_params"]
    if flow.get("use_covar_heatmap", False) and not (config.estimate_affine or config.pca_based):
        raise ValueError("use_covar_heatmap needs estimate_affine or pca_based")
    return config


def _generator(model: Mapping[str, Any], align_corners: bool) -> GeneratorConfig:
    own = dict(model["generator_params"])
    flow = FlowConfig(
        num_regions=model["num_regions"],
        num_channels=model["num_channels"],
        revert_axis_swap=model["revert_axis_swap"],
        align_corners=align_corners,
        **own.pop("pixelwise_flow_predictor_params"),
    )
    return GeneratorConfig(num_channels=model["num_channels"], flow=flow, align_corners=align_corners, **own)
