"""Pairs of frames of one clip, as the FOMM family draws and augments them; a batch follows from seed and step."""

from __future__ import annotations

import multiprocessing
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset as ClipDataset
from benchbed.interfaces.dataset import RandomAccess
from benchbed.interfaces.training import TrainingSchedule

MEMORY_BUDGET = 4 << 30
# Beyond the budget, clips without random access are decoded whole; a worker keeps so many, as a batch may repeat one.
DECODED_CLIPS_KEPT = 4
EPOCH_STREAM = 0x65706F63  # in the place of a rank that nobody has: an epoch's order is apart from all draws


@dataclass(frozen=True)
class Draw:
    """One pair as drawn, before augmentation: two frame numbers of one clip, `first` <= `second`, and of further views."""

    clip: str
    first: int
    second: int
    references: tuple[int, ...] = ()


class Batch(NamedTuple):
    """Frames uint8 `[2 + R, B, 3, H, W]` (sources, driving frames, further views) and identities int64 `[B]`."""

    frames: Tensor
    identity: Tensor


class FrameStore:
    """Frames of the training clips, decoded once while they fit the memory budget, else whenever a pair needs them.

    Args:
        dataset: where the clips come from.
        clip_ids: the clips.
        memory_budget: bytes of frames to keep.

    Raises:
        ClipError: a clip cannot be decoded.
    """

    def __init__(self, dataset: ClipDataset, clip_ids: list[str], memory_budget: int = MEMORY_BUDGET) -> None:
        self._dataset = dataset
        self._kept: dict[str, Tensor] = {}
        self._recent: OrderedDict[str, Tensor] = OrderedDict()
        used = 0
        for clip_id in clip_ids:
            if used >= memory_budget:
                break
            frames = dataset.frames(clip_id).clone()
            used += frames.numel()
            self._kept[clip_id] = frames
        self.all_in_memory = len(self._kept) == len(clip_ids)

    def length(self, clip_id: str) -> int:
        """Frames of a clip."""
        if clip_id not in self._kept and isinstance(self._dataset, RandomAccess):
            return self._dataset.frame_count(clip_id)
        return len(self._whole(clip_id))

    def take(self, clip_id: str, numbers: list[int]) -> Tensor:
        """The frames of those numbers, uint8 `[N, 3, H, W]`."""
        if clip_id not in self._kept and isinstance(self._dataset, RandomAccess):
            return self._dataset.frames_at(clip_id, numbers)
        return self._whole(clip_id)[numbers]

    def _whole(self, clip_id: str) -> Tensor:
        if clip_id in self._kept:
            return self._kept[clip_id]
        if clip_id not in self._recent:
            self._recent[clip_id] = self._dataset.frames(clip_id)
            while len(self._recent) > DECODED_CLIPS_KEPT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(clip_id)
        return self._recent[clip_id]


