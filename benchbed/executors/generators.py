"""What gives the generated frames of a case: a method's network, or (see `benchbed.external`) files made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from benchbed.errors import ClipError
from benchbed.generation import Stopwatch, animate_clip
from benchbed.interfaces.method import Method
from benchbed.interfaces.protocol import Case


class UnusableFramesError(ClipError):
    """Frames made elsewhere that cannot be scored; whoever asked for them lists all of these in one report."""


class Generator(Protocol):
    """Gives generated frames, case by case.

    Attributes:
        trained_on: as `benchbed.interfaces.method.Method` has it.
        parameters: of the method, None where nobody knows.
        timed: whether giving frames is the method's own work, so that speed and memory are the method's.
    """

    trained_on: str
    parameters: int | None
    timed: bool

    def frames(
        self,
        case: Case,
        source: Tensor,
        driving: Tensor,
        references: Tensor | None,
        *,
        stopwatch: Stopwatch,
        memory: AbstractContextManager,
        encoded: Callable[[Any], None] | None = None,
    ) -> Iterator[Tensor]:
        """Generated frames `[N, 3, H, W]` in [0, 1], batch by batch, on the device of the driving frames.

        Args:
            source, driving, references: as `benchbed.generation.animate_clip` takes them.
            stopwatch, memory: entered around the method's own work.
            encoded: called once with the encoding of the source, where there is one.

        Raises:
            UnusableFramesError: there are none, or they do not fit the case.
        """
        ...

    def notes(self, dataset_name: str, resolution: tuple[int, int]) -> tuple[str, ...]:
        """What a reader of the table has to know of the frames given last."""
        ...


class NetworkGenerator:
    """The `Generator` of a method that runs here."""

    timed = True

    def __init__(self, name: str, method: Method, *, batch_size: int, precision: str) -> None:
        self.method = method
        self.trained_on = method.trained_on
        self.parameters: int | None = (
            sum(p.numel() for p in method.parameters()) if isinstance(method, torch.nn.Module) else 0
        )
        self._name = name
        self._batch_size = batch_size
        self._precision = precision

    def frames(
        self,
        case: Case,
        source: Tensor,
        driving: Tensor,
        references: Tensor | None,
        *,
        stopwatch: Stopwatch,
        memory: AbstractContextManager,
        encoded: Callable[[Any], None] | None = None,
    ) -> Iterator[Tensor]:
        """See `Generator.frames`."""
        return animate_clip(
            self.method,
            source,
            driving,
            references=references,
            transfer=case.transfer,
            batch_size=self._batch_size,
            precision=self._precision,
            stopwatch=stopwatch,
            memory=memory,
            encoded=encoded,
        )

    def notes(self, dataset_name: str, resolution: tuple[int, int]) -> tuple[str, ...]:
        """Resizing, training data and conventions of the method."""
        notes = []
        method, name = self.method, self._name
        if method.resolution not in (None, resolution):
            (h, w), (height, width) = method.resolution, resolution
            notes.append(
                f"{name} was trained at {w}x{h}: frames were resized to it and its output back to {width}x{height}"
            )
        if method.trained_on not in ("none", dataset_name):
            notes.append(f"{name} was trained on {method.trained_on}, not on {dataset_name}")
        if method.conventions:
            settings = ", ".join(f"{key}={value}" for key, value in method.conventions.items())
            notes.append(f"{name} ran with {settings}")
        return tuple(notes)
