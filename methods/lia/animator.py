"""LIA's whole network: encoder and decoder, and paths through the latent space between them."""

from __future__ import annotations

from torch import Tensor, nn

from .config import LiaConfig
from .decoder import Decoder
from .encoder import Encoder


class LatentAnimator(nn.Module):
    """Encoder `enc` and decoder `dec`.

    Without a motion dictionary the encoder predicts paths themselves (an ablation of the paper).
    """

    def __init__(self, config: LiaConfig) -> None:
        super().__init__()
        self.enc = Encoder(config)
        self.dec = Decoder(config)

    def directions(self) -> Tensor | None:
        """The motion directions `(style_dim, M)`, None without a motion dictionary; they depend on nothing."""
        return self.dec.direction.directions() if self.dec.direction is not None else None

    def path(self, latent: Tensor, directions: Tensor | None) -> Tensor:
        """The way from the shared pose to the pose of the images of `latent`, both `(B, style_dim)`."""
        return along(directions, self.enc.magnitudes(latent))


def along(directions: Tensor | None, magnitudes: Tensor) -> Tensor:
    """The path `(B, style_dim)` of given magnitudes `(B, M)` of the motion directions."""
    return magnitudes if directions is None else magnitudes @ directions.t()
