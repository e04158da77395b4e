"""What decides a MOFD network and its test-time transfer: TPSMM's published words and those of its own parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading
from ..blocks.keypoint_set_animation import size_multiple
from ..blocks.keypoint_set_config import KeypointSetConfig, keypoint_set_config

OPTIMISATION, DECOUPLING = "motion_optimisation_params", "feature_decoupling_params"
SECTIONS = frozenset(
    {
        "common_params",
        "generator_params",
        "dense_motion_params",
        "avd_network_params",
        OPTIMISATION,
        DECOUPLING,
    }
)
ATTENTION_SCALES = ("1/n", "none")


@dataclass(frozen=True)
class MotionOptimisationConfig:
    """The motion optimisation modules, one per resolution.

    Args:
        grid: patches per side, at every resolution.
        windows: the two window sizes, in patches.
        embedding, heads: width of a token, and how many heads share it.
        flow_channels: between the tokens and the flow.
        residual: what they give is added to the flow they are given; otherwise it is the flow, as Eq. 6 prints it.
    """

    grid: int
    windows: tuple[int, ...]
    embedding: int
    heads: int
    flow_channels: int
    residual: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "windows", tuple(self.windows))
        if len(self.windows) != 2:
            raise ValueError(f"windows has {len(self.windows)} sizes, and there are two")
        for window in self.windows:
            if window < 2 or window >= self.grid or self.grid % window:
                raise ValueError(
                    f"windows of {window} patches cannot be shifted on, or do not tile, a grid of {self.grid}"
                )
        if self.embedding % self.heads:
            raise ValueError(f"embedding {self.embedding} cannot be shared by {self.heads} heads")


@dataclass(frozen=True)
class FeatureDecouplingConfig:
    """The two subspaces, their encoder, and the attention that uses the motion code.

    Args:
        width: of codes and of the subspaces' common space.
        identity_vectors, motion_vectors: how many basis vectors span each subspace.
        resnet_width: first channels of the encoder, see `ResNet18`.
        attention_scale: of the attention's logits, `1/n` (n positions) or `none`.
        identity_in_generator: the attention is asked with the sum of both codes, not with the motion code alone.
    """

    width: int
    identity_vectors: int
    motion_vectors: int
    resnet_width: int = 64
    attention_scale: str = "1/n"
    identity_in_generator: bool = False

    def __post_init__(self) -> None:
        vectors = self.identity_vectors + self.motion_vectors
        if vectors > self.width:
            raise ValueError(f"{vectors} basis vectors cannot be orthogonal in {self.width} dimensions")
        if self.attention_scale not in ATTENTION_SCALES:
            raise ValueError(
                f"attention_scale '{self.attention_scale}' is none of {', '.join(ATTENTION_SCALES)}"
            )


@dataclass(frozen=True)
class MofdConfig:
    """All parts a configuration describes.

    Args:
        model: TPSMM's networks and test-time choices.
        optimisation: None leaves the dense motion as TPSMM has it (the paper's `w/o MOM`).
        decoupling: None leaves the warped features as they are (the paper's `w/o DR`).
    """

    model: KeypointSetConfig
    optimisation: MotionOptimisationConfig | None
    decoupling: FeatureDecouplingConfig | None

    def __post_init__(self) -> None:
        if self.optimisation is None:
            return
        if self.model.resolution is None:
            raise ValueError(f"{OPTIMISATION} needs a resolution, which decides the size of patches")
        multiple = mofd_size_multiple(self)
        if any(side % multiple for side in self.model.resolution):
            raise ValueError(f"resolution {self.model.resolution} is no multiple of {multiple}")

    def stage_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the features at every resolution, coarsest first.

        Raises:
            ValueError: the configuration has no resolution.
        """
        if self.model.resolution is None:
            raise ValueError("a configuration without resolution has no sizes")
        height, width = self.model.resolution
        halvings = self.model.inpainting.num_down_blocks
        return [(height >> level, width >> level) for level in range(halvings, -1, -1)]


def mofd_size_multiple(config: MofdConfig) -> int:
    """The resolution must be a multiple of this many pixels."""
    own = size_multiple(config.model)
    if config.optimisation is None:
        return own
    # The coarsest features have at least one position per patch.
    return math.lcm(own, config.optimisation.grid * 2**config.model.inpainting.num_down_blocks)


def mofd_config(published: Mapping[str, Any]) -> MofdConfig:
    """Read a configuration: see `keypoint_set_config`, and in `model_params` the sections of MOFD's own parts.

    Args:
        published: without `motion_optimisation_params` or `feature_decoupling_params` that part is left out.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("MOFD", _read, published)


def _read(published: Mapping[str, Any]) -> MofdConfig:
    model = published["model_params"]
    # A misspelt section would silently be a model without that part.
    unknown = sorted(set(model) - SECTIONS)
    if unknown:
        raise ValueError(f"unknown section {', '.join(unknown)}; known: {', '.join(sorted(SECTIONS))}")
    optimisation, decoupling = model.get(OPTIMISATION), model.get(DECOUPLING)
    return MofdConfig(
        keypoint_set_config(published, ("num_tps",)),
        None if optimisation is None else MotionOptimisationConfig(**optimisation),
        None if decoupling is None else FeatureDecouplingConfig(**decoupling),
    )
