"""Animation via disentanglement: the source's regions in the driving pose, without the driving object's shape."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbed.errors import BenchbedError

from ..blocks.disentanglement import DisentanglementNetwork
from ..blocks.linear_maps import inverse, product
from .regions import Regions, outer_square

# Per region: its centre (2) and its affine shape (4, row by row).
NUMBERS_PER_REGION = 6


def describe(regions: Regions) -> Tensor:
    """Regions as the network reads them, `(B, 6 K)`."""
    if regions.affine is None:
        raise BenchbedError("the AVD network needs the affine shape of regions; set estimate_affine")
    return torch.cat((regions.shift, regions.affine.flatten(2)), dim=2).flatten(1)


def disentangle(
    network: DisentanglementNetwork, identity: Regions, pose: Regions, *, revert_axis_swap: bool
) -> Regions:
    """The identity's regions in the other's pose.

    Args:
        identity, pose: regions of B images each.
        revert_axis_swap: first give the identity's axes the signs of the pose's.

    Source: MRAA, section 3.5.
    """
    if revert_axis_swap and identity.affine is not None and pose.affine is not None:
        signs = torch.sign(product(identity.affine, inverse(pose.affine))[..., :1, :1])
        identity = Regions(identity.shift, identity.affine * signs)
    numbers = network(describe(identity), describe(pose)).unflatten(1, (-1, NUMBERS_PER_REGION))
    affine = numbers[..., 2:].unflatten(-1, (2, 2))
    return Regions(numbers[..., :2], affine, outer_square(affine))
