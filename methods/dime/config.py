"""What decides a DiME network and its variants: frozen dataclasses, read from the words of a configuration.

DiME published no configuration files: the words are FOMM's where a part is FOMM's, and our own elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..blocks.configurations import reading, resolution
from ..blocks.first_order_config import (
    GeneratorConfig,
    KeypointDetectorConfig,
    detector_config,
    generator_config,
)

SOLVERS = ("rk4", "euler")


@dataclass(frozen=True)
class EvolutionConfig:
    """The differential refinement of the coarse flow.

    Args:
        widths: channels of the velocity network at every resolution, finest first; each is halved from the last.
        groups: of its normalisations.
        solver: one of `SOLVERS`.
        steps: of equal length on [0, 1].
        context: `images` shows the velocity network the view as it is warped so far and the driving frame;
            None shows it flow and time alone, as published.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    groups: int = 8
    solver: str = "rk4"
    steps: int = 4
    context: str | None = None

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(f"solver '{self.solver}' is none of {', '.join(SOLVERS)}")
        if self.steps < 1:
            raise ValueError(f"an evolution of {self.steps} steps; give at least 1")
        if self.context not in (None, "images"):
            raise ValueError(f"context '{self.context}' is neither 'images' nor absent")


@dataclass(frozen=True)
class SelfFlowConfig:
    """The network that gives every warped view its self-flow and its confidence.

    Args:
        reduced_features: channels that the warped features are reduced to before the hourglass.
    """

    reduced_features: int
    block_expansion: int
    max_features: int
    num_blocks: int


@dataclass(frozen=True)
class DimeConfig:
    """All parts of a DiME, and which of them a variant leaves out.

    Args:
        evolution: None leaves the coarse flow as it is (`w/o refine`).
        identity: condition on the features carried by the self-flow; the confidence is kept without (`w/o ID`).
        one_shot: further views of the source are not looked at (`one-shot`).
    """

    keypoint_detector: KeypointDetectorConfig
    generator: GeneratorConfig
    evolution: EvolutionConfig | None
    self_flow: SelfFlowConfig
    identity: bool
    one_shot: bool
    resolution: tuple[int, int] | None

    @property
    def features(self) -> int:
        """Channels of the appearance features that are warped."""
        branch = self.generator
        return min(branch.max_features, branch.block_expansion * 2**branch.num_down_blocks)

    @property
    def size_multiple(self) -> int:
        """Both sides of every frame must be multiples of this many pixels."""
        parts = [
            self.keypoint_detector.size_multiple,
            self.generator.size_multiple,
            2 ** (self.generator.num_down_blocks + self.self_flow.num_blocks),
        ]
        if self.evolution is not None:
            halvings = len(self.evolution.widths) - 1
            parts.append(round(2**halvings / self.generator.dense_motion.scale_factor))
        return math.lcm(*parts)


def dime_config(published: Mapping[str, Any]) -> DimeConfig:
    """Read a configuration.

    Args:
        published: `model_params` with `common_params`, `kp_detector_params` and `generator_params` (FOMM's words),
            `evolution_params`, `self_flow_params`, and perhaps `variant_params` (`refinement`, `identity`,
            `one_shot`); beside it `resolution` and `align_corners`.

    Raises:
        BenchbedError: a needed word is missing, unknown or its value is of the wrong kind.
    """
    return reading("DiME", _read, published)


def _read(published: Mapping[str, Any]) -> DimeConfig:
    model = published["model_params"]
    common = model["common_params"]
    refinement, identity, one_shot = _variant(**model.get("variant_params", {}))
    evolution = dict(model["evolution_params"])
    evolution["widths"] = tuple(evolution["widths"])
    return DimeConfig(
        keypoint_detector=detector_config(common, model["kp_detector_params"]),
        generator=generator_config(
            common, model["generator_params"], align_corners=bool(published.get("align_corners", False))
        ),
        evolution=EvolutionConfig(**evolution) if refinement else None,
        self_flow=SelfFlowConfig(**model["self_flow_params"]),
        identity=identity,
        one_shot=one_shot,
        resolution=resolution(published),
    )


def _variant(
    *, refinement: bool = True, identity: bool = True, one_shot: bool = False
) -> tuple[bool, bool, bool]:
    return refinement, identity, one_shot
