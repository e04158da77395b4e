"""The papers' tables come out as printed: rows, columns, digits, parentheses, and what contradicts what."""

from __future__ import annotations

import csv
import io

import pytest
from click.testing import CliRunner

from benchbed.cli.table import table_command
from benchbed.errors import UnknownNameError
from benchbed.papers.layout import layout_of, layouts
from benchbed.papers.printed import TITLES, printed_values, published_file
from benchbed.papers.regenerate import published_table
from benchbed.tables.model import Table
from benchbed.tables.render import FORMATS, render

ALL = [(paper, layout.number) for paper in TITLES for layout in layouts(paper)]


def table(paper: str, number: str) -> Table:
    return published_table(layout_of(paper, number))


def heads(shown: Table) -> list[str]:
    return [column.full_header for column in shown.columns]


def cells(shown: Table, row: str, group: str = "") -> list[str]:
    (found,) = [one for one in shown.rows if one.method == row and one.group == group]
    return [cell.text for cell in found.cells]


def notes(shown: Table, row: str, head: str, group: str = "") -> str:
    (found,) = [one for one in shown.rows if one.method == row and one.group == group]
    cell = found.cells[heads(shown).index(head)]
    return " | ".join(shown.footnotes[number - 1] for number in cell.footnotes)


def grouped(*groups: tuple[str, str]) -> list[str]:
    """`("VoxCeleb", "L1; AKD")` to `["VoxCeleb L1", "VoxCeleb AKD"]`."""
    return [f"{group} {head}".strip() for group, words in groups for head in words.split("; ")]


BODY = "L1; (AKD, MKR); AED"
FACE = "L1; AKD; AED"
DIME = (
    ("Reconstruction", "L1; LPIPS; FID; MS-/SSIM; PSNR; AKD"),
    ("Animation", "FID; CSIM"),
)
LIA = (
    ("VoxCeleb", "L1; AKD; AED; LPIPS"),
    ("TaichiHD", "L1; (AKD, MKR); AED; LPIPS"),
    ("TED-talks", "L1; (AKD, MKR); AED; LPIPS"),
)
LIA_SHORT = (("VoxCeleb", "L1; LPIPS"), ("TaichiHD", "L1; LPIPS"), ("TED-talks", "L1; LPIPS"))


@pytest.mark.parametrize(
    ("paper", "number", "columns", "rows"),
    [
        ("mofd", "1", [("TaiChiHD", BODY), ("Fashion", BODY), ("VoxCeleb", FACE), ("MGIF", "L1")], "FOMM; MRAA; TPSMM; Ours"),
        ("mofd", "2", [("MGIF", "L1"), ("TaiChiHD", BODY)], "TPSMM; Ours w/o DR; Ours w/o MOM; Ours"),
        (
            "anytime",
            "1",
            [("Tai-Chi-HD", BODY), ("Fashion", BODY), ("UvA-Nemo", FACE), ("TedTalks", BODY)],
            "X2Face; FOMM; MRAA; DAM; MTIA; TPSMM; CPABMM; Ours; Ours-V2",
        ),
        ("anytime", "2", [("", BODY)], "TPSMM; Model1: TPSMM + INT; Model2: Model1 + BT; Ours"),
        ("dime", "3", DIME, "DiME; w/o refine; w/o ID; one-shot"),
        ("dime", "4", DIME, "N_ref=1; N_ref=2; N_ref=3; N_ref=4; N_ref=5; N_ref=6"),
        ("lia", "1", LIA, "X2Face; Monkey-Net; FOMM; MRAA w/o bg; Ours"),
        ("lia", "2", [("VoxCeleb", "video-FID"), ("GermanPublicTV", "video-FID")], "FOMM; MRAA; Ours"),
        (
            "lia",
            "3",
            [(name, "Ours/other (%)") for name in ("VoxCeleb", "TaichiHD", "TED-talks")],
            "Ours/FOMM; Ours/MRAA",
        ),
        ("lia", "4", LIA_SHORT, "w/o D_m; Full"),
        ("lia", "5", LIA_SHORT, "M=5; M=10; M=20; M=40; M=100"),
        ("lia", "6", LIA, "MRAA; Ours"),
    ],
)  # fmt: skip
def test_tables_without_row_groups_have_the_printed_columns_and_rows(paper, number, columns, rows):
    shown = table(paper, number)
    assert heads(shown) == grouped(*columns)
    assert [row.method for row in shown.rows] == rows.split("; ")
    assert shown.stubs == ("method",)


