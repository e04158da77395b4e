"""One check: measure or read, fit to the baseline, compare."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchbed.drift.arithmetic import arithmetic_values
from benchbed.drift.baseline import Baseline, Part, without_methods
from benchbed.drift.comparison import Report, compare
from benchbed.drift.consistency import inconsistencies
from benchbed.drift.measurement import read_measurement
from benchbed.drift.rerun import Way, rerun, restored_request
from benchbed.errors import BenchbedError
from benchbed.registry import card


def check_run(baseline: Baseline, folder: Path, *, methods: Sequence[str] = ()) -> Report:
    """Compare a finished run with a baseline.

    Args:
        methods: compare these only; empty for all.

    Raises:
        BenchbedError: the run or the baseline cannot be compared.
    """
    measured = read_measurement(folder)
    part = fitting_part(baseline, measured.device_kind, methods)
    return compare(part, measured, arithmetic_values(), inconsistent=inconsistencies(folder))


def check_again(
    baseline: Baseline,
    *,
    methods: Sequence[str] = (),
    device: str = "auto",
    checkpoints: dict[str, Path] | None = None,
    way: Way | None = None,
    out: Path | None = None,
    quiet: bool = True,
) -> Report:
    """Run what the baseline was made of, and compare.

    Args:
        methods: of these only; empty for all.
        device: as `benchbed run` takes it; its kind has to be one the baseline has a noise floor for.
        checkpoints: weights to use instead of the bundled ones, by method.
        way: of computing it, which changes nothing beyond noise.
        out: folder for the run; None: a temporary one.

    Raises:
        BenchbedError: the baseline has no part for the device, or does not fit what is there now.
    """
    for method in methods:
        card("method", method)
    changes: dict[str, Any] = {"device": device, "checkpoints": checkpoints or {}}
    if methods:
        changes["methods"] = tuple(methods)
    request = restored_request(baseline.request, **changes)
    fitting_part(baseline, _kind_of(device), methods)
    with tempfile.TemporaryDirectory(prefix="benchbed-check-") as temporary:
        folder = out or Path(temporary)
        measured = rerun(request, way or Way(), folder, quiet=quiet)
        part = fitting_part(baseline, measured.device_kind, methods)
        stored = folder / measured.provenance["run_id"]
        return compare(part, measured, arithmetic_values(), inconsistent=inconsistencies(stored))


def _kind_of(device: str) -> str:
    import torch

    from benchbed.plan import pick_device

    chosen = pick_device(device)
    return torch.cuda.get_device_name(chosen) if chosen.startswith("cuda") else chosen


def fitting_part(baseline: Baseline, kind: str, methods: Sequence[str] = ()) -> Part:
    """The baseline's part for a kind of device, with some methods only where any are named.

    Raises:
        BenchbedError: it has none, or none of the methods.
    """
    if kind not in baseline.parts:
        raise BenchbedError(
            f"the baseline has no noise floor for '{kind}', only for {', '.join(baseline.parts) or 'nothing'}; choose "
            "another --device, or measure one there with `benchbed check --update --reason TEXT`"
        )
    part = baseline.parts[kind]
    if not methods:
        return part
    known = {method for section in part.measured.sections.values() for method in section.methods}
    for method in methods:
        if method not in known:
            raise BenchbedError(
                f"method '{method}' is not in the baseline; it holds {', '.join(sorted(known))}"
            )
    return without_methods(part, methods)
