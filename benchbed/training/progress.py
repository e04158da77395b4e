"""How far a training is: smoothed losses, speed, time left, share of time spent waiting for data."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.files import replacing

SMOOTHING = 0.98  # per step, about the last 50 of them


@dataclass(frozen=True)
class TrainingProgress:
    """One progress report.

    Args:
        step, steps: optimisation steps done and in all.
        losses: smoothed losses by name.
        steps_per_second: over this invocation.
        seconds_left: at this speed, or until the time limit if that is nearer.
        waiting_share: share of the time spent waiting for batches, 0 to 1.
    """

    step: int
    steps: int
    losses: dict[str, float]
    steps_per_second: float
    seconds_left: float
    waiting_share: float

    def line(self) -> str:
        """The report in one line."""
        losses = " ".join(f"{name} {value:.4f}" for name, value in self.losses.items())
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return (
            f"step {self.step} of {self.steps}  {losses}  {self.steps_per_second:.2f} steps/s  "
            f"{minutes}:{seconds:02d} left  {100 * self.waiting_share:.0f} % waiting for data"
        )


class LossLog:
    """Losses of every step: checked for NaN, smoothed, averaged per interval and streamed to a CSV file.

    Args:
        path: the CSV file; rows after `start`, of a training killed after its last checkpoint, are dropped.
        start: steps done so far.
        smoothed: the smoothed losses at `start`.
    """

    def __init__(self, path: Path, start: int, smoothed: dict[str, float]) -> None:
        self._path = path
        self._pending: list[tuple[int, list[str], Tensor]] = []
        self._sums: dict[str, float] = {}
        self._count = 0
        self.smoothed = dict(smoothed)
        self._rows = _rows_until(path, start) if start else []
        _rewrite(path, self._rows)

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """Keep the losses of a finished step on their device; `check` and `write_row` look at them."""
        names = list(losses)
        vector = torch.stack([losses[name].detach().float() for name in names])
        self._pending.append((step, names, vector))

    def check(self) -> None:
        """Look at everything added since the last check.

        Raises:
            BenchbedError: a loss is not finite; names it and its step.
        """
        if not self._pending:
            return
        values = torch.stack([vector for _, _, vector in self._pending]).double().cpu().tolist()
        for (step, names, _), row in zip(self._pending, values, strict=True):
            for name, value in zip(names, row, strict=True):
                if not math.isfinite(value):
                    raise BenchbedError(
                        f"training stopped: loss '{name}' is not finite at step {step}; the last good checkpoint "
                        "is kept, lower the learning rate or use fp32 and start again with --fresh"
                    )
                old = self.smoothed.get(name, value)
                share = max(1 - SMOOTHING, 1 / step)  # a plain mean at first, so that step 1 does not linger
                self.smoothed[name] = old + share * (value - old)
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._count += 1
        self._pending.clear()

    def write_row(self, step: int) -> None:
        """Check, then append the mean losses since the last row."""
        self.check()
        if not self._count:
            return
        row = {
            "step": str(step),
            **{name: f"{total / self._count:.6g}" for name, total in self._sums.items()},
        }
        new_file = not self._rows
        self._rows.append(row)
        self._sums.clear()
        self._count = 0
        with self._path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(self._rows[0]), extrasaction="ignore")
            if new_file:
                writer.writeheader()
            writer.writerow(row)


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        # a row that was being written when the training was killed lacks columns
        rows = [
            row for row in csv.DictReader(stream) if all(value not in (None, "") for value in row.values())
        ]
    return [row for row in rows if int(row["step"]) <= step]


def _rewrite(path: Path, rows: list[dict[str, str]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        if rows:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
