"""Tables: what is ranked with what, what footnotes say, and the exact text of every format."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pandas as pd
import pytest

from benchbed.pairing import CaseScore
from benchbed.ranking import rank
from benchbed.tables.build import build_tables
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import bytes_text, counted, decimals_for, fixed, significant
from benchbed.tables.rank import best_positions
from benchbed.tables.render import render

NAN = float("nan")


def score(method: str, metric: str, value: float, **changes: object) -> dict[str, object]:
    return {
        "method": method,
        "dataset": "puppets",
        "protocol": "reconstruction",
        "transfer": "absolute",
        "resolution": "64x64",
        "metric": metric,
        "variant": f"{metric}/frames@1",
        "unit": "px" if metric == "akd" else "",
        "direction": "higher" if metric in ("psnr", "csim") else "lower",
        "value": value,
        "low": value * 0.9,
        "high": value * 1.1,
        "n": 384,
        "n_missing": 0,
        "worst_case": NAN,
        "status": "ok",
        "reason": "",
        "canonical": True,
        "evaluator": "",
        "key": f"key-{metric}",
        "partial": False,
        **changes,
    }


def cost(method: str, **changes: object) -> dict[str, object]:
    return {
        "method": method,
        "dataset": "puppets",
        "protocol": "reconstruction",
        "fps": 123.4,
        "parameters": 45_600_000,
        "peak_memory_bytes": 3 * 2**29,
        "device": "cpu",
        "status": "ok",
        "reason": "",
        **changes,
    }


def build(scores: list[dict[str, object]], costs: list[dict[str, object]] | None = None) -> Table:
    methods = dict.fromkeys(str(row["method"]) for row in scores)
    spent = costs if costs is not None else [cost(method) for method in methods]
    (table,) = build_tables(pd.DataFrame(scores), pd.DataFrame(spent), [])
    return table


def column(table: Table, label: str) -> list[Cell]:
    position = [column.label for column in table.columns].index(label)
    return [row.cells[position] for row in table.rows]


def best(table: Table, label: str) -> list[str]:
    return [row.method for row, cell in zip(table.rows, column(table, label), strict=True) if cell.best]


# ---- ranks and numbers ----


def test_the_best_is_the_lowest_or_the_highest_and_ties_share_it() -> None:
    assert best_positions([3.0, 1.0, 2.0, 1.0], "lower") == {1, 3}
    assert best_positions([3.0, None, NAN, 1.0], "higher") == {0}
    assert best_positions([1.0, math.inf], "higher") == {1}
    assert best_positions([None, NAN], "lower") == frozenset()
    with pytest.raises(ValueError, match="expected 'lower' or 'higher'"):
        best_positions([1.0], "up")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0857, 0.0312], ["0.0857", "0.0312"]),
        ([12.34, 8.312], ["12.34", "8.31"]),
        ([120.3, 0.0003], ["120.3", "0.0"]),
        ([30.12, 23.46], ["30.1", "23.5"]),
        ([50.0, -0.001], ["50.00", "0.00"]),
        ([54321.0, 1234.0], ["54321", "1234"]),
        ([0.0, math.inf], ["0.0", "inf"]),
    ],
)
def test_a_column_has_one_number_of_decimals_and_three_to_four_digits(
    values: list[float], shown: list[str]
) -> None:
    decimals = decimals_for(values)
    # 8.31 stands beside a larger value: same decimals, fewer digits
    assert [fixed(value, decimals) for value in values] == shown


def test_costs_read_well() -> None:
    assert [counted(count) for count in (0, 912, 45_600, 59_800_000)] == ["0", "912", "45.6 k", "59.8 M"]
    assert [bytes_text(size) for size in (0, 512, 1_258_291, 2**30)] == [
        "0 B",
        "512 B",
        "1.20 MiB",
        "1.00 GiB",
    ]
    assert [significant(value) for value in (0.0312, 5.123, 843.4, 12040.2)] == [
        "0.0312",
        "5.12",
        "843",
        "12040",
    ]


# ---- what is ranked with what ----


def test_the_oracle_is_never_the_best() -> None:
    table = build([score("static", "l1", 0.08), score("oracle", "l1", 0.0), score("fomm", "l1", 0.03)])
    assert best(table, "L1") == ["fomm"]
    assert [cell.text for cell in column(table, "L1")] == ["0.0800", "0.0000", "0.0300"]


def test_values_that_are_shown_equal_share_the_bold() -> None:
    table = build([score("a", "psnr", 23.40001), score("b", "psnr", 23.40002), score("c", "psnr", 22.0)])
    assert best(table, "PSNR") == ["a", "b"]


def test_values_with_different_keys_are_not_ranked_together_and_say_why() -> None:
    table = build(
        [
            score("a", "fid", 9.0, evaluator="inception"),
            score("b", "fid", 8.0, evaluator="inception"),
            score("c", "fid", 1.0, key="other", evaluator="puppet-pooled"),
        ]
    )
    assert best(table, "FID") == ["b"]
    assert column(table, "FID")[2].footnotes == (1,)
    assert table.footnotes == ("not ranked with its column: evaluator puppet-pooled, the others inception",)


def test_nothing_is_best_where_no_two_values_can_be_compared() -> None:
    table = build([score("a", "l1", 0.1), score("b", "l1", 0.2, key="other")])
    assert best(table, "L1") == []
    assert "split, precision or decoder differ" in table.footnotes[0]


def test_a_partial_run_is_marked_and_not_ranked_beside_full_ones() -> None:
    everything = build([score("a", "l1", 0.1, partial=True), score("b", "l1", 0.2, partial=True)])
    assert everything.title.endswith("(partial: not all cases were run)")
    assert best(everything, "L1") == ["a"]
    mixed = build([score("a", "l1", 0.2), score("b", "l1", 0.3), score("c", "l1", 0.1, partial=True)])
    assert "partial" not in mixed.title
    assert best(mixed, "L1") == ["a"]
    assert mixed.footnotes == ("not ranked with its column: from a partial run",)


def test_a_mean_over_the_cases_that_did_not_fail_says_so() -> None:
    reason = "1 of 24 cases failed: animate returned 3 NaN or infinite values"
    table = build(
        [
            score("a", "l1", 0.2),
            score("b", "l1", 0.3),
            score("c", "l1", 0.1, key="key-l1-4f2a", reason=reason),
        ]
    )
    assert best(table, "L1") == ["a"]
    assert table.footnotes == (f"not ranked with its column: {reason}",)


def test_rows_of_several_runs_stay_apart() -> None:
    scores = [score("fomm", "l1", 0.3, run="monday"), score("fomm", "l1", 0.2, run="friday")]
    table = build(scores, [cost("fomm", run="monday"), cost("fomm", run="friday", fps=7.0)])
    assert [row.method for row in table.rows] == ["fomm (monday)", "fomm (friday)"]
    assert [cell.text for cell in column(table, "frames/s")] == ["123", "7.00"]
    unnamed = build([score("fomm", "l1", 0.3), score("fomm", "l1", 0.2)])
    assert [row.method for row in unnamed.rows] == ["fomm", "fomm (#2)"]


def test_each_dataset_protocol_and_transfer_has_its_table_in_order() -> None:
    scores = [
        score("a", "l1", 0.1),
        score("a", "l1", 0.1, transfer="relative"),
        score("a", "l1", 1, dataset="x y"),
    ]
    tables = build_tables(pd.DataFrame(scores), pd.DataFrame([cost("a"), cost("a", dataset="x y")]), [])
    assert [table.name for table in tables] == [
        "reconstruction-puppets-absolute",
        "reconstruction-puppets-relative",
        "reconstruction-x-y-absolute",
    ]


def test_two_variants_of_a_metric_are_two_columns() -> None:
    table = build([score("a", "akd", 1.5), score("a", "akd", 2.3, variant="akd/euclidean@1")])
    assert [column.label for column in table.columns[:2]] == ["AKD frames@1", "AKD euclidean@1"]
    assert [column.id for column in table.columns[:2]] == ["akd/frames@1", "akd/euclidean@1"]


def test_settings_of_a_protocol_are_tables_of_their_own() -> None:
    scores = [score("a", "l1", 0.1, setting="N_ref=0"), score("a", "l1", 0.09, setting="N_ref=1")]
    tables = build_tables(pd.DataFrame(scores), pd.DataFrame([cost("a")]), [])
    assert [table.name for table in tables] == [
        "reconstruction-puppets-absolute-N_ref-0",
        "reconstruction-puppets-absolute-N_ref-1",
    ]
    assert tables[1].title == "reconstruction, N_ref=1, puppets, 64x64, absolute transfer"
    assert [table.rows[0].method for table in tables] == ["a", "a"]


# ---- what can be told apart ----


def ranked_score(
    method: str, metric: str, value: float, best_set: bool, resolvable: float = NAN, **changes: object
):
    return score(method, metric, value, best_set=best_set, resolvable=resolvable, **changes)


def test_every_method_that_is_not_separable_from_the_best_is_marked() -> None:
    table = build(
        [
            ranked_score("static", "akd", 4.2, False, 0.61),
            ranked_score("fomm", "akd", 1.2, True),
            ranked_score("lia", "akd", 1.3, True, 0.21),
            ranked_score("oracle", "akd", 0.0, False),
        ]
    )
    assert best(table, "AKD") == ["fomm", "lia"]
    assert table.notes[0].startswith("bold: the best of a column and all that the paired test")
    assert table.notes[1] == "AKD: best fomm, not separable from it lia; resolves 0.210 to 0.610 px"


def test_the_paired_test_decides_and_not_the_shown_digits() -> None:
    table = build(
        [ranked_score("a", "psnr", 23.40001, False, 0.000001), ranked_score("b", "psnr", 23.40002, True)]
    )
    assert [cell.text for cell in column(table, "PSNR")] == ["23.4", "23.4"]
    assert best(table, "PSNR") == ["b"]


def test_marks_stay_within_equal_keys() -> None:
    table = build(
        [
            ranked_score("a", "l1", 0.2, True),
            ranked_score("b", "l1", 0.3, False, 0.01),
            ranked_score("c", "l1", 0.1, True, key="other"),
        ]
    )
    assert best(table, "L1") == ["a"]
    assert table.notes[1] == "L1: best a; resolves 0.0100"


def test_too_few_identities_and_columns_without_a_test_are_said() -> None:
    table = build(
        [
            ranked_score("a", "l1", 0.1, True),
            ranked_score("b", "l1", 0.2, True, math.inf),
            ranked_score("a", "kid", 0.1, True),
            ranked_score("b", "kid", 0.2, False),
        ]
    )
    assert table.notes[1:3] == (
        "L1: best a, not separable from it b; too few identities to resolve any difference",
        "KID: best a; nothing to test with",
    )


def aggregated(*values: float) -> pd.DataFrame:
    return pd.DataFrame(
        [score(name, "l1", value, reduction="frames") for name, value in zip("abcde", values, strict=False)]
    )


def simulated(*offsets: float, identities: int = 20):
    """Scores per method: a difficulty that all share, an offset, and a little of the method's own."""
    generator = np.random.default_rng(0)
    hard = generator.normal(size=identities)
    cases = {}
    for name, offset in zip("abcde", offsets, strict=False):
        own = hard + offset + 0.1 * generator.normal(size=identities)
        cases[name] = {
            f"case-{i}": CaseScore(f"i{i}", f"i{i}", np.full(4, own[i])) for i in range(identities)
        }
    return cases


