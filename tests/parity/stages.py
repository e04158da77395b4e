"""Running one recorded stage of any method and judging every output of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from .fixtures import Fixture, Stage, load_fixture

StageFunction = Callable[[Fixture, Stage, dict[str, Tensor]], Mapping[str, Tensor]]


def check_stage(
    functions: Mapping[str, StageFunction],
    fixture_path: Path,
    stage_name: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Fail where the stage is unknown, an output is not given, or one is out of its bounds; report the largest error."""
    fixture = load_fixture(fixture_path)
    stage = next(stage for stage in fixture.stages if stage.name == stage_name)
    function = functions.get(stage.kind)
    if function is None:
        pytest.fail(f"unknown stage kind '{stage.kind}' ({stage.name} of {fixture_path.name})")
    with torch.no_grad():
        results = function(fixture, stage, fixture.inputs(stage))
    absent = [output for output in stage.outputs if stage.role(output) not in results]
    if absent:
        pytest.fail(f"stage kind '{stage.kind}' does not give: {', '.join(absent)}")
    compared = [fixture.compare(output, results[stage.role(output)]) for output in stage.outputs]
    worst = max(compared, key=lambda comparison: comparison.share)
    largest = max(comparison.largest for comparison in compared)
    record_property("parity", (fixture.method, fixture.name, stage.name, worst.output, largest, worst.share))
    outside = [item for item in compared if not item.within]
    assert not outside, "; ".join(f"{i.output}: {i.largest:.2e}, {i.share:.2f} x its bound" for i in outside)
