"""X2Face as a method of the bench: embed a source once, sample it where every driving frame says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.building import build_released, released_file
from ..blocks.frame_size import require_multiples, size_of
from ..blocks.grids import sample
from .checkpoint import RELEASES, inference_networks
from .config import X2FaceConfig, x2face_config
from .driving_network import DrivingNetwork
from .embedding_network import EmbeddingNetwork, mosaic


@dataclass(frozen=True)
class Encoding:
    """A source: its embedded face `(1, 3, H, W)` in [0, 1], an image that may be edited."""

    face: Tensor


class X2Face(nn.Module):
    """X2Face (Wiles et al., ECCV 2018).

    Args:
        config: describes both networks.
        networks: `pix2pixUnwrapped` and `pix2pixSampler`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: X2FaceConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        embedding, driving = networks["pix2pixUnwrapped"], networks["pix2pixSampler"]
        if not isinstance(embedding, EmbeddingNetwork) or not isinstance(driving, DrivingNetwork):
            raise TypeError("networks must hold an EmbeddingNetwork and a DrivingNetwork")
        self.pix2pixUnwrapped = embedding
        self.pix2pixSampler = driving
        self.config = config
        self.resolution: tuple[int, int] | None = (config.size, config.size)
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.align_corners).lower(),
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """The embedded face of a source `(1, 3, H, W)` in [0, 1] and any number of further views `(N, 3, H, W)`.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to, or views differ in it.
        """
        self._check_size(source)
        views = source
        if references is not None:
            if references.shape[1:] != source.shape[1:]:
                raise BenchbedError(
                    f"references are {size_of(references)} pixels and the source is {size_of(source)}; "
                    "give all views of a source in one size"
                )
            views = torch.cat((source, references))
        embedded = self.pix2pixUnwrapped(views)
        return Encoding(mosaic(embedded.faces.unsqueeze(1), embedded.confidence.unsqueeze(1)))

    @torch.no_grad()
    def animate(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Raises:
            BenchbedError: another transfer than absolute, or frames of a size the networks cannot halve.
        """
        if transfer != "absolute":
            raise BenchbedError(
                f"unknown transfer '{transfer}' for x2face; known: absolute (the driving vector holds pose and "
                "expression together, and no relative mode was published)"
            )
        self._check_size(driving)
        return self.generate(encoding, self.pix2pixSampler.bottleneck(driving))

    @torch.no_grad()
    def driving_vectors(self, frames: Tensor) -> Tensor:
        """The driving vectors `(N, inner_nc)` of frames of the trained size, before their activation.

        Raises:
            BenchbedError: another size, at which there is more than one vector per frame.
        """
        self._check_size(frames)
        vectors = self.pix2pixSampler.bottleneck(frames)
        if vectors.shape[2:] != (1, 1):
            side = 2**self.config.num_downs
            raise BenchbedError(
                f"frames of {size_of(frames)} pixels have no single driving vector; resize them to {side}x{side}"
            )
        return vectors.flatten(1)

    @torch.no_grad()
    def generate(self, encoding: Encoding, vectors: Tensor) -> Tensor:
        """The source under given driving vectors `(N, inner_nc)` or `(N, inner_nc, h, w)`: frames `(N, 3, H, W)`.

        Vectors that were turned by `pose.PoseMaps`, or changed in any other manner, drive it as those of frames do.
        """
        if vectors.ndim == 2:
            vectors = vectors[:, :, None, None]
        positions = self.pix2pixSampler.positions(vectors)
        faces = encoding.face.expand(len(positions), -1, -1, -1)
        return sample(faces, positions, align_corners=self.config.align_corners).clamp(0, 1)

    def _check_size(self, frames: Tensor) -> None:
        require_multiples("x2face", frames, 2**self.config.num_downs)


def build(*, checkpoint: Path | None, configuration: str | None) -> X2Face:
    """X2Face with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, optionally with `+unaligned`; None reads it from the file.
    """
    return build_released(
        "x2face",
        X2Face,
        x2face_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=f"train one (benchbed train --method x2face) or give {released_file('x2face', RELEASES)}",
    )
