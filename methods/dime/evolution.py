"""Differential motion evolution: a flow is carried from coarse to fine along an ordinary differential equation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torchdiffeq import odeint

from ..blocks.grids import coordinate_grid
from .config import EvolutionConfig

IMAGES = 6  # colours of the warped view and of the driving frame

# A flow `(B, h, w, 2)` -> what the velocity network sees besides it, `(B, C, h, w)`.
Context = Callable[[Tensor], Tensor]


class RowMajorGroupNorm(nn.GroupNorm):
    """Group normalisation that never sees channels last, in which it is measured ten times slower on CPUs."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.contiguous())


class VelocityNetwork(nn.Module):
    """How fast a flow changes: offsets from the identity and the time -> velocities.

    A small U-Net. Its activation is smooth and nothing in it depends on other samples, so that the velocity is a
    continuous function of the flow, which the proof of a unique solution asks for. The last convolution starts at
    zero: nothing moves before training.

    Source: DiME, equation 6 (what it sees); the paper leaves the architecture open.
    """

    def __init__(self, config: EvolutionConfig) -> None:
        super().__init__()
        entering = 3 + (IMAGES if config.context else 0)
        pairs = list(pairwise(config.widths))
        self.first = _block(entering, config.widths[0], config.groups)
        self.down_blocks = nn.ModuleList(_block(before, after, config.groups) for before, after in pairs)
        self.up_blocks = nn.ModuleList(
            _block(before + after, before, config.groups) for before, after in reversed(pairs)
        )
        self.last = nn.Conv2d(config.widths[0], 2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        self.last.bias = nn.Parameter(torch.zeros(2))

    def forward(self, offsets: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
        """Velocities `(B, 2, h, w)` in [-1, 1] coordinates per unit of time.

        Args:
            offsets: the flow less the identity, `(B, 2, h, w)`, x first.
            time: a scalar in [0, 1].
            context: `(B, 6, h, w)` where the configuration has it.
        """
        seen = [offsets, time.to(offsets).expand_as(offsets[:, :1])]
        features = self.first(torch.cat(seen if context is None else [*seen, context], dim=1))
        stages = [features]
        for block in self.down_blocks:
            stages.append(block(functional.avg_pool2d(stages[-1], 2)))
        features = stages.pop()
        for block in self.up_blocks:
            finer = functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            features = block(torch.cat((finer, stages.pop()), dim=1))
        return self.last(features).to(offsets.dtype)


class MotionEvolution(nn.Module):
    """A coarse flow -> the flow it evolves to, by one velocity network for all views.

    Source: DiME, equations 6 to 8.
    """

    def __init__(self, config: EvolutionConfig) -> None:
        super().__init__()
        self.velocity = VelocityNetwork(config)
        self.solver = config.solver
        self.steps = config.steps

    def forward(self, coarse: Tensor, context: Context | None = None) -> Tensor:
        """The flow at time 1, `(B, h, w, 2)`.

        Gradients pass through the solver's steps (discretise, then optimise).

        Args:
            coarse: the flow at time 0, `(B, h, w, 2)`, (x, y) in [-1, 1] and beyond.
            context: of the flow so far.
        """
        identity = coordinate_grid(coarse.shape[1], coarse.shape[2], like=coarse)

        def velocity(time: Tensor, flow: Tensor) -> Tensor:
            # The network sees offsets: zeros around them, which convolutions pad with, mean that nothing moves.
            offsets = (flow - identity).permute(0, 3, 1, 2)
            seen = None if context is None else context(flow)
            return self.velocity(offsets, time, seen).permute(0, 2, 3, 1)

        def grid(function: object, state: Tensor, times: Tensor) -> Tensor:
            return torch.linspace(0, 1, self.steps + 1, dtype=times.dtype, device=times.device)

        ends = torch.tensor([0.0, 1.0], dtype=coarse.dtype, device=coarse.device)
        return odeint(velocity, coarse, ends, method=self.solver, options={"grid_constructor": grid})[-1]


def _block(entering: int, leaving: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, padding=1), RowMajorGroupNorm(groups, leaving), nn.SiLU()
    )
