"""How far things move: key-point displacement between the source frame and every driving frame."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.evaluator import KeypointFeatures
from benchbed.measuring import Instrument
from benchbed.real_features import CHUNK, RealFeatures
from benchbed.scoring import RealClip


@dataclass(frozen=True)
class MotionTrack:
    """Displacement per driving frame.

    Args:
        pixels: float64 `(T,)`, mean distance over the points known in both frames; NaN where they share none. Empty
            where nothing knows the points.
        measured_with: `exact`, or the name of the evaluator that found the points; empty where nothing knows them.
    """

    pixels: np.ndarray
    measured_with: str


def motion_track(
    dataset: Dataset,
    source: RealClip,
    source_frame: int,
    driving: RealClip,
    points: Instrument | None,
    real: RealFeatures,
) -> MotionTrack:
    """Displacement of the key points between a source frame and every frame of a driving clip.

    Exact points where the data set knows them, else those that the evaluator finds on the real frames.
    """
    known = dataset.keypoints(source.id), dataset.keypoints(driving.id)
    if known[0] is not None and known[1] is not None:
        first, moved = known[0], known[1]
        return MotionTrack(
            displacement(
                first.positions[source_frame], first.visible[source_frame], moved.positions, moved.visible
            ),
            "exact",
        )
    if points is None:
        return MotionTrack(np.empty(0), "")
    start, visible = _found(points, source, real)
    positions, present = _found(points, driving, real)
    return MotionTrack(
        displacement(start[source_frame], visible[source_frame], positions, present), points.card.name
    )


def displacement(
    start: np.ndarray, start_known: np.ndarray, positions: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Mean Euclidean distance per frame, pixels, float64 `(T,)`.

    Args:
        start, start_known: `(K, 2)`, `(K,)`: points of the source frame.
        positions, known: `(T, K, 2)`, `(T, K)`: points of the driving frames.
    """
    distances = np.linalg.norm(positions.astype(np.float64) - start, axis=-1)
    distances[~(known & start_known)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # frames that share no point are NaN: that is the answer
        return np.nanmean(distances, axis=1)


def _found(instrument: Instrument, clip: RealClip, real: RealFeatures) -> tuple[np.ndarray, np.ndarray]:
    chunks: list[Tensor] = []
    found: list[Tensor] = []
    for index in range(-(-clip.frames.shape[0] // CHUNK)):
        features = real.chunk(instrument, clip.id, clip.frames, index)
        if not isinstance(features, KeypointFeatures):
            raise TypeError(f"{instrument.card.name} gives no key points")
        chunks.append(features.positions)
        found.append(features.found)
    return (
        np.concatenate([chunk.cpu().numpy() for chunk in chunks]),
        np.concatenate([flags.cpu().numpy() for flags in found]),
    )
