"""Peak memory of the method under test, as exactly as the system tells."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


class MemoryMeter:
    """Peak memory inside `with` blocks.

    On CUDA: bytes allocated on the device at most. On the CPU (Linux): the largest resident set inside the
    blocks, less the resident set when the meter was made, so make it before the method is built. Elsewhere None.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._floor = _resident("VmRSS")
        self.peak: int | None = None

    def __enter__(self) -> MemoryMeter:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif CLEAR.exists():
            try:
                CLEAR.write_text("5")  # resets VmHWM, see proc(5)
                self._resettable = True
            except OSError:
                self._resettable = False
        return self

    def __exit__(self, *_: object) -> None:
        now: int | None = None
        if self._device.type == "cuda":
            now = torch.cuda.max_memory_allocated(self._device)
        elif self._floor is not None and getattr(self, "_resettable", False):
            high = _resident("VmHWM")
            now = None if high is None else max(0, high - self._floor)
        if now is not None:
            self.peak = now if self.peak is None else max(self.peak, now)


def _resident(field: str) -> int | None:
    if not STATUS.exists():
        return None
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None
