"""Views in the driving pose become one: weighed by confidence, and conditioned on what the self-flow fetched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MovedView:
    """A view in the driving pose, B of them.

    Args:
        deformation: `(B, h, w, 2)`, where in the view every position is sampled.
        coarse: the same before it was refined.
        warped: features, `(B, F, h', w')`.
        fetched: the warped features carried by the self-flow, of the same size; None without identity features.
        confidence: `(B, 1, h', w')`, logits.
    """

    deformation: Tensor
    coarse: Tensor
    warped: Tensor
    fetched: Tensor | None
    confidence: Tensor


def fuse(views: Iterable[MovedView]) -> tuple[Tensor, Tensor | None]:
    """Sums over views of warped and of fetched features, both weighted by the softmax of the confidences.

    Views are asked for one after another and none is kept. The weight of an only view is exactly 1.

    Returns:
        F_motion and F_Id, `(B, F, h, w)` each; F_Id is None where views have none.

    Source: DiME, equation 11; "soft confidence mask" read as a softmax over the views at every position.
    """
    views = iter(views)
    first = next(views)
    # Sums so far hold for confidences less the largest one so far, as a softmax is evaluated.
    largest = first.confidence.detach()
    weight = torch.exp(first.confidence - largest)
    total, motion = weight, weight * first.warped
    identity = None if first.fetched is None else weight * first.fetched
    for view in views:
        before, largest = largest, torch.maximum(largest, view.confidence.detach())
        kept, weight = torch.exp(before - largest), torch.exp(view.confidence - largest)
        total = kept * total + weight
        motion = kept * motion + weight * view.warped
        if identity is not None and view.fetched is not None:
            identity = kept * identity + weight * view.fetched
    return motion / total, None if identity is None else identity / total


class FeatureFusion(nn.Module):
    """F_motion and F_Id `(B, F, h, w)` -> the features of the image, `(B, F, h, w)`.

    Concatenated and mixed by a 1x1 convolution, which passes F_motion through at first.

    Source: DiME, equation 12.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * features, features, 1)
        nn.init.zeros_(self.mix.weight)
        # Not by torch.eye, which takes seconds to start on the meta device.
        self.mix.weight.detach()[:, :features, 0, 0].fill_diagonal_(1)
        self.mix.bias = nn.Parameter(torch.zeros(features))

    def forward(self, motion: Tensor, identity: Tensor) -> Tensor:
        return self.mix(torch.cat((motion, identity), dim=1))