def test_the_best_set_comes_from_the_paired_test_within_the_column() -> None:
    cases = simulated(0.0, 0.02, 0.5)
    means = [np.mean([case.frames.mean() for case in cases[name].values()]) for name in "abc"]
    ranked = rank(aggregated(*means), lambda row: cases[row["method"]]).set_index("method")
    # Paired, 0.5 is five deviations of one identity; unpaired it would drown in their spread of 1.
    assert ranked["best_set"].to_dict() == {"a": True, "b": True, "c": False}
    assert math.isnan(ranked.loc[min("ab", key=lambda name: ranked.loc[name, "value"]), "resolvable"])
    # sqrt(2) 0.1 / sqrt(20) is the error, times 2.96.
    assert ranked.loc["c", "resolvable"] == pytest.approx(0.094, rel=0.3)


def test_oracle_and_what_has_no_value_take_no_part() -> None:
    frame = pd.DataFrame(
        [
            score("a", "l1", 0.2, reduction="frames"),
            score("b", "l1", 0.1, reduction="frames"),
            score("oracle", "l1", 0.0, reduction="frames"),
            score("c", "l1", NAN, status="failed", reduction="frames"),
        ]
    )
    ranked = rank(frame, lambda row: None).set_index("method")
    assert ranked["best_set"].to_dict() == {"a": False, "b": True, "oracle": False, "c": False}


