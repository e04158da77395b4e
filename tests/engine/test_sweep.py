"""Best of references: one-shot methods keep their best view per clip and metric, and the table says so."""

from __future__ import annotations

import pandas as pd
import pytest

from benchbed.aggregate import read_records
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.tables.render import render
from benchbed.tables.sweep import sweep_points
from benchbed.tracking.store import Store

METHODS = ("static", "flow")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    request = RunRequest(
        ("reference-sweep",), METHODS, metrics=("l1", "psnr", "fid"), device="cpu", limit=3, save_samples=0
    )
    plan = build_plan(request)
    result = run(plan, tmp_path_factory.mktemp("runs"), command=["test"], quiet=True)
    return plan, result, read_records(plan, Store(result.folder))


@pytest.mark.parametrize(("metric", "choose"), [("l1", min), ("psnr", max)])
def test_the_score_with_n_references_is_the_best_of_the_first_n_views_per_clip(swept, metric, choose):
    plan, result, raw = swept
    cases = pd.read_parquet(result.folder / "cases.parquet").set_index(
        ["method", "setting", "case", "metric"]
    )
    index = [measure.metric for measure in plan.sections[0].measures].index(metric)
    for kind in ("reconstruction", "animation"):
        family = [section for section in plan.sections if section.setting.startswith(kind)]
        if metric not in {measure.metric for measure in family[0].measures}:
            continue
        for method in METHODS:
            for position in (0, 3, 6):
                section = family[position]
                for number, case in enumerate(section.cases):
                    views = [
                        raw[view.name, method][number].rows[index].value for view in family[: position + 1]
                    ]
                    found = cases.loc[(method, section.setting, case.id, metric), "value"]
                    assert found == choose(views)


def test_frames_follow_the_view_that_was_chosen(swept):
    _, result, _ = swept
    keys = ["method", "setting", "case", "metric"]
    cases = pd.read_parquet(result.folder / "cases.parquet")
    frames = pd.read_parquet(result.folder / "frames.parquet").groupby(keys, sort=False)["value"].mean()
    l1 = cases[cases["metric"] == "l1"].set_index(keys)["value"]
    assert l1.to_numpy() == pytest.approx(frames[l1.index].to_numpy(), rel=1e-12)


def test_fid_is_the_best_of_the_runs_over_the_data_set(swept):
    _, result, _ = swept
    fid = result.aggregate[result.aggregate["metric"] == "fid"].set_index(["method", "setting"])["value"]
    for method in METHODS:
        values = [fid[method, f"reconstruction N_ref={count}"] for count in range(7)]
        assert values == sorted(values, reverse=True)


def test_best_scores_stand_in_parentheses_in_one_table_of_all_counts(swept):
    _, result, _ = swept
    table = next(one for one in result.tables if one.setting == "reconstruction")
    rows = {(row.group, row.method): row.cells[0].text for row in table.rows}
    assert list(rows)[:7] == [("static", f"N_ref={count}") for count in range(7)]
    for (_, count), text in rows.items():
        # without references a one-shot method has one view: its own score, a best of one
        assert text.startswith("(") or count == "N_ref=0"
    assert "best over the source and the references as sources" in render(table, "markdown")
    assert set(sweep_points(result.tables)) == {"reconstruction", "animation"}
    assert (result.folder / "tables" / "reference-sweep-reconstruction.png").stat().st_size > 10_000


def test_frames_that_served_as_references_are_scored_apart(swept):
    _, result, _ = swept
    leak = next(one for one in result.tables if one.title.startswith("Leak check"))
    row = next(row for row in leak.rows if (row.group, row.method) == ("static", "N_ref=1"))
    place = [column.id for column in leak.columns].index("l1/frames@1-references")
    # static repeats its source: where a view served as the source, its own frame has no error at all
    assert row.cells[place].value < row.cells[place + 1].value
