"""Pose space: what a pose consists of, how poses add up, and how seeded smooth trajectories are put together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchbed.datasets.puppets.draws import Draws

CLIP_LENGTH = 16
LARGE_DISPLACEMENT_EVERY = 3
LIMBS = ("left_front", "right_front", "left_back", "right_back")
LIMB_ANGLES = ("raise", "swing", "bend_raise", "bend_swing")
# root position and size first, then angles in degrees
POSE = (
    "x", "y", "size", "tilt", "yaw", "roll", "pitch", "head_roll", "head_yaw", "head_pitch",
    "tail_raise", "tail_swing",
    *(f"{limb}_{angle}" for limb in LIMBS for angle in LIMB_ANGLES),
)  # fmt: skip
_COLUMN = {name: index for index, name in enumerate(POSE)}


@dataclass(frozen=True)
class Motion:
    """Poses over time.

    Args:
        kind: what is performed, for example `walk`.
        large_displacement: whether the figure travels far across the frame.
        poses: float64 `(CLIP_LENGTH, len(POSE))`. Root position is an offset in shares of the frame's
            side, size a factor's difference from 1, angles in degrees; so poses can be added and subtracted.
    """

    kind: str
    large_displacement: bool
    poses: np.ndarray


def column(poses: np.ndarray, name: str) -> np.ndarray:
    """One named coordinate over time, `(T,)`."""
    return poses[:, _COLUMN[name]]


def is_large_displacement(index: int) -> bool:
    """Whether a motion travels far: every third one does."""
    return index % LARGE_DISPLACEMENT_EVERY == 1


def continue_from(first: np.ndarray, driving: np.ndarray) -> np.ndarray:
    """Relative transfer in pose space: the driving poses' change since their first frame, added to a pose.

    Args:
        first: `(len(POSE),)` the source's pose.
        driving: `(T, len(POSE))`.
    """
    return first + (driving - driving[0])


class Trajectory:
    """Poses built up from waves per coordinate; later calls add to earlier ones.

    Args:
        draws: where the motion takes its random numbers from.
    """

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.time = np.arange(CLIP_LENGTH) / CLIP_LENGTH
        self.poses = np.zeros((CLIP_LENGTH, len(POSE)))

    def add(
        self, name: str, base: float, amplitude: float = 0.0, cycles: float = 1.0, phase: float = 0.0
    ) -> None:
        """Add `base + amplitude * sine` to a coordinate; `cycles` per clip, `phase` in cycles."""
        wave = np.sin(2 * math.pi * (cycles * self.time + phase))
        self.poses[:, _COLUMN[name]] += base + amplitude * wave

    def sway(self, strength: float, *names: str) -> None:
        """Small independent waves, so that nothing stands quite still."""
        for name in names:
            self.add(name, 0.0, strength * self.draws.uniform(0.4, 1.0), *self.beat())

    def beat(self, low: float = 0.7, high: float = 1.3) -> tuple[float, float]:
        """Random cycles per clip and phase."""
        return self.draws.uniform(low, high), self.draws.uniform(0, 1)


def travel(trajectory: Trajectory, large: bool, reach: float = 1.0) -> None:
    """A step to the side, or a sweep (scaled by `reach`) across the frame with leaps and leaning."""
    draws = trajectory.draws
    if not large:
        trajectory.add(
            "x", draws.uniform(-0.03, 0.03), draws.uniform(0.025, 0.05), *trajectory.beat(0.6, 1.1)
        )
        trajectory.add(
            "size", draws.uniform(-0.06, 0.04), draws.uniform(0.0, 0.04), *trajectory.beat(0.5, 1.0)
        )
        return
    # starts near one side (sine of -90 degrees) and reaches the other
    trajectory.add(
        "x", 0.0, draws.sign() * reach * draws.uniform(0.14, 0.19), draws.uniform(0.5, 0.85), -0.25
    )
    trajectory.add("y", 0.0, draws.uniform(0.02, 0.05), *trajectory.beat(1.0, 2.0))
    trajectory.add("tilt", 0.0, draws.uniform(8.0, 18.0), *trajectory.beat(0.6, 1.0))
    trajectory.add("size", -0.10, draws.uniform(0.03, 0.10), *trajectory.beat(0.5, 0.9))
