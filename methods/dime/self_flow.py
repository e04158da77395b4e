"""Self-flow and confidence: what a warped view lacks, fetched from elsewhere in it, and how far to trust the view."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks.antialias import AntiAliasDownsample
from ..blocks.grids import displaced_grid
from ..blocks.hourglass import Hourglass
from .config import DimeConfig

REACH = 2.0  # any position reaches any other: [-1, 1] is two wide


class SelfFlowNetwork(nn.Module):
    """A view as it is warped to the driving pose -> self-flow and confidence.

    It sees the driving layout, in which the self-flow samples, but content of the view alone. The head starts at zero:
    the self-flow at the identity, all views trusted alike.

    Args:
        config: without `identity` there is no self-flow, only the confidence.

    Source: DiME, equations 10 and 11; the paper leaves the architecture open.
    """

    def __init__(self, config: DimeConfig) -> None:
        super().__init__()
        own, branch = config.self_flow, config.generator
        self.reduce = nn.Conv2d(config.features, own.reduced_features, 1)
        self.hourglass = Hourglass(
            own.block_expansion, own.reduced_features + branch.num_channels, own.max_features, own.num_blocks
        )
        self.flows = config.identity
        self.head = nn.Conv2d(self.hourglass.out_channels, 3 if self.flows else 1, 7, padding=3)
        nn.init.zeros_(self.head.weight)
        self.head.bias = nn.Parameter(torch.zeros(self.head.out_channels))
        self.scaled = branch.num_down_blocks > 0
        if self.scaled:
            self.down = AntiAliasDownsample(branch.num_channels, 0.5**branch.num_down_blocks)

    def downsample(self, view: Tensor) -> Tensor:
        """A view `(B, C, H, W)` at the size of its features."""
        return self.down(view) if self.scaled else view

    def forward(self, features: Tensor, image: Tensor) -> tuple[Tensor | None, Tensor]:
        """Where in the warped view every position is sampled, `(B, h, w, 2)`, and the confidence, `(B, 1, h, w)`.

        The flow is None where there is none. The confidence is a logit, of any size.

        Args:
            features: of a view, warped, `(B, F, h, w)`.
            image: the view itself at that size, warped, `(B, C, h, w)`.
        """
        seen = self.hourglass(torch.cat((self.reduce(features), image), dim=1))
        outputs = self.head(seen).float()
        if not self.flows:
            return None, outputs
        return displaced_grid(REACH * torch.tanh(outputs[:, :2])), outputs[:, 2:]
