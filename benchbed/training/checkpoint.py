"""Files a training leaves: the resumable checkpoint and the weights to ship."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from benchbed.errors import CheckpointError
from benchbed.files import replacing

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from benchbed.interfaces.training import TrainingTask

FORMAT = 1
SPOKEN = {"ranks": "number of devices"}
LONGEST_VALUES = 80  # characters; a whole configuration would fill a page
_KEPT = (int, float, bool, str, type(None), list, dict, Tensor)


@dataclass(frozen=True)
class TrainingIdentity:
    """What has to be equal for a training to be resumed; `start` is None for random initial weights."""

    method: str
    dataset: str
    split: str
    seed: int
    schedule: dict[str, Any]
    configuration: str
    perceptual: str
    ranks: int
    start: str | None = None


def _settings(identity: dict[str, Any]) -> dict[str, Any]:
    """An identity as one level of names, the schedule's own among them."""
    rest = {name: value for name, value in identity.items() if name != "schedule" and value is not None}
    return {**identity["schedule"], **rest}


def save_checkpoint(
    path: Path,
    task: TrainingTask,
    optimizers: dict[str, Optimizer],
    schedulers: list[LRScheduler],
    *,
    step: int,
    losses: dict[str, float],
    identity: TrainingIdentity,
) -> None:
    """Write everything that `load_checkpoint` needs, to a temporary name, then rename.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    content = {
        "format": FORMAT,
        "identity": asdict(identity),
        "step": step,
        "losses": losses,
        "networks": task.networks.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
        "schedulers": [_plain(scheduler.state_dict()) for scheduler in schedulers],
    }
    try:
        with replacing(path) as temporary:
            torch.save(content, temporary)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}); free some space or choose another --out"
        ) from error


def load_checkpoint(
    path: Path,
    task: TrainingTask,
    optimizers: dict[str, Optimizer],
    schedulers: list[LRScheduler],
    *,
    identity: TrainingIdentity,
) -> tuple[int, dict[str, float]]:
    """Restore a training in place.

    Returns:
        The number of steps done, and the smoothed losses then.

    Raises:
        CheckpointError: the file is damaged, or belongs to a training with other settings (says which).
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged or no training checkpoint; start again with --fresh"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} was written by another version of benchbed; start again with --fresh")
    theirs, ours = _settings(content["identity"]), _settings(asdict(identity))
    different = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
    if different:
        name = different[0]
        values = f" ({theirs.get(name)} instead of {ours.get(name)})"
        raise CheckpointError(
            f"{path} belongs to a training with another {SPOKEN.get(name, name)}"
            f"{values if len(values) < LONGEST_VALUES else ''}; "
            "use the same options, another --out, or start again with --fresh"
        )
    task.networks.load_state_dict(content["networks"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(content["optimizers"][name])
    for scheduler, state in zip(schedulers, content["schedulers"], strict=True):
        scheduler.load_state_dict(state)
    return int(content["step"]), dict(content["losses"])


def _plain(state: Any) -> Any:
    """A scheduler's state as weights-only loading takes it: numbers in lists and dictionaries.

    Milestones (a Counter) and functions are left out: they are the task's, only the position is kept.
    """
    if isinstance(state, dict):
        return {
            key: _plain(value)
            for key, value in state.items()
            if isinstance(value, _KEPT) and type(value) is not Counter
        }
    return [_plain(value) for value in state] if isinstance(state, list) else state


def identities_digest(identities: Iterable[str]) -> str:
    """Sha256 of the sorted identities, one a line: tells whether two trainings saw the same people."""
    return hashlib.sha256("\n".join(sorted(set(identities))).encode()).hexdigest()
