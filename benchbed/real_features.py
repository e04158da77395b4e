"""Features of real frames, computed once per (dataset, evaluator) and shared by all methods and runs."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbed.errors import StoreError
from benchbed.frames import to_float
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.evaluator import Features, features_from_arrays, features_to_arrays
from benchbed.measuring import Instrument
from benchbed.tracking.store import file_name, save_arrays, write_atomically

log = logging.getLogger(__name__)

# Evaluators always see chunks of this many frames, counted from the clip's start, whatever the batch size of the
# method: so the features of a real frame have the same bits wherever they are computed, and identical
# frames score exactly zero.
CHUNK = 16


def cache_folder() -> Path:
    """`$BENCHBED_CACHE`, else the user's cache folder."""
    configured = os.environ.get("BENCHBED_CACHE")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "benchbed"


class RealFeatures:
    """Real-frame features of one dataset, by chunk; kept in the disk cache where the evaluator's card allows it."""

    def __init__(self, dataset: Dataset, device: torch.device, folder: Path | None = None) -> None:
        self._dataset = dataset
        self._device = device
        self._folder = (folder or cache_folder()) / "features" / dataset.fingerprint[:16]
        self._held: dict[tuple[str, str], list[Features]] = {}
        self._held_clip = ""
        self._warned = False

    def chunk(self, instrument: Instrument, clip: str, frames: Tensor, index: int) -> Features:
        """Features of the frames `[CHUNK * index, CHUNK * (index + 1))` of a clip.

        Args:
            frames: all frames of the clip, uint8 `[T, 3, H, W]` on any device.
        """
        if not instrument.card.data["cache"]:
            return instrument.evaluator(self._float_chunk(frames, index))
        if clip != self._held_clip:
            self._held.clear()
            self._held_clip = clip
        key = (instrument.evaluator.fingerprint, clip)
        if key not in self._held:
            self._held[key] = self._load(instrument, clip, frames)
        return self._held[key][index]

    def _float_chunk(self, frames: Tensor, index: int) -> Tensor:
        return to_float(frames[CHUNK * index : CHUNK * (index + 1)].to(self._device))

    def _load(self, instrument: Instrument, clip: str, frames: Tensor) -> list[Features]:
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
                return [_cut(role, arrays, index, self._device) for index in range(count)]
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                log.warning(
                    "the cached features in '%s' cannot be read (%s); computing them again", path, error
                )
        chunks = [instrument.evaluator(self._float_chunk(frames, index)) for index in range(count)]
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
    part = {name: array[CHUNK * index : CHUNK * (index + 1)] for name, array in arrays.items()}
    return features_from_arrays(role, part, device)
