"""The golden self-test: an evaluator must give the numbers recorded for its weights on a fixed noise pattern."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchbed.errors import CheckpointError
from benchbed.weights.cards import UNVERIFIED, FileCard, card_path, read_card, write_card
from benchbed.weights.checking import CheckedFile, find_checked
from benchbed.weights.entries import weights_entry

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

log = logging.getLogger(__name__)

GOLDEN_SEED = 20240229
GOLDEN_SIZE = 64
GOLDEN_NUMBERS = 64
GOLDEN_TOLERANCE = 1e-3
"""Largest difference from a recorded golden number, as a share of the largest one. Processors differ by about
1e-6 of it (order of summation in float32); a changed or exchanged tensor moves the numbers by more."""
GPU_TOLERANCE = 1e-2
"""The same where either side ran on a GPU: convolutions may run in TF32, whose products carry 10 bits (5e-4), and
the rounding adds up over the layers."""


class Probed(Protocol):
    """A network whose golden output can be taken."""

    def probe(self, frames: Tensor) -> Tensor:
        """Numbers `[M]` in which every tensor of the network takes part."""
        ...


def golden_frames() -> Tensor:
    """The golden input: two frames of noise `[2, 3, 64, 64]` in [0, 1] from NumPy's PCG64, on the CPU."""
    import numpy as np
    import torch

    generator = np.random.Generator(np.random.PCG64(GOLDEN_SEED))
    return torch.from_numpy(generator.random((2, 3, GOLDEN_SIZE, GOLDEN_SIZE), dtype=np.float32))


def golden_numbers(evaluator: Probed, *, device: torch.device | str | None = None) -> np.ndarray:
    """Evenly spaced numbers of the evaluator's probe of the golden input, float64 `(64,)`.

    Args:
        device: where the evaluator runs; found by its tensors where it is not given.
    """
    return _spaced(_output(evaluator, device or device_of(evaluator)))


def same_numbers(recorded: np.ndarray, numbers: np.ndarray, *, tolerance: float = GOLDEN_TOLERANCE) -> bool:
    """Whether golden numbers agree, to a share of the largest recorded one; NaN never does."""
    import numpy as np

    if recorded.shape != numbers.shape:
        return False
    return bool(np.abs(numbers - recorded).max() <= tolerance * np.abs(recorded).max(initial=0.0))


def check_golden(evaluator: Any, names: Sequence[str], *, device: torch.device | str | None = None) -> None:
    """Compare an evaluator's golden output with the one recorded for its fingerprint, or record it.

    The numbers are recorded in the cards of all its weights files (`benchbed.weights.cards`); a file in
    $TORCH_HOME gets a card in the store. The catalogue's numbers hold for files that are not stand-ins. Bundled
    weights (`*.safetensors`) carry their golden output themselves and are checked as they are loaded.

    Args:
        evaluator: with `fingerprint` and `probe`, see `benchbed.interfaces.evaluator.Evaluator`.
        names: the weights its card names.
        device: where the evaluator runs; found by its tensors where it is not given.

    Raises:
        CheckpointError: the output is not finite, is constant, or is not the recorded one.
        WeightsMissingError: a weights file has gone.
    """
    import numpy as np

    names = [name for name in names if not name.endswith(".safetensors")]
    if not names:
        return
    place = str(device or device_of(evaluator))
    title = evaluator.fingerprint.partition(":")[0]
    output = _output(evaluator, place)
    if output.size == 0 or not np.isfinite(output).all() or np.ptp(output) == 0.0:
        kind = "constant" if output.size and np.isfinite(output).all() else "not finite"
        raise CheckpointError(
            f"evaluator '{title}' gives a {kind} golden output, so its weights are damaged or no trained network's; "
            f"get them again: benchbed weights pull {' '.join(names)}"
        )
    numbers = _spaced(output)
    for name in names:
        _check_one(evaluator.fingerprint, name, find_checked(name), numbers, place.partition(":")[0])


def device_of(evaluator: Any) -> torch.device:
    """The device of an evaluator: its `device`, or that of the first tensor found in it; the CPU where none is."""
    import torch

    if isinstance(stated := getattr(evaluator, "device", None), torch.device | str):
        return torch.device(stated)
    for part in (evaluator, *getattr(evaluator, "__dict__", {}).values()):
        if isinstance(part, torch.nn.Module):
            for tensor in (*part.parameters(), *part.buffers()):
                return tensor.device
        elif isinstance(part, torch.Tensor):
            return part.device
    return torch.device("cpu")


def _output(evaluator: Probed, device: torch.device | str) -> np.ndarray:
    import torch

    with torch.no_grad():
        return evaluator.probe(golden_frames().to(device)).flatten().double().cpu().numpy()


def _spaced(output: np.ndarray) -> np.ndarray:
    import numpy as np

    return output[np.linspace(0, output.size - 1, GOLDEN_NUMBERS).round().astype(int)]


def _check_one(fingerprint: str, name: str, file: CheckedFile, numbers: np.ndarray, device: str) -> None:
    import numpy as np

    card = read_card(name)
    if card is None or card.sha256 != file.sha256:
        card = _new_card(name, file)
    title = fingerprint.partition(":")[0]
    known: Mapping[str, list[float]] = {} if file.standing == UNVERIFIED else weights_entry(name).golden
    for recorded, where, source in (
        (card.golden.get(fingerprint), card.golden_device.get(fingerprint, "cpu"), card_path(name)),
        (known.get(title), "cpu", "the catalogue"),
    ):
        if recorded is None:
            continue
        tolerance = GOLDEN_TOLERANCE if device == where == "cpu" else GPU_TOLERANCE
        if not same_numbers(np.asarray(recorded, dtype=np.float64), numbers, tolerance=tolerance):
            raise CheckpointError(_mismatch(title, name, source))
    if fingerprint not in card.golden:
        _record(card, fingerprint, numbers, device)


def _mismatch(title: str, name: str, source: Path | str) -> str:
    otherwise = (
        "get it again"
        if isinstance(source, str)
        else f"if it is good, a library computes otherwise now: delete {source} to record anew"
    )
    return (
        f"evaluator '{title}' does not reproduce the golden output that {source} records for {name}, so it is not "
        f"used; check the file with `benchbed weights verify {name}`, and {otherwise}"
    )


def _new_card(name: str, file: CheckedFile) -> FileCard:
    return FileCard(
        name=name,
        file=file.path.name,
        sha256=file.sha256,
        size=file.path.stat().st_size,
        origin=f"found at {file.path}",
        standing=file.standing,
    )


def _record(card: FileCard, fingerprint: str, numbers: np.ndarray, device: str) -> None:
    try:
        write_card(
            replace(
                card,
                golden={**card.golden, fingerprint: [float(f"{number:.6g}") for number in numbers]},
                golden_device={**card.golden_device, fingerprint: device},
            )
        )
    except OSError as error:
        log.warning(
            "the golden output of %s is not recorded, %s cannot be written (%s); set BENCHBED_WEIGHTS to a folder "
            "that can be",
            fingerprint.partition(":")[0],
            card_path(card.name),
            error.strerror,
        )
