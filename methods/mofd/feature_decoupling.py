"""Feature decoupling: an encoder whose codes of identity and of motion lie in two orthogonal subspaces."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..blocks.resnet_keypoints import ResNet18
from .config import FeatureDecouplingConfig


def orthonormal_rows(vectors: Tensor) -> Tensor:
    """The rows `(r, w)`, r <= w, made orthonormal one after the other, by Gram and Schmidt.

    Gram-Schmidt leaves the diagonal of R positive. QR leaves its signs open, so they are set here; without that the
    basis would jump while the parameters move smoothly.

    Source: MOFD, Eq. 7.
    """
    # float32 always: in half precision the vectors would be orthogonal to two digits
    with torch.autocast(vectors.device.type, enabled=False):
        columns, triangle = torch.linalg.qr(vectors.float().mT)
        signs = torch.where(triangle.diagonal() < 0, -1.0, 1.0)
        return (columns * signs).mT


def perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Three layers with ReLU between them."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


class FeatureDecoupling(nn.Module):
    """Images `(B, 3, H, W)` in [0, 1] -> codes `(B, width)` of whom they show and of how it is posed.

    A code is a combination of the orthonormal basis vectors of its subspace; the two subspaces are orthogonal.

    Args:
        config: describes encoder and subspaces.

    Source: MOFD, Eqs. 7 and 8.
    """

    def __init__(self, config: FeatureDecouplingConfig) -> None:
        super().__init__()
        self.encoder = ResNet18(1, width=config.resnet_width)
        del self.encoder.fc  # the pooled features are what is wanted
        features = 8 * config.resnet_width
        self.identity_head = perceptron(features, config.width, config.identity_vectors)
        self.motion_head = perceptron(features, config.width, config.motion_vectors)
        # identity vectors first: those of motion are orthogonalised against them
        self.vectors = nn.Parameter(
            torch.randn(config.identity_vectors + config.motion_vectors, config.width)
        )
        self.identity_vectors = config.identity_vectors

    def basis(self) -> tuple[Tensor, Tensor]:
        """The orthonormal vectors of identity `(p, width)` and of motion `(q, width)`."""
        rows = orthonormal_rows(self.vectors)
        return rows[: self.identity_vectors], rows[self.identity_vectors :]

    def identity(self, frames: Tensor) -> Tensor:
        """F_id of frames, `(B, width)`."""
        return self._code(frames, self.identity_head, self.basis()[0])

    def motion(self, frames: Tensor) -> Tensor:
        """F_m of frames, `(B, width)`."""
        return self._code(frames, self.motion_head, self.basis()[1])

    def forward(self, frames: Tensor) -> Tensor:
        """F_m, see `motion`."""
        return self.motion(frames)

    def frozen_motion(self, frames: Tensor) -> Tensor:
        """F_m again, through which the gradient reaches the frames and not this network."""
        parameters = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return functional_call(self, parameters, (frames,))

    def _code(self, frames: Tensor, head: nn.Module, basis: Tensor) -> Tensor:
        features = self.encoder(frames)
        with torch.autocast(frames.device.type, enabled=False):
            return head(features.float()) @ basis