def test_dime_tables_1_and_2_group_their_rows_by_data_set():
    first = table("dime", "1")
    assert heads(first) == grouped(*DIME)
    pair = ["FOMM", "AA", "DiME"]
    assert [(row.group, row.method) for row in first.rows] == [
        (group, method)
        for group, methods in {
            "VoxCeleb (507)": ["FOMM", "AA", "X2Face", "MonkeyNet", "f-v2v", "LIA", "SAMT", "TPSMM", "IAPM", "DiME"],
            "DFDC (1807)": pair,
            "UvA-Nemo (124)": pair,
            "TED-talks (120)": ["FOMM", "AA", "LIA", "TPSMM", "DiME"],
            "AIST (493)": pair,
            "Tai-Chi-HD (87)": ["FOMM", "AA", "X2Face", "MonkeyNet", "LIA", "SAMT", "TPSMM", "IAPM", "DiME"],
            "Fashion (100)": pair,
            "BAIR (128)": pair,
            "MGif (100)": pair,
        }.items()
        for method in methods
    ]  # fmt: skip
    second = table("dime", "2")
    assert heads(second) == ["L1", "LPIPS", "FID", "MS-/SSIM", "PSNR", "AKD"]
    assert [(row.group, row.method) for row in second.rows] == [
        ("Nemo", "FOMM"), ("Nemo", "AA"), ("Nemo", "DiME"),
        ("MGif", "FOMM"), ("MGif", "AA"), ("MGif", "DiME"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paper", "number", "group", "row", "printed"),
    [
        ("mofd", "1", "", "FOMM", "0.063; (6.86, 0.036); 0.179; 0.013; (1.131, 0.006); 0.059; 0.041; 1.29; 0.135; 0.0264"),
        ("mofd", "1", "", "Ours", "0.044; (4.34, 0.017); 0.148; 0.011; (0.810, 0.004); 0.056; 0.039; 1.20; 0.123; 0.0193"),
        ("mofd", "2", "", "Ours w/o MOM", "0.0196; 0.0446; (4.40, 0.018); 0.148"),
        ("anytime", "1", "", "X2Face", "0.080; (17.65, 0.109); 0.270; -; -; -; 0.031; 3.539; 0.221; -; -; -"),
        ("anytime", "1", "", "Ours-V2", "0.046; (3.67, 0.013); 0.149; 0.011; (0.771, 0.004); 0.058; 0.010; 0.853; 0.050; -; -; -"),
        ("anytime", "2", "", "Model1: TPSMM + INT", "0.053; (5.56, 0.026); 0.169"),
        ("dime", "1", "VoxCeleb (507)", "FOMM", "0.047 (0.040); 0.14 (0.11); 50.96 (43.28); 0.84/0.75 (0.87/0.78); 22.74 (23.77); 2.29 (1.36); 62.88 (52.10); 0.78 (0.81)"),
        ("dime", "1", "VoxCeleb (507)", "X2Face", "0.078; N/A; N/A; N/A; N/A; 7.69; N/A; N/A"),
        ("dime", "1", "TED-talks (120)", "FOMM", "0.33 (0.030); 0.18 (0.16); 56.57 (50.93); 0.78/0.74 (0.83/0.81); 25.11 (25.95); 6.99 (6.87); 123.31 (112.75); 0.92 (0.93)"),
        ("dime", "1", "DFDC (1807)", "DiME", "0.018; 0.0061; 33.22; 0.95/0.91; 27.99; 1.28; 64.89; 0.92"),
        ("dime", "1", "BAIR (128)", "AA", "0.052 (0.048); 0.137 (0.121); 217.87 (77.14); 0.87/0.76 (0.90/0.77); 19.75 (19.75); N/A; 217.87 (201.78); N/A"),
        ("dime", "1", "BAIR (128)", "DiME", "0.018; 0.027; 34.44; (0.97) 0.94; 27.75; N/A; 96.91; N/A"),
        ("dime", "1", "MGif (100)", "DiME", "0.021; 0.072; 117.74; (0.92) 0.90; 21.34; N/A; 180.30; N/A"),
        ("dime", "2", "MGif", "AA", "0.102; 0.345; 269.44; 0.57/0.73; 14.82; N/A"),
        ("dime", "3", "", "one-shot", "0.032; 0.108; 54.57; 0.88/0.84; 24.24; 1.78; 80.34; 0.89"),
        ("dime", "4", "", "N_ref=3", "0.018; 0.061; 33.22; 0.95/0.91; 27.99; 1.28; 64.89; 0.92"),
        ("lia", "1", "", "FOMM", "0.046; 1.395; 0.141; 0.136; 0.063; (6.472, 0.032); 0.495; 0.191; 0.030; (3.759, 0.0090); 0.428; 0.13"),
        ("lia", "1", "", "X2Face", "0.078; 7.687; 0.405; -; 0.080; (17.654, 0.109); -; -; -; -; -; -"),
        ("lia", "2", "", "FOMM", "0.323; 0.456"),
        ("lia", "3", "", "Ours/MRAA", "89.7/10.3; 60.7/39.9; 54.8/45.2"),
        ("lia", "4", "", "Full", "0.041; 0.123; 0.057; 0.180; 0.028; 0.11"),
        ("lia", "5", "", "M=100", "0.041; 0.12; 0.058; 0.18; 0.028; 0.11"),
        ("lia", "6", "", "MRAA", "0.041; 1.303; 0.135; 0.124; 0.045; (5.551, 0.025); 0.431; 0.178; 0.027; (3.107, 0.0093); 0.379; 0.11"),
    ],
)  # fmt: skip
def test_cells_have_the_printed_digits_and_parentheses(paper, number, group, row, printed):
    assert cells(table(paper, number), row, group) == printed.split("; ")


@pytest.mark.parametrize(("paper", "number"), ALL)
def test_every_value_on_record_stands_in_exactly_one_cell(paper, number):
    layout = layout_of(paper, number)
    shown = [
        value.key
        for row in layout.rows
        for column in layout.columns
        for value in layout.cell(row, column).values
    ]
    assert len(shown) == len(set(shown))
    assert set(shown) == {key for key in printed_values(paper) if key.table == number}


@pytest.mark.parametrize("paper", TITLES)
def test_the_values_on_record_are_the_facts_they_were_taken_from(shared, paper):
    facts = (shared / "published" / f"{paper}.csv").read_bytes()
    assert published_file(f"{paper}.csv").read_bytes() == facts


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("paper", "number"), ALL)
def test_every_table_renders_in_every_format_with_all_its_cells(paper, number, format_):
    done = CliRunner().invoke(
        table_command, ["--paper", paper, "--table", number, "--format", format_], env={"COLUMNS": "4000"}
    )
    assert done.exit_code == 0, done.output
    for row in table(paper, number).rows:
        for cell in row.cells:
            assert cell.text in done.output


