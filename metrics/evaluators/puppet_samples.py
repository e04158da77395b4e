"""Training frames of the puppet evaluators: rendering them once, and the augmentation of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset

from .puppet_layers import NETWORK_SIZE

CLIP_ID = re.compile(r"(?P<split>[^/]+)/(?P<character>[^-/]+)-(?P<motion>[^-/]+)")


@dataclass(frozen=True)
class PuppetSamples:
    """Frames with what is known of them.

    Args:
        frames: uint8 `[N, 3, 64, 64]`.
        positions: float32 `[N, K, 2]`, (x, y) in pixels.
        visible: bool `[N, K]`.
        identity: int64 `[N]`, index into `identities`.
        clip: int64 `[N]`, index of the clip a frame was taken from.
        identities: names of the characters.
    """

    frames: Tensor
    positions: Tensor
    visible: Tensor
    identity: Tensor
    clip: Tensor
    identities: tuple[str, ...]

    def subset(self, chosen: Tensor | slice) -> PuppetSamples:
        """The samples of a mask, an index `[M]` or a slice."""
        return PuppetSamples(
            self.frames[chosen],
            self.positions[chosen],
            self.visible[chosen],
            self.identity[chosen],
            self.clip[chosen],
            self.identities,
        )


def clip_parts(dataset: Dataset, split: str) -> tuple[list[str], list[str]]:
    """The characters and the motions of a split, each once, in the order of its clips.

    Raises:
        BenchbedError: the clip ids are not `split/character-motion`, so nothing can be crossed.
    """
    matches = [CLIP_ID.fullmatch(clip.id) for clip in dataset.clips(split)]
    if None in matches:
        raise BenchbedError(
            f"the dataset {dataset.name} cannot train a puppet evaluator: its clips are not named "
            "split/character-motion; use puppets"
        )
    found = [match for match in matches if match is not None]
    characters = list(dict.fromkeys(match["character"] for match in found))
    return characters, list(dict.fromkeys(match["motion"] for match in found))


def crossed_ids(dataset: Dataset, split: str, *, motions_each: int, seed: int) -> list[str]:
    """Ids in which every character of a split performs that many of its motions, drawn by seed."""
    characters, motions = clip_parts(dataset, split)
    generator = np.random.Generator(np.random.PCG64(seed))
    count = min(motions_each, len(motions))
    return [
        f"{split}/{character}-{motions[motion]}"
        for character in characters
        for motion in generator.permutation(len(motions))[:count]
    ]


def render(
    dataset: Dataset,
    clip_ids: list[str],
    *,
    every: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> PuppetSamples:
    """Draw clips and keep every n-th frame with its exact key points.

    Raises:
        BenchbedError: the dataset does not know exact key points, or its frames are not 64x64.
    """
    if dataset.resolution != (NETWORK_SIZE, NETWORK_SIZE):
        raise BenchbedError(
            f"the puppet evaluators are trained at {NETWORK_SIZE} pixels, {dataset.name} was opened at "
            f"{dataset.resolution[0]}x{dataset.resolution[1]}; open it with --resolution {NETWORK_SIZE}"
        )
    names = [dataset.clip(clip_id).identity for clip_id in clip_ids]
    identities = tuple(dict.fromkeys(names))
    frames, positions, visible, identity, clip = [], [], [], [], []
    for index, clip_id in enumerate(clip_ids):
        known = dataset.keypoints(clip_id)
        if known is None:
            raise BenchbedError(
                f"{dataset.name} knows no exact key points; train puppet evaluators on puppets"
            )
        # A different phase per clip, so that every frame number occurs.
        kept = slice(index % every, None, every)
        drawn = dataset.frames(clip_id)[kept]
        frames.append(drawn)
        positions.append(torch.as_tensor(known.positions[kept], dtype=torch.float32))
        visible.append(torch.as_tensor(known.visible[kept], dtype=torch.bool))
        identity.append(torch.full((len(drawn),), identities.index(names[index])))
        clip.append(torch.full((len(drawn),), index))
        if index % 100 == 99:
            progress(f"drew {index + 1} of {len(clip_ids)} clips")
    return PuppetSamples(
        torch.cat(frames),
        torch.cat(positions),
        torch.cat(visible),
        torch.cat(identity),
        torch.cat(clip),
        identities,
    )


@dataclass(frozen=True)
class Augmentation:
    """Largest strengths, each drawn uniformly per frame.

    Args:
        shift, rotation, scale: pixels, radians, share of the size.
        gain, offset: colour gain per channel (1 +- gain) and brightness offset.
        blur, noise: blur radius in pixels (in half of the frames) and standard deviation of noise (likewise).
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    gain: float = 0.0
    offset: float = 0.0
    blur: float = 0.0
    noise: float = 0.0


def augment(
    frames: Tensor, positions: Tensor, strength: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Moved, recoloured and degraded frames `[N, 3, H, W]` in [0, 1], and the moved positions `[N, K, 2]`.

    No mirror images: a puppet's left and right limbs are marked, mirroring would exchange the marks.
    """

    def drawn(*shape: int) -> Tensor:
        return torch.rand(len(frames), *shape, generator=generator) * 2.0 - 1.0

    frames, positions = _moved(frames, positions, strength, drawn)
    frames = frames * (1.0 + strength.gain * drawn(3, 1, 1)) + strength.offset * drawn(1, 1, 1)
    frames = blurred(frames, (strength.blur * drawn()).clamp(min=0.0))
    sigma = (strength.noise * drawn(1, 1, 1)).clamp(min=0.0)
    frames = frames + sigma * torch.randn(frames.shape, generator=generator)
    return frames.clamp(0.0, 1.0), positions


def blurred(frames: Tensor, radius: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation per frame `[N]`, pixels; radius 0 changes nothing."""
    offsets = torch.arange(-4, 5, dtype=frames.dtype)
    kernel = torch.exp(-0.5 * (offsets / radius.clamp(min=1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n, channels, height, width = frames.shape
    weight = kernel.repeat_interleave(channels, dim=0)
    maps = functional.pad(frames.reshape(1, n * channels, height, width), (4, 4, 4, 4), mode="replicate")
    maps = functional.conv2d(maps, weight[:, None, :, None], groups=n * channels)
    maps = functional.conv2d(maps, weight[:, None, None, :], groups=n * channels)
    return maps.view(n, channels, height, width)


def _moved(
    frames: Tensor, positions: Tensor, strength: Augmentation, drawn: Callable[..., Tensor]
) -> tuple[Tensor, Tensor]:
    """Similarity transforms about the frame's centre; the border repeats outside."""
    if not (strength.shift or strength.rotation or strength.scale):
        return frames, positions
    size = frames.shape[-1]
    angle, zoom = strength.rotation * drawn(), 1.0 + strength.scale * drawn()
    shift = strength.shift * drawn(2)
    turn = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()], 1), torch.stack([angle.sin(), angle.cos()], 1)], 1
    )
    matrix = zoom[:, None, None] * turn  # centred input pixel -> centred output pixel
    centre = (size - 1) / 2
    moved = torch.einsum("nij,nkj->nki", matrix, positions - centre) + shift[:, None] + centre
    inverse = torch.linalg.inv(matrix)
    offset = -torch.einsum("nij,nj->ni", inverse, shift) * 2.0 / size
    grid = functional.affine_grid(
        torch.cat([inverse, offset[:, :, None]], 2), list(frames.shape), align_corners=False
    )
    return functional.grid_sample(frames, grid, padding_mode="border", align_corners=False), moved
