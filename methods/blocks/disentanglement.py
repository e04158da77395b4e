"""Animation via disentanglement: the pose of one description, the shape of another, made into a third."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

ENCODER_WIDTHS = (256, 512, 1024)


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        if layers:
            layers += [nn.BatchNorm1d(before), nn.ReLU()]
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


class DisentanglementNetwork(nn.Module):
    """Descriptions of an identity and of a pose -> description of that identity in that pose.

    What a description is (key points, or regions with their affine shape) is up to the method.

    Args:
        size: numbers in a description.
        id_bottle_size, pose_bottle_size: numbers kept of the identity and of the pose.

    Source: MRAA, section 3.5; TPSMM uses it with other sizes.
    """

    def __init__(self, *, size: int, id_bottle_size: int, pose_bottle_size: int) -> None:
        super().__init__()
        self.id_encoder = _perceptron((size, *ENCODER_WIDTHS, id_bottle_size))
        self.pose_encoder = _perceptron((size, *ENCODER_WIDTHS, pose_bottle_size))
        self.decoder = _perceptron((pose_bottle_size + id_bottle_size, *reversed(ENCODER_WIDTHS), size))

    def forward(self, identity: Tensor, pose: Tensor) -> Tensor:
        """Descriptions `(B, size)` each -> `(B, size)`."""
        # Pose first, as in published weights.
        return self.decoder(torch.cat((self.pose_encoder(pose), self.id_encoder(identity)), dim=1))