def test_csv_keeps_digits_as_text_and_notes_in_columns_of_their_own():
    lines = list(csv.DictReader(io.StringIO(render(table("lia", "6"), "csv"))))
    assert [line["method"] for line in lines] == ["MRAA", "Ours"]
    assert lines[0]["TED-talks (AKD, MKR)"] == "(3.107, 0.0093)"
    assert lines[1]["TaichiHD LPIPS"] == "0.180"
    assert "mofd/anytime print 0.149" in lines[0]["TaichiHD AED.notes"]


def test_latex_sets_headers_over_groups_and_names_a_row_group_once():
    text = render(table("dime", "1"), "latex")
    assert r"\multicolumn{6}{c}{Reconstruction} & \multicolumn{2}{c}{Animation} \\" in text
    assert r"\cmidrule(lr){3-8} \cmidrule(lr){9-10}" in text
    assert text.count("VoxCeleb (507)") == 1
    assert text.count(r"\midrule") == 9  # below the header and between nine data sets


def test_cells_that_contradict_another_paper_or_themselves_say_so():
    dime = table("dime", "1")
    vox = notes(dime, "AA", "Reconstruction LPIPS", "VoxCeleb (507)")
    assert "best of several references is worse than the single score 0.13" in vox
    assert "obvious typo: table 4 prints 0.061" in notes(dime, "DiME", "Reconstruction LPIPS", "DFDC (1807)")
    assert "duplicated from this table's VoxCeleb row" in notes(
        dime, "SAMT", "Reconstruction AKD", "Tai-Chi-HD (87)"
    )
    assert "anytime table 1 0.172, lia table 1 0.495" in notes(table("mofd", "1"), "FOMM", "TaiChiHD AED")
    assert "anytime table 1 7.07, dime table 1 6.99" in notes(
        table("lia", "1"), "FOMM", "TED-talks (AKD, MKR)"
    )
    assert "sum to 100.6" in notes(table("lia", "3"), "Ours/MRAA", "TaichiHD Ours/other (%)")
    assert any("saturated" in note for note in dime.notes)
    assert not notes(dime, "FOMM", "Reconstruction L1", "AIST (493)")


