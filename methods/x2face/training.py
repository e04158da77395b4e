"""Training X2Face: two frames of one clip, the first embedded, the second driving, compared pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from benchbed.interfaces.training import TrainingRequest

from ..blocks.grids import sample
from ..training.pair_training import PairTraining, Reconstruction
from ..training.presets import preset_named
from .config import X2FaceConfig, x2face_config
from .driving_network import DrivingNetwork
from .embedding_network import EmbeddingNetwork
from .presets import PRESETS

# How far images are shrunk for the coarse photometric loss.
SHRINKING = (2, 4, 8)
# Of the batch norms' scales at the start.
SMALLEST_SCALE, LARGEST_SCALE = 0.02, 1.0


@dataclass(frozen=True)
class X2FaceReconstruction(Reconstruction):
    """A reconstruction and where it was sampled.

    Args:
        embedding: `(B, H, W, 2)`, where in the sources the embedded faces were sampled.
        driving: `(B, H, W, 2)`, where in the embedded faces the prediction was.
    """

    embedding: Tensor | None = None
    driving: Tensor | None = None


class X2FacePairs:
    """X2Face's part of training on pairs, see `pair_training.PairModel`.

    Args:
        config: describes both networks.
        configuration: in the published words.
        photometric: weight of the photometric loss.
        coarse: weight of the same loss on shrunk images; not published.
        still: both networks start by moving nothing, so that the first prediction is the source.
    """

    def __init__(
        self,
        config: X2FaceConfig,
        configuration: Mapping[str, Any],
        *,
        photometric: float = 1.0,
        coarse: float = 0.0,
        still: bool = False,
    ) -> None:
        embedding, driving = EmbeddingNetwork(config), DrivingNetwork(config)
        for network in (embedding, driving):
            network.apply(start_as_published)
            if still:
                start_moving_nothing(network)
        self.embedding = embedding
        self.driving = driving
        self.networks = nn.ModuleDict({"pix2pixUnwrapped": embedding, "pix2pixSampler": driving})
        self.configuration = configuration
        self.size_multiple = 2**config.num_downs
        self.align_corners = config.align_corners
        self.photometric = photometric
        self.coarse = coarse

    def reconstruct(self, source: Tensor, driving: Tensor) -> X2FaceReconstruction:
        """Sources in the pose of the driving frames.

        One view is its own mosaic whatever its confidence, which therefore has nothing to learn here; left alone it
        stays what it was, and several views are weighted alike.
        """
        embedded, positions = self.embedding(source), self.driving(driving)
        prediction = sample(embedded.faces, positions, align_corners=self.align_corners)
        return X2FaceReconstruction(prediction, embedding=embedded.positions, driving=positions)

    def losses(self, source: Tensor, driving: Tensor, made: X2FaceReconstruction) -> dict[str, Tensor]:
        """The photometric loss, mean |prediction - driving|, and the coarse one."""
        losses = {"photometric": self.photometric * (made.prediction - driving).abs().mean()}
        if self.coarse:
            losses["coarse"] = self.coarse * self.coarse_loss(source, driving, made)
        return losses

    def coarse_loss(self, source: Tensor, driving: Tensor, made: X2FaceReconstruction) -> Tensor:
        """The photometric loss of shrunk images along the same positions, mean over sizes.

        Sampling tells an offset only of its own pixel's neighbours; those of a shrunk image are further away.
        """
        if made.embedding is None or made.driving is None:
            raise TypeError("this loss is of a reconstruction with its positions")
        terms = []
        for factor in SHRINKING:
            image = functional.avg_pool2d(source, factor)
            for positions in (made.embedding, made.driving):
                shrunk = shrunk_positions(positions, factor, align_corners=self.align_corners)
                image = sample(image, shrunk, align_corners=False)
            terms.append((image - functional.avg_pool2d(driving, factor)).abs().mean())
        return torch.stack(terms).mean()

    def colour_path(self) -> list[nn.Module]:
        """None: colours are sampled, they pass through no block."""
        return []


def shrunk_positions(positions: Tensor, factor: int, *, align_corners: bool) -> Tensor:
    """Positions `(B, H, W, 2)` in images shrunk by averaging, `(B, H/factor, W/factor, 2)`.

    To be sampled with unaligned corners: the outer edges of an image stay where they are when it shrinks, the centres
    of its corner pixels do not.
    """
    shrunk = functional.avg_pool2d(positions.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1)
    if not align_corners:
        return shrunk
    height, width = positions.shape[1:3]
    return shrunk * shrunk.new_tensor([(width - 1) / width, (height - 1) / height])


@torch.no_grad()
def start_as_published(module: nn.Module) -> None:
    """The published first weights: Xavier's for convolutions, uniformly drawn scales without shifts for norms."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_normal_(module.weight)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, SMALLEST_SCALE, LARGEST_SCALE)
        nn.init.zeros_(module.bias)


@torch.no_grad()
def start_moving_nothing(network: EmbeddingNetwork | DrivingNetwork) -> None:
    """No offsets, and with them no logarithms of confidences, before training; the path there is untouched."""
    last = network.netG.model.up[2]
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)


def build_training(request: TrainingRequest) -> PairTraining:
    """X2Face under a preset; see `benchbed.interfaces.training.TrainingTaskBuilder`.

    Args:
        request: with preset `tiny` or `paper` (the VoxCeleb recipe, also called `vox-256`).

    Raises:
        UnknownNameError: no such preset.
        BenchbedError: the networks cannot halve that resolution as often as they need to.
    """
    chosen = preset_named("x2face", request.preset, PRESETS).resized(request.resolution, request.steps)
    recipe = chosen.recipe
    model = X2FacePairs(
        x2face_config(chosen.published),
        {**chosen.published, "size": recipe.schedule.resolution},
        photometric=chosen.photometric,
        coarse=chosen.coarse,
        still=recipe.additions.copier,
    )
    return PairTraining("x2face", chosen.name, model, recipe, request.perceptual)
