"""The means' tier: a systematic move within the noise of single cases is found, a random one is not."""

from __future__ import annotations

import numpy as np

from benchbed.drift.baseline import Part
from benchbed.drift.comparison import Report, compare
from benchbed.drift.floor import SAFETY, Floor, MethodFloor
from benchbed.drift.measurement import Measurement, MethodMeasurement, Scores, SectionMeasurement

VARIANT = "l1/frames@1"
CASES = 24
NOISE = 1e-4
ENVIRONMENT = {"libraries": {}, "processor": "x"}
KEY = {"evaluators": "", "protocol": "reconstruction@1", "dataset": "d", "split": "test"}


def measurement(values: np.ndarray) -> Measurement:
    scores = Scores("ok", "", float(values.mean()), tuple(values.tolist()), (16,) * CASES, (0,) * CASES)
    names = tuple(f"clip-{index}" for index in range(CASES))
    section = SectionMeasurement(
        names, names, names, {VARIANT: KEY}, {VARIANT: ""}, {"fomm": MethodMeasurement({VARIANT: scores}, {})}
    )
    return Measurement("cpu", {"s": section}, {"environment": ENVIRONMENT, "methods": {}})


def compared(after: np.ndarray, before: np.ndarray) -> Report:
    floors = {"s": {"fomm": MethodFloor({VARIANT: Floor(case=NOISE, mean=1e-6)})}}
    return compare(Part(ENVIRONMENT, measurement(before), floors, {}), measurement(after), {})


def test_every_case_a_little_in_one_direction_moves_the_mean_though_no_case():
    before = np.random.default_rng(0).uniform(0.02, 0.06, CASES)
    noise = np.random.default_rng(1).normal(0, NOISE / 4, CASES)
    (row,) = compared(before + NOISE / 2 + noise, before).moved
    assert not row.cases and row.mean_moved
    assert row.change is not None and row.change.low > 0


def test_cases_that_move_to_and_fro_within_their_noise_move_no_mean():
    before = np.random.default_rng(0).uniform(0.02, 0.06, CASES)
    to_and_fro = np.where(np.arange(CASES) % 2, 1, -1) * NOISE + 1e-5
    assert compared(before + to_and_fro, before).clean


def test_one_case_beyond_its_noise_is_found_and_named():
    before = np.random.default_rng(0).uniform(0.02, 0.06, CASES)
    after = before.copy()
    after[7] += 2 * SAFETY * NOISE
    (row,) = compared(after, before).moved
    assert [move.case for move in row.cases] == ["clip-7"]


def test_another_number_of_scored_frames_is_a_move():
    before = np.random.default_rng(0).uniform(0.02, 0.06, CASES)
    report = compared(before, before)
    assert report.clean
    after = measurement(before)
    (section,) = after.sections.values()
    own = section.methods["fomm"].scores[VARIANT]
    section.methods["fomm"].scores[VARIANT] = Scores(
        own.status, own.reason, own.mean, own.values, (15, *own.n[1:]), (1, *own.n_missing[1:])
    )
    floors = {"s": {"fomm": MethodFloor({VARIANT: Floor(case=NOISE, mean=1e-6)})}}
    (row,) = compare(Part(ENVIRONMENT, measurement(before), floors, {}), after, {}).moved
    assert [move.case for move in row.cases] == ["clip-0"]