# ---- what is missing ----


def test_missing_values_are_dashes_with_their_reason_said_once() -> None:
    skipped = {"status": "skipped", "reason": "frames are 64 px, needs 161", "n": 0}
    failed = {"status": "failed", "reason": "24 of 24 cases failed: out of memory", "n": 0}
    weights = {"status": "skipped", "reason": "weights missing: benchbed weights pull lpips-alex", "n": 0}
    table = build(
        [
            score("a", "ms-ssim", NAN, **skipped),
            score("a", "lpips", NAN, **weights),
            score("a", "l1", 0.1),
            score("b", "ms-ssim", NAN, **skipped),
            score("b", "lpips", NAN, **failed),
            score("b", "l1", NAN, **failed),
            score("c", "ms-ssim", NAN, **skipped),
            score("c", "lpips", NAN, **weights),
        ]
    )
    assert table.footnotes == (
        "MS-SSIM: skipped, frames are 64 px, needs 161",
        "LPIPS: weights missing: benchbed weights pull lpips-alex",
        "failed: 24 of 24 cases failed: out of memory",
        "L1: not measured",
    )
    assert [(cell.text, cell.footnotes) for cell in table.rows[1].cells[:3]] == [
        ("-", (1,)),
        ("-", (3,)),
        ("-", (3,)),
    ]
    assert table.rows[2].cells[2].status == "absent"
    assert all(math.isnan(cell.value) for cell in table.rows[1].cells[:3])


