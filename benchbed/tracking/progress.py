"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

LINE_EVERY_SECONDS = 15.0


class Progress:
    """What is being done, how far it is and how long it will still take; written to standard error.

    Args:
        total: units of work.
        quiet: write nothing.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self.total = total
        self.done = 0
        self._quiet = quiet
        self._started = self._spoke = time.monotonic()
        self._bar = None
        if not quiet and sys.stderr.isatty() and total:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ):
        if self._bar is not None:
            self._bar.stop()

    def advance(self, what: str) -> None:
        """One unit is done; `what` names what was worked on."""
        self.done += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=what)
            return
        now = time.monotonic()
        if not self._quiet and now - self._spoke >= LINE_EVERY_SECONDS:
            self._spoke = now
            left = (now - self._started) / self.done * (self.total - self.done)
            sys.stderr.write(f"{what}: {self.done} of {self.total}, about {left:.0f} s left\n")
            sys.stderr.flush()
