"""Key points with the spread of their heat maps: what Monkey-Net's detector finds and how it is transferred."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchbed.errors import BenchbedError

from ..blocks.gaussians import ellipse_maps, gaussian_maps
from ..blocks.linear_maps import inverse, product
from ..blocks.motion import Keypoints
from ..blocks.transfer import transfer_keypoints

# What takes the place of eigenvalues that are not positive.
SMALLEST_EIGENVALUE = 1e-6


@dataclass(frozen=True)
class SpreadKeypoints:
    """Key points of a batch of images and the covariance of their heat maps.

    Args:
        value: `(B, K, 2)`, (x, y) in [-1, 1], corner pixel centres at exactly -1 and 1.
        covar: `(B, K, 2, 2)`; None where the spread is a fixed number.
    """

    value: Tensor
    covar: Tensor | None = None

    def detach(self) -> SpreadKeypoints:
        """The same, cut off from what found them."""
        return SpreadKeypoints(self.value.detach(), None if self.covar is None else self.covar.detach())

    def maps(self, size: tuple[int, int] | torch.Size, variance: str | float) -> Tensor:
        """An un-normalised Gaussian around each point, `(B, K, *size)`, 1 at the point.

        Args:
            variance: squared spread of all points; a word where each point has its own.
        """
        if not isinstance(variance, str):
            return gaussian_maps(self.value, size, variance)
        if self.covar is None:
            raise ValueError("these key points have no covariance, but the configuration estimates one")
        return ellipse_maps(self.value, self.covar, size)


def clipped_covariance(covar: Tensor, smallest: float) -> Tensor:
    """Covariances `(..., 2, 2)`, enlarged as a whole until no singular value is under `smallest`.

    Source: Monkey-Net's published code. It takes the smallest singular value as the root of a difference of nearly
    equal numbers, which rounding can make negative; the determinant over the largest is the same number without that.
    """
    a, b, c, d = covar.flatten(-2).unbind(-1)
    squares = a.square() + b.square() + c.square() + d.square()
    spread = torch.hypot(a.square() + b.square() - c.square() - d.square(), 2 * (a * c + b * d))
    largest = ((squares + spread) / 2).sqrt()
    own = ((a * d - b * c).abs() / largest)[..., None, None]
    return own.clamp_min(smallest) / own * covar


def positive_part(matrices: Tensor) -> Tensor:
    """The symmetric part of matrices `(..., 2, 2)`, eigenvalues that are not positive replaced by tiny ones."""
    symmetric = (matrices + matrices.transpose(-1, -2)) / 2
    identity = torch.eye(2, dtype=matrices.dtype, device=matrices.device)
    mean = symmetric.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    deviation = symmetric - mean * identity
    # Of a symmetric matrix without trace: the eigenvalues are plus and minus this.
    radius = torch.hypot(deviation[..., :1, :1], deviation[..., :1, 1:])
    high, low = mean + radius, mean - radius
    high, low = (torch.where(value > 0, value, SMALLEST_EIGENVALUE) for value in (high, low))
    direction = deviation / radius.clamp_min(torch.finfo(radius.dtype).tiny)
    return (high + low) / 2 * identity + (high - low) / 2 * direction


def transfer_spread_keypoints(
    source: SpreadKeypoints,
    driving: SpreadKeypoints,
    initial: SpreadKeypoints | None,
    *,
    move_location: bool,
    movement_mult: bool = False,
    clip_mean: bool = False,
    adapt_variance: bool = False,
) -> SpreadKeypoints:
    """The driving key points to hand to the generator.

    Args:
        source, driving, initial: of the source, the driving frames and the first driving frame; source and
            initial may have a batch of one.
        move_location: add the driving motion since the initial frame to the source's points (relative transfer).
        movement_mult: scale that motion by the ratio of object sizes.
        clip_mean: keep the points in [-1, 1]; only with `move_location`.
        adapt_variance: carry the change of spread since the initial frame over to the source's spread; otherwise
            the driving frames' own is kept.

    Raises:
        BenchbedError: the initial frame is needed and missing, or points are to be clipped without being moved.

    Source: Monkey-Net, its generation procedure and published test-time code.
    """
    if clip_mean and not move_location:
        raise BenchbedError("key points can only be clipped in relative transfer; leave out clip_mean")
    value = transfer_keypoints(
        Keypoints(source.value),
        Keypoints(driving.value),
        None if initial is None else Keypoints(initial.value),
        relative=move_location,
        adapt_movement_scale=movement_mult,
    ).value
    if clip_mean:
        value = value.clamp(-1, 1)
    covar = driving.covar
    if adapt_variance and covar is not None:
        if source.covar is None or initial is None or initial.covar is None:
            raise BenchbedError(
                "adapting the variance needs that of the source and of the first driving frame; give initial_driving"
            )
        covar = positive_part(product(product(covar, inverse(initial.covar)), source.covar))
    return SpreadKeypoints(value, covar)
