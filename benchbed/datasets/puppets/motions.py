"""What puppets do: walk, wave, dance, turn and the like, each drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable

from benchbed.datasets.puppets.draws import Draws
from benchbed.datasets.puppets.trajectory import Motion, Trajectory, is_large_displacement, travel


def draw_puppet_motion(seed: str, index: int) -> Motion:
    """The motion of a seed text for two-legged puppets."""
    draws = Draws(seed)
    trajectory = Trajectory(draws)
    kind = draws.choice(tuple(_KINDS))
    _KINDS[kind](trajectory)
    trajectory.sway(6.0, "roll", "head_roll", "head_yaw", "tilt")
    trajectory.sway(
        8.0, "left_front_raise", "right_front_raise", "left_front_bend_raise", "right_front_bend_raise"
    )
    large = is_large_displacement(index)
    travel(trajectory, large)
    return Motion(kind, large, trajectory.poses)


def _stand(trajectory: Trajectory) -> None:
    """Legs apart, knees giving a little."""
    draws = trajectory.draws
    cycles, phase = trajectory.beat(0.8, 1.5)
    for side in ("left", "right"):
        trajectory.add(f"{side}_back_raise", draws.uniform(8, 15), draws.uniform(2, 7), cycles, phase)
        trajectory.add(f"{side}_back_swing", 12.0, 12.0, cycles, phase)
        trajectory.add(f"{side}_back_bend_swing", -24.0, 24.0, cycles, phase + 0.5)


def _stride(trajectory: Trajectory, reach: float, cycles: float, phase: float) -> None:
    """Legs in opposite phase, the knee bending while its leg comes forward."""
    for side, shift in (("left", 0.0), ("right", 0.5)):
        trajectory.add(f"{side}_back_raise", 4.0)
        trajectory.add(f"{side}_back_swing", 8.0, reach, cycles, phase + shift)
        trajectory.add(f"{side}_back_bend_swing", -0.7 * reach, 0.7 * reach, cycles, phase + shift - 0.25)
    trajectory.add("y", 0.0, 0.012, 2 * cycles, phase)


def _walk(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    cycles, phase = trajectory.beat(1.0, 1.6)
    reach = draws.uniform(26, 44)
    trajectory.add("yaw", draws.sign() * draws.uniform(35, 75), 10.0, *trajectory.beat())
    _stride(trajectory, reach, cycles, phase)
    for side, shift in (("left", 0.5), ("right", 0.0)):
        trajectory.add(f"{side}_front_raise", 14.0)
        trajectory.add(f"{side}_front_swing", 5.0, 1.2 * reach, cycles, phase + shift)
        trajectory.add(f"{side}_front_bend_swing", 40.0, 18.0, cycles, phase + shift)


def _jumping_jack(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    cycles, phase = trajectory.beat(0.9, 1.6)
    trajectory.add("yaw", draws.uniform(-20, 20), 8.0, *trajectory.beat())
    for side in ("left", "right"):
        trajectory.add(f"{side}_front_raise", 85.0, draws.uniform(50, 66), cycles, phase)
        trajectory.add(f"{side}_front_bend_raise", 10.0, 14.0, cycles, phase)
        trajectory.add(f"{side}_back_raise", 18.0, draws.uniform(9, 15), cycles, phase)
    trajectory.add("y", 0.0, -0.025, cycles, phase)


def _wave(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    busy, idle = draws.choice((("left", "right"), ("right", "left")))
    trajectory.add("yaw", draws.uniform(-30, 30), 18.0, *trajectory.beat())
    trajectory.add(f"{busy}_front_raise", draws.uniform(95, 125), 28.0, *trajectory.beat(0.6, 1.2))
    trajectory.add(f"{busy}_front_bend_raise", 40.0, 42.0, *trajectory.beat(1.2, 2.0))
    trajectory.add(f"{idle}_front_raise", draws.uniform(30, 50), 18.0, *trajectory.beat())
    trajectory.add(f"{idle}_front_bend_raise", draws.choice((-85.0, 25.0)), 20.0, *trajectory.beat())
    trajectory.add("roll", 0.0, 10.0, *trajectory.beat())
    _stand(trajectory)


def _dance(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    trajectory.add("yaw", 0.0, draws.uniform(15, 45), *trajectory.beat())
    trajectory.add("roll", 0.0, draws.uniform(8, 18), *trajectory.beat(1.0, 1.6))
    for side in ("left", "right"):
        trajectory.add(
            f"{side}_front_raise", draws.uniform(50, 95), draws.uniform(35, 55), *trajectory.beat()
        )
        trajectory.add(f"{side}_front_swing", 10.0, 30.0, *trajectory.beat())
        trajectory.add(f"{side}_front_bend_raise", 20.0, draws.uniform(40, 70), *trajectory.beat(0.8, 1.5))
        trajectory.add(f"{side}_back_swing", 14.0, 14.0, *trajectory.beat())
    _stand(trajectory)


def _turn(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    trajectory.add(
        "yaw", 0.0, draws.sign() * draws.uniform(60, 78), draws.uniform(0.55, 0.95), draws.uniform(0, 1)
    )
    for side in ("left", "right"):
        trajectory.add(
            f"{side}_front_raise", draws.uniform(30, 80), draws.uniform(15, 30), *trajectory.beat()
        )
        trajectory.add(f"{side}_front_swing", draws.uniform(0, 30), 25.0, *trajectory.beat())
        trajectory.add(f"{side}_front_bend_swing", 30.0, 25.0, *trajectory.beat())
    _stand(trajectory)


def _fold_arms(trajectory: Trajectory) -> None:
    """Forearms sweep across the chest."""
    draws = trajectory.draws
    trajectory.add("yaw", draws.uniform(-20, 20), 25.0, *trajectory.beat())
    for side in ("left", "right"):
        trajectory.add(f"{side}_front_raise", 28.0, 12.0, *trajectory.beat())
        trajectory.add(f"{side}_front_swing", 32.0, 14.0, *trajectory.beat())
        trajectory.add(f"{side}_front_bend_raise", -80.0, draws.uniform(40, 60), *trajectory.beat(0.8, 1.4))
        trajectory.add(f"{side}_front_bend_swing", 25.0, 10.0, *trajectory.beat())
    _stand(trajectory)


def _kick(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    busy, idle = draws.choice((("left", "right"), ("right", "left")))
    cycles, phase = trajectory.beat(0.8, 1.3)
    trajectory.add("yaw", draws.uniform(-55, 55), 12.0, *trajectory.beat())
    trajectory.add(f"{busy}_back_raise", 25.0, 22.0, cycles, phase)
    trajectory.add(f"{busy}_back_swing", 30.0, 38.0, cycles, phase)
    trajectory.add(f"{busy}_back_bend_swing", -30.0, 30.0, cycles, phase + 0.3)
    trajectory.add(f"{idle}_back_raise", 5.0)
    for side in ("left", "right"):
        trajectory.add(f"{side}_front_raise", draws.uniform(50, 85), 30.0, cycles, draws.uniform(0, 1))
        trajectory.add(f"{side}_front_bend_swing", 30.0, 20.0, cycles, phase)
    trajectory.add("roll", 0.0, 10.0, cycles, phase + 0.5)


def _squat(trajectory: Trajectory) -> None:
    draws = trajectory.draws
    cycles, phase = trajectory.beat(0.9, 1.5)
    trajectory.add("yaw", draws.sign() * draws.uniform(15, 60), 8.0, *trajectory.beat())
    trajectory.add("y", 0.045, 0.045, cycles, phase)
    trajectory.add("pitch", 18.0, 18.0, cycles, phase)
    for side in ("left", "right"):
        trajectory.add(f"{side}_back_raise", 12.0, 5.0, cycles, phase)
        trajectory.add(f"{side}_back_swing", 38.0, 34.0, cycles, phase)
        trajectory.add(f"{side}_back_bend_swing", -62.0, 52.0, cycles, phase + 0.5)
        trajectory.add(f"{side}_front_raise", 25.0, 12.0, cycles, phase)
        trajectory.add(f"{side}_front_swing", 45.0, 45.0, cycles, phase)


_KINDS: dict[str, Callable[[Trajectory], None]] = {
    "walk": _walk,
    "jumping-jack": _jumping_jack,
    "wave": _wave,
    "dance": _dance,
    "turn": _turn,
    "fold-arms": _fold_arms,
    "kick": _kick,
    "squat": _squat,
}