def test_missing_frames_are_said_with_coverage_and_worst_case() -> None:
    table = build([score("a", "akd", 1.5, n=374, n_missing=10, worst_case=3.217), score("b", "akd", 1.25)])
    assert table.footnotes == (
        "AKD: 97.4 % of 384 frames scored; 3.22 px if the others were as bad as can be",
    )
    assert [cell.footnotes for cell in column(table, "AKD")] == [(1,), ()]


def test_a_method_without_costs_has_dashes() -> None:
    table = build(
        [score("a", "l1", 0.1), score("b", "l1", 0.2)],
        [
            cost("a", peak_memory_bytes=None),
            cost("b", fps=NAN, parameters=None, status="failed", reason="it died"),
        ],
    )
    assert [cell.text for cell in table.rows[0].cells[1:]] == ["123", "45.6 M", "-"]
    assert [cell.footnotes for cell in table.rows[1].cells[1:]] == [(1,), (1,), ()]
    assert table.footnotes == ("costs: it died",)


# ---- formats ----

COLUMNS = (
    Column("l1", "L1", "lower", variant="l1/frames@1"),
    Column("fid", "FID", "lower", dagger=True, variant="fid/pooled@1"),
    Column("csim", "CSIM", "higher", variant="csim/mean@1"),
    Column("parameters", "params"),
)
TABLE = Table(
    dataset="puppets",
    protocol="reconstruction",
    transfer="absolute",
    title="reconstruction, my_clips & 50% <b>",
    columns=COLUMNS,
    rows=(
        Row(
            "my_method",
            (
                Cell(
                    "0.0312", "± 0.0012", best=True, value=0.03121, low=0.0300, high=0.0324, n=384, key="k1"
                ),
                Cell("12.3", value=12.345, n=384, key="k2", best=True),
                Cell("-", footnotes=(1,), status="skipped", reason="weights missing", key="k3"),
                Cell("45.6 M", value=45_600_000),
            ),
        ),
        Row(
            "static",
            (
                Cell("0.0857", "± 0.0104", value=0.0857, low=0.0753, high=0.0961, n=384, key="k1"),
                Cell("120.3", value=120.31, n=384, key="k2"),
                Cell("0.912", value=0.912, n=380, n_missing=4, footnotes=(2,), key="k3"),
                Cell("0", value=0.0),
            ),
        ),
    ),
    footnotes=(
        "CSIM: weights missing: benchbed weights pull face-identity",
        "CSIM: 99.0 % of 384 frames scored",
    ),
    daggers=("FID: measured with puppet_pooled",),
    notes=("variants: l1/frames@1",),
)


