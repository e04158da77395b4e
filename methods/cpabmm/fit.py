"""Fitting CPAB transformations to key points: gradient descent per frame, at test time too."""

from __future__ import annotations

import torch
from torch import Tensor

from .flow import drift

START = 1e-6
LEARNING_RATE = 1e-2


def fit_transformations(
    driving: Tensor,
    source: Tensor,
    basis: Tensor,
    *,
    iterations: int,
    joint: bool = False,
    rate: float = LEARNING_RATE,
) -> Tensor:
    """Parameters `(B, G, d)` of the transformations that take driving points to source points.

    Args:
        driving, source: `(B, G, N, 2)`, (x, y) in [-1, 1]; treated as constants.
        basis: `(24 * side^2, d)`, of the dtype to fit in.
        iterations: steps of Adam.
        rate: its learning rate, which bounds the change of a parameter per step whatever the gradient.
        joint: minimise one norm over the whole batch, which couples its items, as published for training; otherwise
            one norm per item, which is what a batch of one gives.

    Source: CPABMM, section 3.2; the norm is not squared, so that converged fits go on oscillating around the optimum.
    """
    # The caller may be generating under inference mode, whose tensors autograd refuses.
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(basis.device.type, enabled=False):
        start = ((driving.detach().clone() + 1) / 2).to(basis.dtype)
        wanted = source.detach().clone().to(basis.dtype)
        basis = basis.clone() if basis.is_inference() else basis
        shape = (*driving.shape[:2], basis.shape[1])
        theta = torch.full(shape, START, dtype=basis.dtype, device=basis.device, requires_grad=True)
        adam = torch.optim.Adam([theta], lr=rate)
        for _ in range(iterations):
            residual = (2 * drift(theta, basis, start) - 1 - wanted).flatten(1)
            norms = torch.linalg.vector_norm(residual.flatten() if joint else residual, dim=-1)
            adam.zero_grad()
            norms.sum().backward()
            adam.step()
        return theta.detach()


@torch.no_grad()
def moved_points(theta: Tensor, basis: Tensor, points: Tensor) -> Tensor:
    """Where points `(..., N, 2)` in [-1, 1] go under transformations `(B, G, d)`: `(B, G, N, 2)` in [-1, 1].

    Computed in the dtype of the points.
    """
    with torch.autocast(points.device.type, enabled=False):
        start = ((points + 1) / 2).expand(*theta.shape[:2], -1, -1)
        return 2 * drift(theta.to(points.dtype), basis.to(points.dtype), start) - 1