class PairBatches(Dataset):
    """Batch number `step`, see `Batch`.

    Every clip (with `id_sampling`: every identity) comes once per epoch, in an order of its own; all that is
    drawn follows from (seed, step, rank), so a resumed training goes on with the pairs it would have had.

    Source: FOMM, published training: two frames drawn with replacement and sorted; with probability 0.5
    reversed in time and nothing else, otherwise with probability 0.5 mirrored; the same colour jitter on both.
    Further views (DiME) are mirrored and jittered as the pair is.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        schedule: TrainingSchedule,
        *,
        split: str,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        clips = dataset.clips(split)
        size = (schedule.resolution, schedule.resolution)
        if tuple(dataset.resolution) != size:
            raise BenchbedError(
                f"dataset '{dataset.name}' gives frames of {dataset.resolution[1]}x{dataset.resolution[0]}, "
                f"the training schedule wants {size[1]}x{size[0]}; open the dataset at resolution {size[0]}"
            )
        groups: dict[str, list[str]] = {}
        for clip in clips:
            groups.setdefault(clip.identity if schedule.id_sampling else clip.id, []).append(clip.id)
        self._groups = [groups[name] for name in sorted(groups)]
        self._identities = {clip.id: clip.identity for clip in clips}
        self._numbers = {name: number for number, name in enumerate(identities_of(dataset, split))}
        self._schedule = schedule
        self._seed, self._rank, self._ranks = seed, rank, ranks
        self.store = FrameStore(dataset, [clip.id for clip in clips], memory_budget)
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self._schedule.steps

    def draws(self, step: int) -> list[Draw]:
        """The pairs of a step, before augmentation."""
        return self._draw(step, self._generator(step))

    def __getitem__(self, step: int) -> Batch:
        generator = self._generator(step)
        draws = self._draw(step, generator)
        return self._batch(draws, [self._augment(self._views(draw), generator) for draw in draws])

    def plain(self, draws: list[Draw]) -> Batch:
        """Those pairs without augmentation."""
        return self._batch(draws, [self._views(draw) for draw in draws])

    def _batch(self, draws: list[Draw], views: list[Tensor]) -> Batch:
        identities = [self._numbers[self._identities[draw.clip]] for draw in draws]
        return Batch(torch.stack(views, dim=1), torch.tensor(identities))

    def _generator(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, step, self._rank])

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            while len(self._orders) >= 4:
                self._orders.pop(next(iter(self._orders)))
            # one order for all ranks: together they go through the clips once
            generator = np.random.default_rng([self._seed, epoch, EPOCH_STREAM])
            self._orders[epoch] = generator.permutation(len(self._groups))
        return self._orders[epoch]

    def _draw(self, step: int, generator: np.random.Generator) -> list[Draw]:
        batch = self._schedule.batch_size
        start = (step * self._ranks + self._rank) * batch
        draws = []
        for position in range(start, start + batch):
            epoch, place = divmod(position, len(self._groups))
            group = self._groups[self._epoch_order(epoch)[place]]
            clip_id = group[generator.integers(len(group))]
            first, second = np.sort(generator.integers(self.store.length(clip_id), size=2))
            references = self._draw_references(clip_id, int(first), int(second), generator)
            draws.append(Draw(clip_id, int(first), int(second), references))
        return draws

    def _draw_references(
        self, clip_id: str, first: int, second: int, generator: np.random.Generator
    ) -> tuple[int, ...]:
        """Frames that are neither of the pair nor each other, while the clip is long enough."""
        count = self._schedule.references
        if not count:
            return ()
        length = self.store.length(clip_id)
        others = [number for number in range(length) if number not in (first, second)] or list(range(length))
        return tuple(int(one) for one in generator.choice(others, count, replace=count > len(others)))

    def _views(self, draw: Draw) -> Tensor:
        return self.store.take(draw.clip, [draw.first, draw.second, *draw.references])

    def _augment(self, views: Tensor, generator: np.random.Generator) -> Tensor:
        reverse, mirror = generator.random(2) < 0.5
        if reverse and self._schedule.time_flip:
            views = torch.cat((views[:2].flip(0), views[2:]))
        elif mirror and self._schedule.horizontal_flip:
            views = views.flip(-1)
        return jitter(views, self._schedule.jitter, generator) if any(self._schedule.jitter) else views


def identities_of(dataset: ClipDataset, split: str) -> Sequence[str]:
    """The identities of a split, sorted: their places are their numbers in training."""
    return sorted({clip.identity for clip in dataset.clips(split)})


def jitter(
    frames: Tensor, ranges: tuple[float, float, float, float], generator: np.random.Generator
) -> Tensor:
    """Brightness, contrast, saturation and hue jitter, the same factors on all frames, in random order.

    Args:
        frames: uint8 `[N, 3, H, W]`; or float in [0, 1], which are changed on their device and not rounded.
        ranges: brightness, contrast, saturation factors are drawn from [1 - r, 1 + r] (not below 0), hue shifts
            from [-r, r] of a full turn; a range of 0 leaves that one out.
        generator: decides factors and order.

    Source: FOMM, published training: colour jitter of 8-bit images by Pillow, whose hue takes a ninth of the time that of
    tensors does.
    """
    from PIL import Image
    from torchvision.transforms import functional

    adjustments = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    factors = [generator.uniform(max(0.0, 1.0 - r), 1.0 + r) for r in ranges[:3]]
    factors.append(generator.uniform(-ranges[3], ranges[3]))
    order = [int(index) for index in generator.permutation(4) if ranges[index] > 0]

    def adjusted(image: Any) -> Any:
        for index in order:
            image = adjustments[index](image, float(factors[index]))
        return image

    if frames.is_floating_point():
        return adjusted(frames)
    images = [Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()) for frame in frames]
    return torch.stack([torch.from_numpy(np.array(adjusted(image))).permute(2, 0, 1) for image in images])


def step_loader(batches: PairBatches, start: int, *, workers: int, pin_memory: bool) -> DataLoader:
    """Batches from step `start` to the last one, prepared ahead by worker processes (0: in this one)."""
    # forked workers share the frames in memory; spawned ones would copy them
    fork = "fork" if workers and "fork" in multiprocessing.get_all_start_methods() else None
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, len(batches)),
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=4 if workers else None,
        multiprocessing_context=fork,
    )
