"""Encode a source once, animate it in batches, and check what comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchbed.frames import resize_tensor, to_float
from benchbed.interfaces.method import Method

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Rounding in reduced precision may leave [0, 1] by a hair; more than this is a method that returns another range.
RANGE_SLACK = 1e-2


class BadOutputError(ValueError):
    """A method returned something that is no batch of frames."""


@dataclass
class Stopwatch:
    """Seconds spent inside `with` blocks; waits for the device at both ends."""

    device: torch.device
    seconds: float = 0.0

    def __enter__(self) -> Stopwatch:
        self._wait()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
        self.seconds += time.perf_counter() - self._start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def check_generated(generated: Tensor, driving: Tensor) -> Tensor:
    """The generated frames as float32 in [0, 1], same shape as the driving ones.

    Raises:
        BadOutputError: wrong shape, NaN or infinite values, or values outside [0, 1].
    """
    if not isinstance(generated, Tensor):
        raise BadOutputError(
            f"animate returned {type(generated).__name__}, expected a tensor {tuple(driving.shape)}"
        )
    if generated.shape != driving.shape:
        raise BadOutputError(
            f"animate returned frames of shape {tuple(generated.shape)}, expected {tuple(driving.shape)}"
        )
    generated = generated.float()
    if not torch.isfinite(generated).all():
        count = int((~torch.isfinite(generated)).sum())
        raise BadOutputError(f"animate returned {count} NaN or infinite values")
    low, high = generated.min().item(), generated.max().item()
    if low < -RANGE_SLACK or high > 1 + RANGE_SLACK:
        raise BadOutputError(f"animate returned values in [{low:.3g}, {high:.3g}], expected [0, 1]")
    return generated.clamp(0, 1)


@torch.inference_mode()
def animate_clip(
    method: Method,
    source: Tensor,
    driving: Tensor,
    *,
    references: Tensor | None = None,
    transfer: str,
    batch_size: int,
    precision: str,
    stopwatch: Stopwatch,
    memory: AbstractContextManager,
    encoded: Callable[[Any], None] | None = None,
) -> Iterator[Tensor]:
    """Yield generated frames batch by batch, at the size of the driving frames.

    Args:
        source: `[1, 3, H, W]` in [0, 1] on the method's device.
        driving: uint8 `[T, 3, H, W]` on the method's device; converted batch by batch, so that a long clip is held
            once and in a quarter of the size.
        references: `[N_ref, 3, H, W]` or None.
        batch_size: driving frames per call of `animate`; changes nothing beyond float noise.
        precision: `fp32`, `bf16` or `fp16` (autocast).
        stopwatch: collects the time spent inside the method, resizing to its resolution included.
        memory: entered around every call of the method, for its peak memory.
        encoded: called once with the encoding of the source, outside the time that is measured.

    Raises:
        BadOutputError: see `check_generated`.
    """
    size = (driving.shape[-2], driving.shape[-1])
    native = method.resolution if method.resolution not in (None, size) else None
    dtype = AUTOCAST.get(precision)
    reduced = torch.autocast(driving.device.type, dtype) if dtype is not None else nullcontext()

    def fit(frames: Tensor) -> Tensor:
        return frames if native is None else resize_tensor(frames, native)

    with memory, stopwatch, reduced:
        encoding = method.encode(fit(source), None if references is None else fit(references))
        initial = fit(to_float(driving[:1]))
    if encoded is not None:
        encoded(encoding)
    for start in range(0, driving.shape[0], batch_size):
        batch = to_float(driving[start : start + batch_size])
        with memory, stopwatch, reduced:
            fitted = fit(batch)
            generated = method.animate(encoding, fitted, initial_driving=initial, transfer=transfer)
            generated = check_generated(generated, fitted)
            if native is not None:
                generated = resize_tensor(generated, size).clamp(0, 1)
        yield generated


def in_chunks(batches: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Re-cut batches of any length into chunks of `size` frames (the last may be shorter)."""
    held: list[Tensor] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.shape[0]
        while count >= size:
            joined = torch.cat(held) if len(held) > 1 else held[0]
            yield joined[:size]
            held = [joined[size:]] if joined.shape[0] > size else []
            count -= size
    if count:
        yield torch.cat(held) if len(held) > 1 else held[0]