def test_terminal_text_is_aligned() -> None:
    assert render(TABLE, "terminal") == (
        "reconstruction, my_clips & 50% <b>\n"
        "\n"
        "method                L1 ↓  FID† ↓     CSIM ↑  params\n"
        "---------  ---------------  ------  ---------  ------\n"
        "my_method  0.0312 ± 0.0012    12.3      - [1]  45.6 M\n"
        "static     0.0857 ± 0.0104   120.3  0.912 [2]       0\n"
        "\n"
        "[1] CSIM: weights missing: benchbed weights pull face-identity\n"
        "[2] CSIM: 99.0 % of 384 frames scored\n"
        "† FID: measured with puppet_pooled\n"
        "variants: l1/frames@1"
    )


def test_a_narrow_terminal_gets_blocks_that_repeat_the_methods() -> None:
    text = render(TABLE, "terminal", width=36)
    assert text.startswith(
        "reconstruction, my_clips & 50% <b>\n"
        "\n"
        "method                L1 ↓  FID† ↓\n"
        "---------  ---------------  ------\n"
        "my_method  0.0312 ± 0.0012    12.3\n"
        "static     0.0857 ± 0.0104   120.3\n"
        "\n"
        "method        CSIM ↑  params\n"
        "---------  ---------  ------\n"
        "my_method      - [1]  45.6 M\n"
        "static     0.912 [2]       0\n"
    )
    assert max(map(len, text.splitlines())) <= 36


def test_bold_is_only_for_terminals_with_colour_and_leaves_the_alignment() -> None:
    assert "\x1b" not in render(TABLE, "terminal")
    text = render(TABLE, "terminal", color=True)
    assert "my_method  \x1b[1m0.0312 ± 0.0012\x1b[0m    \x1b[1m12.3\x1b[0m" in text
    assert text.replace("\x1b[1m", "").replace("\x1b[0m", "") == render(TABLE, "terminal")


def test_markdown_is_exact() -> None:
    assert render(TABLE, "markdown") == (
        "**reconstruction, my\\_clips & 50% \\<b>**\n"
        "\n"
        "| method | L1 ↓ | FID† ↓ | CSIM ↑ | params |\n"
        "| :-- | --: | --: | --: | --: |\n"
        "| my\\_method | **0.0312** ± 0.0012 | **12.3** | - \\[1\\] | 45.6 M |\n"
        "| static | 0.0857 ± 0.0104 | 120.3 | 0.912 \\[2\\] | 0 |\n"
        "\n"
        "\\[1\\] CSIM: weights missing: benchbed weights pull face-identity\n"
        "\n"
        "\\[2\\] CSIM: 99.0 % of 384 frames scored\n"
        "\n"
        "† FID: measured with puppet\\_pooled\n"
        "\n"
        "variants: l1/frames@1"
    )


def test_csv_keeps_full_precision_counts_and_reasons() -> None:
    rows = list(csv.DictReader(io.StringIO(render(TABLE, "csv"))))
    assert list(rows[0])[:13] == [
        *("method", "dataset", "protocol", "transfer", "l1", "l1.low", "l1.high", "l1.n", "l1.n_missing"),
        *("l1.status", "l1.reason", "l1.variant", "l1.key"),
    ]
    assert (rows[0]["l1"], rows[0]["l1.low"], rows[0]["l1.high"]) == ("0.03121", "0.03", "0.0324")
    assert (rows[0]["csim"], rows[0]["csim.status"], rows[0]["csim.reason"]) == (
        "",
        "skipped",
        "weights missing",
    )
    assert (rows[1]["csim.n"], rows[1]["csim.n_missing"], rows[1]["csim.key"]) == ("380", "4", "k3")
    assert rows[0]["parameters"] == "45600000.0"


