"""`benchbed compare`: what is paired, what is refused, and what is printed."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from benchbed.cli.compare import compare
from benchbed.comparing import DEFAULT_MARGIN, Margin, Margins, between, ranked_together, within
from benchbed.errors import BenchbedError
from benchbed.pairing import CaseScore, SetScore, pair
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.statistics import jackknife_influences
from benchbed.tables.comparison import comparison_csv, comparison_tables
from benchbed.tables.render import render
from benchbed.tracking.runs import StoredRun, open_run


def carried_out(out, *methods: str, **changes) -> StoredRun:
    settings = {"datasets": ("squares",), "metrics": ("l1", "psnr"), "device": "cpu", "save_samples": 0}
    plan = build_plan(RunRequest(("reconstruction",), methods, **{**settings, **changes}))
    return open_run(run(plan, out, command=["test"], quiet=True).folder)


@pytest.fixture
def squares(fakes, tmp_path) -> StoredRun:
    return carried_out(tmp_path, "static", "dimmed", "oracle")


def by_metric(found):
    return {each.metric: each for each in found}


# ---- pairing ----


def test_only_frames_that_both_sides_scored_are_paired():
    first = {"a": CaseScore("a", "a", np.array([1.0, math.nan, 3.0])), "b": CaseScore("b", "b", np.ones(3))}
    second = {
        "a": CaseScore("a", "a", np.array([2.0, 5.0, math.inf])),
        "b": CaseScore("b", "b", np.full(3, 2.5)),
        "c": CaseScore("c", "c", np.ones(3)),
    }
    over_frames = pair(first, second, reduction="frames")
    assert (over_frames.frames, over_frames.first, over_frames.second) == (4, 1.0, (2 + 3 * 2.5) / 4)
    assert over_frames.difference.value == pytest.approx((1 + 3 * 1.5) / 4)
    over_clips = pair(first, second, reduction="clips")
    assert over_clips.difference.value == pytest.approx((1 + 1.5) / 2)
    assert pair({}, second, reduction="frames").difference is None


def test_set_metrics_are_paired_by_what_each_group_adds():
    influences = [tuple(jackknife_influences(1.0, values)) for values in ([1.0, 1.2, 0.9], [1.1, 1.3, 1.0])]
    found = pair(SetScore(1.0, influences[0], 3), SetScore(3.0, influences[1], 3), reduction="set")
    # Both sides move alike: the difference has no error.
    assert found.difference.value == 2.0 and found.difference.error == pytest.approx(0, abs=1e-12)
    assert found.difference.p < 1e-6


# ---- one run ----


def test_methods_of_one_run_are_compared_with_the_first(squares):
    found = by_metric(within(squares, ["static", "oracle"], [], Margins()))
    rows = {row["metric"]: row for row in squares.records if row["method"] == "static"}
    l1 = found["l1"]
    assert l1.values == pytest.approx((rows["l1"]["value"], 0.0))
    assert l1.difference.value == pytest.approx(-rows["l1"]["value"])
    assert (l1.verdict, l1.frames, l1.difference.n_identities) == ("better", 160, 8)
    # All eight differences have one sign, by enumeration 2 of 2^8; the oracle's PSNR is infinite, so nothing is paired.
    assert l1.difference.p == l1.adjusted_p == 2 / 2**8
    assert found["psnr"].difference is None and "no frame was scored on both sides" in found["psnr"].reason


def test_the_other_way_round_the_verdict_is_the_opposite(squares):
    (found,) = within(squares, ["oracle", "static"], ["l1"], Margins())
    assert found.verdict == "worse" and found.difference.value > 0


def test_holm_covers_all_methods_and_metrics_of_the_command(squares):
    found = within(squares, ["static", "dimmed", "oracle"], [], Margins())
    tested = [each for each in found if each.difference is not None]
    assert len(tested) == 3
    smallest = min(tested, key=lambda each: each.difference.p)
    assert smallest.adjusted_p == pytest.approx(3 * smallest.difference.p)


def test_a_wide_margin_makes_methods_equivalent(squares):
    (found,) = within(squares, ["static", "oracle"], ["l1"], Margins(own={"l1": Margin(1.0, False)}))
    assert (found.verdict, found.margin) == ("equivalent", 1.0)


def test_the_default_margin_is_one_percent_of_the_first_value():
    assert DEFAULT_MARGIN.of(-20.0) == pytest.approx(0.2)
    assert str(DEFAULT_MARGIN) == "1 % of the first value"


def test_one_run_wants_two_methods_that_it_has(squares):
    with pytest.raises(BenchbedError, match=r"two methods or more; .*it has: static, dimmed, oracle"):
        within(squares, ["static"], [], Margins())
    with pytest.raises(BenchbedError, match=f"{squares.id} has no method 'fomm'; it has: static, dimmed"):
        within(squares, ["static", "fomm"], [], Margins())
    with pytest.raises(BenchbedError, match="has no metric 'lpips' of static; it has: l1, psnr"):
        within(squares, ["static", "oracle"], ["lpips"], Margins())
    with pytest.raises(BenchbedError, match=r"--margin lpips=.* is for a metric that is not compared here"):
        within(squares, ["static", "oracle"], ["l1"], Margins(own={"lpips": DEFAULT_MARGIN}))


# ---- two runs ----


def test_a_run_is_equivalent_to_itself_repeated(squares, tmp_path):
    again = carried_out(tmp_path / "again", "static", "dimmed", "oracle")
    found = between(squares, again, [], ["l1"], Margins())
    assert [each.method for each in found] == ["static", "dimmed", "oracle"]
    assert {(each.verdict, each.difference.value, each.difference.p) for each in found} == {
        ("equivalent", 0.0, 1.0)
    }


def test_another_resolution_is_refused_with_both_values(squares, tmp_path):
    other = carried_out(tmp_path, "static", resolution=64)
    with pytest.raises(BenchbedError) as refused:
        between(squares, other, [], [], Margins())
    lines = str(refused.value).splitlines()
    assert lines[0] == f"A ({squares.id}) and B ({other.id}) are not comparable, they differ in:"
    assert "  resolution (l1, psnr): 32x32 in A, 64x64 in B" in lines
    assert lines[-1] == "--force shows the numbers side by side, without a test"


def rewritten(found: StoredRun, out, **changes: str) -> StoredRun:
    """A copy of a run whose key of L1 says something else."""
    out.mkdir()
    for name in ("cases", "frames", "aggregate"):
        pd.read_parquet(found.folder / f"{name}.parquet").to_parquet(out / f"{name}.parquet")
    provenance = json.loads((found.folder / "run.json").read_text())
    for key in provenance["keys"].values():
        if key["metric"] == "l1":
            key.update(changes)
    (out / "run.json").write_text(json.dumps(provenance))
    return open_run(out)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": "validation"}, "split (l1): test in A, validation in B"),
        (
            {"evaluators": f"landmarks:{'a1' * 32}:1"},
            "evaluators (l1): none in A, landmarks:a1a1a1a1a1a1:1 in B",
        ),
        ({"precision": "fp16"}, "precision (l1): fp32 in A, fp16 in B"),
    ],
)
def test_whatever_the_keys_hold_is_compared(squares, tmp_path, changes, said):
    other = rewritten(squares, tmp_path / "other", **changes)
    with pytest.raises(BenchbedError) as refused:
        between(squares, other, ["static"], [], Margins())
    assert f"\n  {said}\n" in str(refused.value)
    assert "what is equal can be compared with --metric psnr; " in str(refused.value)
    (psnr,) = between(squares, other, ["static"], ["psnr"], Margins())
    assert psnr.verdict == "equivalent"


def test_other_cases_are_refused(squares, tmp_path):
    part = carried_out(tmp_path, "static", limit=5)
    with pytest.raises(
        BenchbedError, match=r"cases \(l1, psnr\): 8 \(3 of its own\) in A, 5 \(0 of its own\) in B"
    ):
        between(squares, part, [], [], Margins())


def test_force_shows_what_differs_apart_and_tests_the_rest(squares, tmp_path):
    other = rewritten(squares, tmp_path / "other", split="validation")
    found = by_metric(between(squares, other, ["static"], [], Margins(), force=True))
    assert found["l1"].apart and found["l1"].difference is None and found["l1"].verdict == ""
    assert found["psnr"].verdict == "equivalent"
    paired, apart = comparison_tables(list(found.values()), Margins(), ("A", "B"))
    assert [row.method for row in paired.rows] == ["PSNR ↑ (dB)"]
    assert [column.label for column in apart.columns] == ["L1 A", "L1 B"]
    assert apart.rows[0].cells[0].text == apart.rows[0].cells[1].text != "-"
    assert apart.footnotes == ("L1: not comparable, split: test in A, validation in B",)


def test_runs_without_a_common_method_are_refused(squares, tmp_path):
    other = carried_out(tmp_path, "flow")
    with pytest.raises(
        BenchbedError, match=r"no method in common .*name two with --method static=flow, or compare"
    ):
        between(squares, other, [], [], Margins())


def test_methods_of_different_names_are_compared_across_runs_as_within_one(squares, tmp_path):
    other = carried_out(tmp_path / "other", "dimmed")
    across = by_metric(between(squares, other, ["static=dimmed"], [], Margins()))
    within_one = by_metric(within(squares, ["static", "dimmed"], [], Margins()))
    assert across["l1"].method == "static -> dimmed"
    for metric, each in within_one.items():
        assert across[metric].difference == each.difference
        assert across[metric].verdict == each.verdict
    with pytest.raises(BenchbedError, match="has no method 'nobody'; it has: dimmed"):
        between(squares, other, ["static=nobody"], [], Margins())


def test_failed_cases_are_said_and_the_others_paired(fakes, tmp_path):
    found = carried_out(tmp_path, "static", "half-raising")
    (l1,) = within(found, ["static", "half-raising"], ["l1"], Margins())
    assert l1.frames == 80 and l1.difference.n_identities == 4
    (table,) = comparison_tables([l1], Margins(), ("first", "second"))
    assert any("4 of 8 cases failed" in text for text in table.footnotes)


def test_rows_of_two_runs_are_ranked_together(squares, tmp_path):
    other = carried_out(tmp_path / "other", "dimmed", "flow")
    both = pd.concat(
        [pd.read_parquet(each.folder / "aggregate.parquet").assign(run=each.id) for each in (squares, other)],
        ignore_index=True,
    )
    rows = ranked_together(both, [squares, other]).query("metric == 'l1'").set_index(["run", "method"])
    assert rows["best_set"].sum() >= 1
    assert not rows.loc[(squares.id, "oracle"), "best_set"]
    assert rows.loc[(squares.id, "dimmed"), "best_set"] == rows.loc[(other.id, "dimmed"), "best_set"]


# ---- what is printed ----


def printed(*words: str) -> str:
    done = CliRunner().invoke(compare, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_terminal_says_how_every_number_came_about(squares):
    text = printed(str(squares.folder), "--method", "static", "--method", "oracle", "--metric", "l1")
    assert text.startswith(
        f"{squares.id}: each method with static\n\nreconstruction, squares, absolute transfer\n"
    )
    assert "better" in text and "0.008" in text and "160+0" in text
    assert "the margin, 1 % of the first value (the default; --margin)" in " ".join(text.split())


def test_csv_has_full_precision_and_every_count(squares):
    found = within(squares, ["static", "oracle"], ["l1"], Margins())
    (row,) = csv.DictReader(io.StringIO(comparison_csv(found)))
    assert float(row["difference"]) == found[0].difference.value
    assert (row["verdict"], row["test"], row["comparable"]) == ("better", "sign-flip", "yes")
    assert (row["n_first"], row["n_missing_first"], row["n_second"], row["frames_paired"]) == (
        "160", "0", "160", "160",
    )  # fmt: skip


def test_markdown_has_a_row_per_metric(squares):
    found = within(squares, ["static", "oracle"], [], Margins())
    (table,) = comparison_tables(found, Margins(), ("first", "second"))
    lines = render(table, "markdown").splitlines()
    assert lines[2].startswith("| method | metric | first | second | difference | p | p (Holm) | verdict |")
    assert sum(line.startswith("| static -> oracle |") for line in lines) == 2


@pytest.mark.parametrize("margin", ["much", "nan", "-1", "l1=", "5%%"])
def test_a_margin_that_is_no_size_is_refused(squares, margin):
    done = CliRunner().invoke(compare, [str(squares.folder), "--margin", margin])
    assert done.exit_code == 2 and "--margin wants a size such as 0.002, 2% or akd=0.1" in done.output


def test_a_folder_that_is_no_run_is_refused():
    with pytest.raises(BenchbedError, match="'nowhere' is not a finished run"):
        CliRunner().invoke(compare, ["nowhere"], catch_exceptions=False)
