"""LIA as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..blocks.building import build_released
from ..blocks.frame_size import require_size
from ..blocks.transfer import initial_frame
from .animator import LatentAnimator, along
from .checkpoint import RELEASES, inference_networks
from .config import LiaConfig, lia_config
from .encoder import Appearance
from .ranges import signed, unsigned


@dataclass(frozen=True)
class Encoding:
    """A source, a batch of one.

    Args:
        appearance: its latent, free of pose, and its features.
        path: `(1, style_dim)`, from the latent to the source's own pose.
        directions: `(style_dim, M)`, the motion directions, the same for every source; None without a dictionary.
    """

    appearance: Appearance
    path: Tensor
    directions: Tensor | None


class Lia(nn.Module):
    """Latent Image Animator (Wang et al., ICLR 2022).

    Args:
        config: describes the network.
        networks: `gen`; a freshly initialised one where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: LiaConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        animator = networks["gen"]
        if not isinstance(animator, LatentAnimator):
            raise TypeError("networks must hold a LatentAnimator")
        self.gen = animator
        self.config = config
        self.resolution: tuple[int, int] | None = (config.size, config.size)
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "align_corners": str(config.align_corners).lower(),
            "motion_directions": str(config.motion_dim) if config.motion_dictionary else "none",
        }

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Encoding:
        """Appearance and pose of a source `(1, 3, size, size)` in [0, 1]; further views are not used.

        Raises:
            BenchbedError: another size.
        """
        self._check_size(source)
        appearance, directions = self.gen.enc.net_app(signed(source)), self.gen.directions()
        return Encoding(appearance, self.gen.path(appearance.latent, directions), directions)

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
            BenchbedError: unknown transfer, frames of another size, or relative transfer without its initial frame.
        """
        path = self.driving_path(encoding, driving, initial_driving=initial_driving, transfer=transfer)
        return self.generate(encoding, path)

    @torch.no_grad()
    def driving_path(
        self,
        encoding: Encoding,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The path handed to the decoder, one `(style_dim,)` per driving frame.

        Source: LIA, equations 11 (absolute) and 12 (relative).
        """
        initial = initial_frame("lia", transfer, initial_driving)
        self._check_size(driving)
        driven = self._path_of(driving, encoding.directions)
        if initial is None:
            return driven
        self._check_size(initial)
        return driven - self._path_of(initial, encoding.directions) + encoding.path

    @torch.no_grad()
    def generate(self, encoding: Encoding, path: Tensor) -> Tensor:
        """The source at the end of given paths `(N, style_dim)`: frames `(N, 3, size, size)` in [0, 1].

        A path of zeros shows the source in the pose that all images share.
        """
        appearance = encoding.appearance.expand(len(path))
        return unsigned(self.gen.dec(appearance.latent + path, appearance.features))

    @torch.no_grad()
    def manipulate(self, encoding: Encoding, magnitudes: Tensor) -> Tensor:
        """The source in its own pose, moved along the motion directions by magnitudes `(N, M)`.

        Source: LIA's released code, linear manipulation (it sweeps one magnitude from -3 to 3).
        """
        return self.generate(encoding, encoding.path + along(encoding.directions, magnitudes))

    def _path_of(self, frames: Tensor, directions: Tensor | None) -> Tensor:
        return self.gen.path(self.gen.enc.net_app.latent(signed(frames)), directions)

    def _check_size(self, frames: Tensor) -> None:
        require_size("lia", frames, (self.config.size, self.config.size))


def build(*, checkpoint: Path | None, configuration: str | None) -> Lia:
    """LIA with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one; None reads it from the file.
    """
    return build_released("lia", Lia, lia_config, RELEASES, checkpoint, configuration)
