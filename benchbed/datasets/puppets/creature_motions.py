"""What creatures do: walk, trot, gallop, turn and rear, each drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchbed.datasets.puppets.draws import Draws
from benchbed.datasets.puppets.trajectory import (
    LIMBS,
    Motion,
    Trajectory,
    column,
    is_large_displacement,
    travel,
)


def draw_creature_motion(seed: str, index: int) -> Motion:
    """The motion of a seed text for four-legged creatures."""
    draws = Draws(seed)
    trajectory = Trajectory(draws)
    kind = draws.choice(tuple(_KINDS))
    _KINDS[kind](trajectory)
    trajectory.sway(5.0, "tilt", "head_roll", "head_yaw")
    trajectory.add("tail_raise", draws.uniform(-10, 50), 25.0, *trajectory.beat(1.0, 2.0))
    trajectory.add("tail_swing", 0.0, 40.0, *trajectory.beat(1.0, 2.0))
    large = is_large_displacement(index)
    # four-legged creatures are longer than puppets are wide
    travel(trajectory, large, reach=0.7)
    return Motion(kind, large, trajectory.poses)


def _gait(trajectory: Trajectory, reach: float, cycles: float, shifts: tuple[float, ...]) -> None:
    draws = trajectory.draws
    phase = draws.uniform(0, 1)
    trajectory.add("yaw", draws.sign() * draws.uniform(48, 82), 8.0, *trajectory.beat())
    for limb, shift in zip(LIMBS, shifts, strict=True):
        bend = -1.0 if limb.endswith("front") else 1.0
        trajectory.add(f"{limb}_swing", 6.0 * -bend, reach, cycles, phase + shift)
        trajectory.add(f"{limb}_bend_swing", bend * 0.6 * reach, 0.6 * reach, cycles, phase + shift + 0.25)
    trajectory.add("y", 0.0, 0.012 + 0.0004 * reach, cycles, phase + 0.3)
    trajectory.add("head_pitch", 0.0, draws.uniform(8, 22), cycles, phase)


def _walk(trajectory: Trajectory) -> None:
    _gait(
        trajectory,
        trajectory.draws.uniform(22, 34),
        trajectory.draws.uniform(1.0, 1.6),
        (0.0, 0.5, 0.75, 0.25),
    )


def _trot(trajectory: Trajectory) -> None:
    _gait(
        trajectory, trajectory.draws.uniform(30, 44), trajectory.draws.uniform(1.2, 1.9), (0.0, 0.5, 0.5, 0.0)
    )


def _gallop(trajectory: Trajectory) -> None:
    _gait(
        trajectory,
        trajectory.draws.uniform(40, 55),
        trajectory.draws.uniform(1.1, 1.6),
        (0.0, 0.08, 0.45, 0.53),
    )
    trajectory.add("pitch", 0.0, 12.0, *trajectory.beat(1.1, 1.6))


def _turn(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    _gait(trajectory, draws.uniform(18, 26), draws.uniform(1.0, 1.5), (0.0, 0.5, 0.75, 0.25))
    facing = math.copysign(1.0, float(column(trajectory.poses, "yaw")[0]))
    trajectory.add("yaw", -25.0 * facing, 32.0, *trajectory.beat(0.6, 1.0))


def _rear(trajectory: Trajectory) -> None:
    """Stands up on the hind legs and comes down."""
    draws = trajectory.draws
    cycles, phase = trajectory.beat(0.7, 1.1)
    trajectory.add("yaw", draws.sign() * draws.uniform(50, 80), 6.0, *trajectory.beat())
    trajectory.add("pitch", -22.0, 22.0, cycles, phase)
    for side in ("left", "right"):
        trajectory.add(f"{side}_front_swing", 28.0, 34.0, *trajectory.beat(1.0, 1.6))
        trajectory.add(f"{side}_front_bend_swing", -40.0, 30.0, *trajectory.beat(1.0, 1.6))
        trajectory.add(f"{side}_back_swing", -8.0, 12.0, *trajectory.beat())
        trajectory.add(f"{side}_back_bend_swing", 12.0, 8.0, *trajectory.beat())
    trajectory.add("head_pitch", 5.0, 15.0, cycles, phase)


_KINDS: dict[str, Callable[[Trajectory], None]] = {
    "walk": _walk,
    "trot": _trot,
    "gallop": _gallop,
    "turn": _turn,
    "rear": _rear,
}
