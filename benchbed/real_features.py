"""Features of real frames, computed once per (dataset, evaluator) and shared by all methods and runs."""

from __future__ import annotations

import logging
import zipfile
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbed.errors import StoreError
from benchbed.files import cache_folder
from benchbed.frames import to_float
from benchbed.interfaces.dataset import ClipFrames, Dataset
from benchbed.interfaces.evaluator import Features, features_from_arrays, features_to_arrays
from benchbed.measuring import Instrument
from benchbed.tracking.store import file_name, save_arrays, write_atomically

log = logging.getLogger(__name__)

# Evaluators always see chunks of this many frames, counted from the clip's start, whatever the batch size of the
# method: so the features of a real frame have the same bits wherever they are computed, and identical
# frames score exactly zero.
CHUNK = 16
# Rows of features per chunk, where it is not one per frame.
ROWS = {"segments": 1}
# Features that are too large for the disk (perceptual ones) stay in memory for the next method up to this size.
# What came first is kept: with a set that does not fit, dropping the oldest would drop everything just before its use.
HELD_CLIPS = 2  # a case has a source clip and a target clip
HELD_BYTES = 2 << 30


@dataclass
class FeatureCounts:
    """How many frames' features were computed, and how many were found (in memory or in the disk cache)."""

    computed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    asked: set[tuple[str, str]] = field(default_factory=set)  # evaluator and clip: each is counted once

    def __str__(self) -> str:
        """`puppet-identity 384 frames computed, 0 found; ...`."""
        names = dict.fromkeys([*self.computed, *self.found])
        counts = (f"{name} {self.computed[name]} frames computed, {self.found[name]} found" for name in names)
        return "; ".join(counts)


class RealFeatures:
    """Real-frame features of one dataset, by chunk; kept in the disk cache where the evaluator's card allows it."""

    def __init__(self, dataset: Dataset, device: torch.device, folder: Path | None = None) -> None:
        self._dataset = dataset
        self._device = device
        self._folder = (folder or cache_folder()) / "features" / dataset.fingerprint[:16]
        self._held: OrderedDict[str, dict[str, list[Features]]] = OrderedDict()  # by clip and evaluator
        self._in_memory: dict[tuple[str, str, int], Features] = {}
        self._free_bytes = HELD_BYTES
        self._warned = False
        self.counts = FeatureCounts()

    def chunk(self, instrument: Instrument, clip: str, frames: ClipFrames, index: int) -> Features:
        """Features of the frames `[CHUNK * index, CHUNK * (index + 1))` of a clip.

        Args:
            frames: all frames of the clip, uint8 `[T, 3, H, W]` on any device; looked at where features are not held.
        """
        count = min(CHUNK, frames.shape[0] - CHUNK * index)
        if not instrument.card.data["cache"]:
            return self._uncached(instrument, clip, frames, index, count)
        held = self._held.setdefault(clip, {})
        self._held.move_to_end(clip)
        while len(self._held) > HELD_CLIPS:
            self._held.popitem(last=False)
        fingerprint = instrument.evaluator.fingerprint
        if fingerprint not in held:
            held[fingerprint] = self._load(instrument, clip, frames)
        elif (fingerprint, clip) not in self.counts.asked:
            self.counts.found[instrument.card.name] += frames.shape[0]
        self.counts.asked.add((fingerprint, clip))
        return held[fingerprint][index]

    def _uncached(
        self, instrument: Instrument, clip: str, frames: ClipFrames, index: int, count: int
    ) -> Features:
        key = (instrument.evaluator.fingerprint, clip, index)
        if key in self._in_memory:
            self.counts.found[instrument.card.name] += count
            return self._in_memory[key]
        features = instrument.evaluator(self._float_chunk(frames, index))
        self.counts.computed[instrument.card.name] += count
        size = _bytes(features)
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._in_memory[key] = features
        return features

    def _float_chunk(self, frames: ClipFrames, index: int) -> Tensor:
        return to_float(frames[CHUNK * index : CHUNK * (index + 1)].to(self._device))

    def _load(self, instrument: Instrument, clip: str, frames: ClipFrames) -> list[Features]:
        # The device type belongs to the name: CPU and GPU features differ by float noise, and identical frames
        # have to score exactly zero.
        path = (
            self._folder
            / f"{file_name(instrument.evaluator.fingerprint)}-{self._device.type}"
            / f"{file_name(clip)}.npz"
        )
        count = -(-frames.shape[0] // CHUNK)
        role = instrument.card.data["role"]
        if path.exists():
            try:
                with np.load(path) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                self.counts.found[instrument.card.name] += frames.shape[0]
                return [_cut(role, arrays, index, self._device) for index in range(count)]
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                log.warning(
                    "the cached features in '%s' cannot be read (%s); computing them again", path, error
                )
        chunks = [instrument.evaluator(self._float_chunk(frames, index)) for index in range(count)]
        self.counts.computed[instrument.card.name] += frames.shape[0]
        parts = [features_to_arrays(chunk) for chunk in chunks]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        try:
            write_atomically(path, lambda stream: save_arrays(stream, joined))
        except StoreError as error:
            if not self._warned:
                log.warning(
                    "real-frame features are not cached: %s (set BENCHBED_CACHE to another folder)", error
                )
                self._warned = True
        return chunks


def _cut(role: str, arrays: dict[str, np.ndarray], index: int, device: torch.device) -> Features:
    rows = ROWS.get(role, CHUNK)
    part = {name: array[rows * index : rows * (index + 1)] for name, array in arrays.items()}
    return features_from_arrays(role, part, device)


def _bytes(features: Features) -> int:
    """Size of the activations; the heads of perceptual features belong to the evaluator."""
    values = [value for name, value in vars(features).items() if name != "weights"]
    tensors = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
