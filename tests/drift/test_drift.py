"""The main job against the recorded baseline: `nox -s drift` fails and names what moved.

After a wanted change: `nox -s drift -- --update-baseline`, and say why in the commit.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchbed.plan import RunRequest, build_plan
from benchbed.run import run

BASELINE = Path(__file__).resolve().parents[2] / "results" / "baselines" / "reconstruction-puppets.json"
# Between processors, summation order moves a score by a few 1e-6 of itself; FID, a difference of large traces, by more.
RELATIVE = {"fid": 1e-2}
DEFAULT_RELATIVE = 1e-3
ABSOLUTE = 1e-4


@pytest.mark.drift
def test_no_number_of_the_main_job_has_moved(tmp_path, request):
    plan = build_plan(RunRequest(protocols=("reconstruction",), methods=(), device="cpu", save_samples=0))
    result = run(plan, tmp_path, command=["drift"], quiet=True)
    keys = {key.variant: key for section in plan.sections for key in section.keys.values()}
    measured = {
        f"{row.method} {row.variant}": {
            "value": repr(row.value),
            "status": row.status,
            "evaluators": keys[row.variant].evaluators,
            "dataset": keys[row.variant].dataset,
        }
        for row in result.aggregate.itertuples()
    }
    if request.config.getoption("--update-baseline"):
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(measured, indent=1) + "\n")
    baseline = json.loads(BASELINE.read_text())
    assert measured.keys() == baseline.keys()
    moved = []
    for name, expected in baseline.items():
        found = measured[name]
        if (found["status"], found["evaluators"], found["dataset"]) != (
            expected["status"],
            expected["evaluators"],
            expected["dataset"],
        ):
            moved.append(f"{name}: not comparable any more: {expected} -> {found}")
            continue
        old, new = float(expected["value"]), float(found["value"])
        relative = RELATIVE.get(name.split()[1].split("/")[0], DEFAULT_RELATIVE)
        if not (
            old == new or (old != old and new != new) or abs(new - old) <= ABSOLUTE + relative * abs(old)
        ):
            moved.append(f"{name}: {old:.6g} -> {new:.6g}")
    assert not moved, "\n".join(moved)