def test_disagreements_between_papers_quote_what_the_papers_print():
    from benchbed.papers.disagreements import _data

    for entry in _data()["between"]:
        for paper, digits in entry["printed"].items():
            number = entry.get("table", {}).get(paper, "1")
            printed = [
                value.digits
                for key, value in printed_values(paper).items()
                if (key.table, key.protocol, key.dataset, key.method, key.variant, key.metric)
                == (number, "reconstruction", entry["dataset"], entry["method"], "", entry["metric"])
            ]
            assert printed == [digits], (entry, paper)


def test_what_the_print_says_of_method_names_is_no_footnote():
    for paper, number in ALL:
        for text in table(paper, number).footnotes:
            assert "printed 'Ours'" not in text and "printed 'AA'" not in text and "printed N/A" not in text


def test_a_paper_alone_lists_its_tables():
    done = CliRunner().invoke(table_command, ["--paper", "lia"])
    lines = done.output.splitlines()
    assert lines[0].startswith("lia: Latent Image Animator")
    assert lines[1] == "  table 1  Reconstruction on three data sets (54 values, 16 printed as - or N/A)"
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--paper", "lai"], "did you mean 'lia'?"),
        (["--paper", "lia", "--table", "9"], "no quantitative table '9'; known: 1, 2, 3, 4, 5, 6"),
        (["--paper", "lia", "--table", "1", "--measured", "nowhere"], "'nowhere' is not a finished run"),
        (["--table", "1"], "add --paper PAPER"),
        (["--paper", "lia", "--measured", "x"], "add --paper PAPER --table NUMBER"),
        (["--paper", "lia", "--table", "1", "--explain"], "add --measured RUN"),
        (["runs/x", "--paper", "lia"], "--measured RUN"),
        ([], "give RUNS"),
        (["--coverage", "--dataset", "nowhere"], "data set folder 'nowhere' does not exist"),
        (
            ["--coverage", "--checkpoint", "fomm=nowhere.pth"],
            "checkpoint 'nowhere.pth' for fomm does not exist",
        ),
    ],
)
def test_wrong_input_is_one_sentence(words, sentence):
    done = CliRunner().invoke(table_command, words)
    assert done.exit_code != 0
    assert sentence in (done.output + str(done.exception))


def test_unknown_papers_are_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="known: mofd, anytime, dime, lia"):
        layouts("fomm")
