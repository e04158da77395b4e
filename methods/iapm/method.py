"""IAPM as a method of the bench: encode a source once, animate it with any number of driving frames."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError

from ..blocks.building import build_released
from ..blocks.frame_size import require_multiples
from .checkpoint import RELEASES, inference_networks
from .config import IapmConfig, iapm_config
from .generator import MaskedGenerator, Source
from .mask_generator import MaskGenerator, padded
from .perturbation import perturb


class Iapm(nn.Module):
    """Image Animation with Perturbed Masks (Shalev, Wolf, CVPR 2022).

    Args:
        config: describes both networks and the test-time path.
        networks: `mask_generator` and `generator`; freshly initialised ones where None.
        configuration: what the configuration is called.
        trained_on: name of the dataset the weights were trained on.
    """

    def __init__(
        self,
        config: IapmConfig,
        networks: nn.ModuleDict | None = None,
        *,
        configuration: str = "own",
        trained_on: str = "unknown",
    ) -> None:
        super().__init__()
        networks = inference_networks(config) if networks is None else networks
        masks, generator = networks["mask_generator"], networks["generator"]
        if not isinstance(masks, MaskGenerator) or not isinstance(generator, MaskedGenerator):
            raise TypeError("networks must hold a MaskGenerator and a MaskedGenerator")
        self.mask_generator = masks
        self.generator = generator
        self.config = config
        self.resolution = config.resolution
        self.trained_on = trained_on
        self.conventions = {
            "configuration": configuration,
            "driving_mask": "perturbed and refined" if config.perturbed else "as it is",
        }
        if config.perturbed:
            self.conventions["threshold"] = f"{config.generator.threshold:g}"

    @torch.no_grad()
    def encode(self, source: Tensor, references: Tensor | None = None) -> Source:
        """A source `(1, 3, H, W)` in [0, 1] with its mask; further views are not used.

        Raises:
            BenchbedError: the size is not one the networks can halve as often as they need to.
        """
        self._check_size(source)
        return Source.of(source, padded(self.mask_generator(source)))

    @torch.no_grad()
    def animate(
        self,
        encoding: Source,
        driving: Tensor,
        *,
        initial_driving: Tensor | None = None,
        transfer: str = "absolute",
    ) -> Tensor:
        """The source in the poses of the driving frames; see `benchbed.interfaces.method.Method`.

        Raises:
            BenchbedError: any transfer but absolute.
        """
        if transfer != "absolute":
            raise BenchbedError(
                f"iapm has no '{transfer}' transfer, because it has no key points to move; known: absolute"
            )
        self._check_size(driving)
        source = encoding.expand(len(driving))
        return self.generator(source, self.driving_mask(source, driving)).prediction

    def driving_mask(self, source: Source, driving: Tensor) -> Tensor:
        """The masks `(N, 1, h, w)` handed to the generator for driving frames `(N, 3, H, W)` of N sources."""
        mask = padded(self.mask_generator(driving))
        if not self.config.perturbed:
            return mask
        return self.generator.refine(source, perturb(mask, self.config.generator.threshold))

    def _check_size(self, frames: Tensor) -> None:
        require_multiples("iapm", frames, size_multiple(self.config))


def size_multiple(config: IapmConfig) -> int:
    """Both sides of every frame must be multiples of this many pixels."""
    masks, generator = config.mask_generator, config.generator
    return math.lcm(
        round(2**masks.hourglass.num_blocks / masks.scale_factor),
        round(2**generator.refinement.num_blocks / masks.scale_factor),
        2**generator.high.num_blocks,
    )


def build(*, checkpoint: Path | None, configuration: str | None) -> Iapm:
    """IAPM with the weights of a file, in eval mode on the CPU; see `build_released`.

    Args:
        checkpoint: safetensors of ours or a file that the published training wrote.
        configuration: an official one, optionally with `+perturbed`; None reads it from the file's metadata.
    """
    return build_released(
        "iapm",
        Iapm,
        iapm_config,
        RELEASES,
        checkpoint,
        configuration,
        wanted=(
            "its authors published none: train one (benchbed train --method iapm), or with their code and give it with "
            "--checkpoint iapm=FILE --configuration iapm=NAME"
        ),
    )