def test_latex_is_exact() -> None:
    assert render(TABLE, "latex") == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "\\centering\n"
        "\\caption{reconstruction, my\\_clips \\& 50\\% \\textless{}b\\textgreater{}}\n"
        "\\begin{tabular}{lrrrr}\n"
        "\\toprule\n"
        "method & L1 $\\downarrow$ & FID$^\\dagger$ $\\downarrow$ & CSIM $\\uparrow$ & params \\\\\n"
        "\\midrule\n"
        "my\\_method & \\textbf{0.0312} $\\pm$ 0.0012 & \\textbf{12.3} & -\\textsuperscript{1} & 45.6 M \\\\\n"
        "static & 0.0857 $\\pm$ 0.0104 & 120.3 & 0.912\\textsuperscript{2} & 0 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par\\footnotesize\\raggedright\n"
        "\\textsuperscript{1} CSIM: weights missing: benchbed weights pull face-identity\\par\n"
        "\\textsuperscript{2} CSIM: 99.0 \\% of 384 frames scored\\par\n"
        "$^\\dagger$ FID: measured with puppet\\_pooled\\par\n"
        "variants: l1/frames@1\\par\n"
        "\\end{table}"
    )


def test_html_is_exact() -> None:
    assert render(TABLE, "html") == (
        '<table class="benchbed">\n'
        "<caption>reconstruction, my_clips &amp; 50% &lt;b&gt;</caption>\n"
        '<thead><tr><th scope="col">method</th><th scope="col">L1 ↓</th><th scope="col">FID† ↓</th>'
        '<th scope="col">CSIM ↑</th><th scope="col">params</th></tr></thead>\n'
        "<tbody>\n"
        '<tr><th scope="row">my_method</th><td><strong>0.0312</strong> ± 0.0012</td>'
        "<td><strong>12.3</strong></td><td>-<sup>1</sup></td><td>45.6 M</td></tr>\n"
        '<tr><th scope="row">static</th><td>0.0857 ± 0.0104</td><td>120.3</td><td>0.912<sup>2</sup></td>'
        "<td>0</td></tr>\n"
        "</tbody>\n"
        "</table>\n"
        '<p class="note"><sup>1</sup> CSIM: weights missing: benchbed weights pull face-identity</p>\n'
        '<p class="note"><sup>2</sup> CSIM: 99.0 % of 384 frames scored</p>\n'
        '<p class="note">† FID: measured with puppet_pooled</p>\n'
        '<p class="note">variants: l1/frames@1</p>'
    )


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown table format 'pdf'; known: terminal, markdown"):
        render(TABLE, "pdf")


def test_a_note_and_weights_that_are_not_the_published_ones_are_said_below():
    note = "384 frames of 24 clips: under 2,048 frames the value depends on their number"
    table = build(
        [
            score("fomm", "fid", 1.0, note=note),
            score("fomm", "lpips", 0.1, unverified="lpips-alex", evaluator="lpips-alex"),
        ]
    )
    assert table.footnotes == (f"FID: {note}",)
    assert column(table, "FID")[0].footnotes == (1,)
    assert [column.dagger for column in table.columns[:2]] == [False, True]
    assert table.daggers == (
        "LPIPS: measured with weights that are not the published ones (lpips-alex, added with --unverified); "
        "not comparable with any other value",
    )


def test_a_method_that_was_not_run_says_why_once_and_not_in_every_column():
    reason = "mraa needs a weights file and none was given"
    table = build(
        [score("fomm", metric, 1.0) for metric in ("l1", "akd", "fid")]
        + [
            score("mraa", metric, NAN, status="skipped", reason=reason, not_run=True)
            for metric in ("l1", "akd", "fid")
        ]
    )
    assert table.footnotes == (f"not run, {reason}",)
    assert [cell.footnotes for cell in table.rows[1].cells[:3]] == [(1,)] * 3
