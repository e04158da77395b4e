"""Best-frame search: the driving frame whose face is posed most like the source, to animate outwards from."""

from __future__ import annotations

import numpy as np

from .transfer import hull_area


def normalise_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks `(L, 2)` in pixels, centred at their mean, divided by the square root of their hull's area.

    Raises:
        BenchbedError: the landmarks have no hull.
    """
    centred = np.asarray(landmarks, dtype=np.float64) - np.mean(landmarks, axis=0, dtype=np.float64)
    return centred / np.sqrt(hull_area(centred))


def best_frame(source: np.ndarray, driving: np.ndarray) -> int:
    """Index of the driving frame most like the source, the first one on ties.

    Args:
        source: `(L, 2)`, landmarks of the source in pixels.
        driving: `(T, L, 2)`, landmarks of the driving frames.

    Source: FOMM's published demo (68 facial landmarks, sum of squared differences).
    """
    target = normalise_landmarks(source)
    return int(np.argmin([np.square(normalise_landmarks(frame) - target).sum() for frame in driving]))


def outward_passes(start: int, length: int) -> tuple[list[int], list[int]]:
    """Frame indices of two passes, both relative to frame `start`: forward to the end, backward to frame 0.

    The clip is `reversed(backward)` followed by `forward[1:]`.
    """
    return list(range(start, length)), list(range(start, -1, -1))
