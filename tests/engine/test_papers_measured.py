"""What runs measured stands beside the print, with what differs; and switches that explain a gap are found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from benchbed.cli.table import table_command
from benchbed.papers.coverage import Present, coverage_table, lacks, present
from benchbed.papers.explaining import Explanation, explain, explanation_table
from benchbed.papers.layout import layout_of, layouts
from benchbed.papers.matching import match
from benchbed.papers.measured import measured_table
from benchbed.papers.names import printed_dataset, printed_datasets, registered_method
from benchbed.papers.printed import TITLES, CellKey, PrintedValue, printed_values
from benchbed.papers.reaggregation import mean_of, stored_way, ways
from benchbed.registry import card
from benchbed.tables.model import Table
from benchbed.tracking.runs import StoredRun, open_run

Clips = dict[str, np.ndarray]


def key(text: str) -> CellKey:
    """`lia/1/reconstruction/TaiChiHD/FOMM//AED`."""
    return CellKey(*text.split("/"))


def value(digits: str, of: str = "lia/1/reconstruction/TaiChiHD/FOMM//AED") -> PrintedValue:
    return PrintedValue(key(of), digits, ())


def write_run(
    folder: Path,
    clips_of: dict[str, Clips],
    *,
    method: str = "fomm",
    dataset: str = "taichi-256",
    evaluator: str = "",
    configuration: str | None = None,
    resolution: str = "256x256",
    setting: str = "",
    protocol: str = "reconstruction",
    partial: bool = False,
) -> StoredRun:
    """A finished run with the per-frame scores given per metric variant, averaged as each variant says."""
    aggregate, cases, frames = [], [], []
    for variant, clips in clips_of.items():
        metric = variant.partition("/")[0]
        data = next(v for v in card("metric", metric).data["variant"] if v["id"] == variant)
        same = {
            "method": method,
            "dataset": dataset,
            "protocol": protocol,
            "setting": setting,
            "metric": metric,
            "variant": f"{variant}@1",
        }
        missing = int(sum(np.isnan(scores).sum() for scores in clips.values()))
        record = {**same, "transfer": "absolute", "resolution": resolution, "evaluator": evaluator}
        aggregate.append(
            {
                **record,
                "value": mean_of(list(clips.values()), data["reduction"]),
                "n": sum(map(len, clips.values())) - missing,
                "n_missing": missing,
                "status": "ok",
                "reason": "",
                "unverified": "",
                "partial": partial,
            }
        )
        for case, scores in clips.items():
            cases.append({**record, "case": case, "status": "ok"})
            frames += [{**same, "case": case, "frame": i, "value": x} for i, x in enumerate(scores)]
    folder.mkdir(parents=True)
    pd.DataFrame(aggregate).to_parquet(folder / "aggregate.parquet")
    pd.DataFrame(cases).to_parquet(folder / "cases.parquet")
    pd.DataFrame(frames).to_parquet(folder / "frames.parquet")
    provenance = {
        "request": {"split": "test", "precision": "fp32"},
        "methods": {method: {"checkpoint": "weights.pth", "configuration": configuration}},
    }
    (folder / "run.json").write_text(json.dumps(provenance))
    return open_run(folder)


def drawn(seed: int = 0, lengths: tuple[int, ...] = (5, 9, 14, 31)) -> Clips:
    """Squared distances of clips of unequal length; frame 0, the source itself, is nearly 0."""
    random = np.random.default_rng(seed)
    clips = {f"c{i}": random.uniform(0.05, 0.6, length) * (1 + i) for i, length in enumerate(lengths)}
    for scores in clips.values():
        scores[0] = 0.001
    return clips


def explained(
    run: StoredRun, digits: str, of: str = "lia/1/reconstruction/TaiChiHD/FOMM//AED"
) -> Explanation:
    metric = of.rpartition("/")[2].lower()
    records = [record for record in run.records if record["metric"] == metric]
    return explain(value(digits, of), stored_way(records[0]), ways(records, run))


def texts(table: Table, row: str, after: str = "") -> list[str]:
    """The cells of the first row of that name, or of the first one below the row `after`."""
    names = [one.method for one in table.rows]
    position = names.index(row, names.index(after) if after else 0)
    return [cell.text for cell in table.rows[position].cells]


def footnotes(table: Table, row: str, after: str, column: int) -> list[str]:
    names = [one.method for one in table.rows]
    cell = table.rows[names.index(row, names.index(after))].cells[column]
    return [table.footnotes[number - 1] for number in cell.footnotes]


# What was measured, beside what was printed


def test_measured_values_stand_below_the_printed_row_with_the_difference(tmp_path):
    run = write_run(tmp_path / "r", {"l1/frames": {"a": np.full(3, 0.0612), "b": np.full(9, 0.0612)}})
    shown = measured_table(layout_of("mofd", "1"), [run])
    assert texts(shown, "FOMM")[0] == "0.063"
    assert texts(shown, "  measured", after="FOMM")[0] == "0.0612"
    assert texts(shown, "  difference", after="FOMM")[0] == "-0.0018"
    assert set(texts(shown, "  measured", after="FOMM")[1:]) == {"-"}
    assert set(texts(shown, "  measured", after="MRAA")) == {"-"}


def test_two_measured_values_share_a_cell_as_the_printed_ones_do(tmp_path):
    run = write_run(
        tmp_path / "r",
        {"akd/legacy": {"a": np.full(3, 6.5)}, "mkr/legacy": {"a": np.full(3, 0.04)}},
        evaluator="body-pose",
    )
    shown = measured_table(layout_of("mofd", "1"), [run])
    assert texts(shown, "  measured", after="FOMM")[1] == "(6.500, 0.0400)"
    assert texts(shown, "  difference", after="FOMM")[1] == "(-0.360, +0.0040)"


def test_footnotes_name_resolution_evaluator_data_set_and_weights(tmp_path):
    run = write_run(
        tmp_path / "r",
        {"akd/legacy": {"a": np.full(3, 6.5)}},
        evaluator="body-joints",
        resolution="64x64",
        partial=True,
    )
    said = footnotes(measured_table(layout_of("mofd", "1"), [run]), "  measured", "FOMM", 1)
    assert "resolution: measured at 64x64, printed at 256x256" in said
    assert "evaluator: measured with body-joints, printed values with body-pose" in said
    assert (
        "data set: 'taichi-256' taken for TaiChiHD by its name; 1 case, a partial run, the paper states 253 test videos"
        in said
    )
    assert "weights: fomm ran with weights.pth" in said


def test_another_variant_of_the_metric_is_not_the_printed_one_and_the_footnote_says_which_is(tmp_path):
    run = write_run(tmp_path / "r", {"akd/coordinate-frames": {"a": np.full(3, 6.5)}})
    shown = measured_table(layout_of("mofd", "1"), [run])
    assert texts(shown, "  measured", after="FOMM")[1] == "-"
    (said,) = footnotes(shown, "  measured", "FOMM", 1)
    assert "the printed AKD is akd/legacy: add it to the run with --metric akd/legacy" in said


def test_puppets_measure_none_of_the_printed_cells_and_the_table_says_so(tmp_path):
    run = write_run(tmp_path / "r", {"l1/frames": {"a": np.full(3, 0.05)}}, dataset="puppets")
    for paper in TITLES:
        for layout in layouts(paper):
            shown = measured_table(layout, [run])
            assert {
                t for row in shown.rows if row.method == "  measured" for t in [c.text for c in row.cells]
            } == {"-"}
            assert any("'puppets' is in no paper's table" in note for note in shown.notes)


def test_an_ablation_in_a_configuration_of_its_name_answers_its_own_row_only(tmp_path):
    run = write_run(
        tmp_path / "r",
        {"l1/clips": {"a": np.full(3, 0.05)}},
        method="lia",
        dataset="vox",
        configuration="m5-256",
    )
    assert match(key("lia/5/reconstruction/VoxCeleb/LIA/M=5/L1"), run).record is not None
    assert match(key("lia/5/reconstruction/VoxCeleb/LIA/M=10/L1"), run).record is None


def test_reference_counts_are_told_apart(tmp_path):
    run = write_run(
        tmp_path / "r",
        {"l1/frames": {"a": np.full(3, 0.02)}},
        method="dime",
        dataset="dfdc",
        protocol="reference-sweep",
        setting="reconstruction N_ref=3",
    )
    assert match(key("dime/4/reconstruction/DFDC/DiME/N_ref=3/L1"), run).record is not None
    assert match(key("dime/4/reconstruction/DFDC/DiME/N_ref=2/L1"), run).record is None
    # Table 1 prints DiME with three views.
    assert match(key("dime/1/reconstruction/DFDC/DiME//L1"), run).record is not None


def test_one_view_of_several_is_not_taken_for_the_best_of_them(tmp_path):
    run = write_run(
        tmp_path / "r",
        {"l1/frames": {"a": np.full(3, 0.02)}},
        dataset="dfdc",
        protocol="reference-sweep",
        setting="reconstruction N_ref=3",
    )
    best = key("dime/1/reconstruction/DFDC/FOMM/best-of-references/L1")
    assert match(best, run).record is None
    (record,) = run.records
    marked = StoredRun(run.folder, run.provenance, ({**record, "best_of": 4},))
    assert match(best, marked).record is not None


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("voxceleb", "VoxCeleb"), ("vox-256", "VoxCeleb"), ("Tai-Chi-HD", "TaiChiHD"), ("taichi256", "TaiChiHD"),
        ("fashion", "Fashion"), ("MGif_256", "MGif"), ("nemo", "UvA-Nemo"), ("ted384", "TED-talks"),
        ("TED-talks", "TED-talks"), ("bair", "BAIR"), ("puppets", ""), ("vox-adv-256", ""), ("actions", ""),
    ],
)  # fmt: skip
def test_data_sets_are_known_by_their_usual_names(name, dataset):
    assert printed_dataset(name) == dataset


def test_every_printed_method_and_data_set_has_a_name_here():
    for paper in TITLES:
        for printed in printed_values(paper):
            assert registered_method(printed)
            assert printed.dataset in printed_datasets()


# Why a measured value is not the printed one


def test_video_mean_without_frame_0_and_rooted_are_found_as_exactly_these_switches(tmp_path):
    clips = drawn()
    run = write_run(tmp_path / "r", {"aed/squared-frames": clips})
    printed = np.mean([np.sqrt(scores[1:]).mean() for scores in clips.values()])
    found = explained(run, f"{printed:.4f}")
    assert [set(one.changes) for one in found.fits] == [
        {"mean over clips", "without frame 0", "rooted distance"}
    ]
    assert found.fits[0].value == pytest.approx(printed, rel=1e-12)
    # Eight ways and a rounding interval of 1e-4 in a spread of about 1: no accident.
    assert found.tried == 8 and found.by_chance < 0.01


def test_a_run_scored_with_the_wrong_variant_is_led_back_to_the_right_one(tmp_path):
    clips = {name: np.sqrt(scores) for name, scores in drawn().items()}
    run = write_run(tmp_path / "r", {"aed/rooted-clips": clips})
    right = np.concatenate([np.square(scores) for scores in clips.values()]).mean()
    (fit,) = explained(run, f"{right:.5f}").fits
    assert set(fit.changes) == {"mean over frames", "squared distance"}


def test_missing_frames_counted_as_the_worst_case_are_found(tmp_path):
    clips = {name: scores * 10 for name, scores in drawn().items()}
    clips["c2"][3:6] = np.nan
    of = "lia/1/reconstruction/TaiChiHD/FOMM//AKD"
    run = write_run(tmp_path / "r", {"akd/coordinate-frames": clips})
    counted = np.concatenate([np.where(np.isnan(scores), 256.0, scores) for scores in clips.values()]).mean()
    assert [one.changes for one in explained(run, f"{counted:.3f}", of).fits] == [
        ("missing frames counted as the worst case",)
    ]
    whole = np.concatenate([scores for scores in clips.values() if not np.isnan(scores).any()]).mean()
    assert [one.changes for one in explained(run, f"{whole:.3f}", of).fits] == [
        ("only clips without missing frames",)
    ]


def test_a_test_set_cut_to_the_first_clips_is_found(tmp_path):
    clips = drawn(lengths=tuple(range(5, 29)))
    run = write_run(tmp_path / "r", {"aed/squared-frames": clips})
    cut = np.concatenate(list(clips.values())[:10]).mean()
    assert [one.changes for one in explained(run, f"{cut:.4f}").fits] == [("only the first 10 clips",)]


def test_stored_variants_are_switches_too(tmp_path):
    clips = {name: scores * 10 for name, scores in drawn().items()}
    other = {name: scores * 1.6 for name, scores in clips.items()}
    run = write_run(tmp_path / "r", {"akd/coordinate-frames": clips, "akd/euclidean-frames": other})
    digits = f"{np.concatenate(list(other.values())).mean():.3f}"
    found = explained(run, digits, "lia/1/reconstruction/TaiChiHD/FOMM//AKD")
    assert [one.changes for one in found.fits] == [("Euclidean distance",)]


def test_only_the_smallest_sets_count_and_none_is_needed_where_the_digits_agree(tmp_path):
    run = write_run(
        tmp_path / "r", {"l1/frames": {"a": np.array([0.1, 0.5, 0.5]), "b": np.array([0.5, 0.5])}}
    )
    of = "lia/1/reconstruction/TaiChiHD/FOMM//L1"
    # Frames 0.42, clips 0.4333; without frame 0 both are 0.5: the mean over clips adds nothing to it.
    assert [one.changes for one in explained(run, "0.50", of).fits] == [("without frame 0",)]
    assert [one.changes for one in explained(run, "0.43", of).fits] == [("mean over clips",)]
    assert explained(run, "0.4", of).agrees


def test_all_smallest_sets_are_listed_where_several_hit_the_printed_digits(tmp_path):
    # Frames 0.278, clips 0.333; without frame 0: frames 0.340, clips 0.450.
    clips = {"a": np.array([0.2, 0.6]), "b": np.array([0.08, 0.3, 0.3, 0.28, 0.28, 0.28, 0.18])}
    run = write_run(tmp_path / "r", {"l1/frames": clips})
    base = stored_way(run.records[0])
    found = ways(run.records, run)
    shifted = type(base)(base.traits, 0.1)  # as if the run's own value were far off
    explanation = explain(value("0.3", "lia/1/reconstruction/TaiChiHD/FOMM//L1"), shifted, found)
    assert {one.changes for one in explanation.fits} == {("mean over clips",), ("without frame 0",)}
    # One printed digit: an accident is likely, and the table says so.
    assert explanation.by_chance > 0.5


def test_where_nothing_fits_the_nearest_is_named_and_how_far_it_is(tmp_path):
    run = write_run(tmp_path / "r", {"aed/squared-frames": drawn()})
    found = explained(run, "9.000")
    assert found.fits == ()
    candidates = [way.value for way in ways(run.records, run)]
    assert abs(found.nearest.value - 9) == pytest.approx(min(abs(one - 9) for one in candidates))


def test_a_first_frame_that_was_not_stored_is_not_made_up(tmp_path):
    run = write_run(tmp_path / "r", {"l1/clips-after-source": drawn()})
    assert {dict(way.traits)["frame 0"] for way in ways(run.records, run)} == {"without"}


def test_reaggregating_a_run_as_it_was_scored_gives_its_own_value(tmp_path):
    clips = drawn()
    clips["c1"][4] = np.nan
    clips["c3"][2] = np.inf
    for variant in ("l1/frames", "l1/clips", "aed/rooted-frames"):
        run = write_run(tmp_path / variant.replace("/", "-"), {variant: clips})
        own = stored_way(run.records[0])
        (again,) = [way for way in ways(run.records, run) if way.traits == own.traits]
        assert again.value == pytest.approx(own.value, rel=1e-14)


def test_set_metrics_are_compared_by_their_stored_variants(tmp_path):
    stored = {"fid/all-frames": {"a": np.array([30.0])}, "fid/source-frames": {"a": np.array([41.0])}}
    run = write_run(tmp_path / "r", stored)
    found = explained(run, "41.00", "dime/1/reconstruction/TaiChiHD/FOMM//FID")
    assert [one.changes for one in found.fits] == [("fid/source-frames",)]


def test_a_real_run_scored_on_purpose_with_the_wrong_variant_is_explained(tmp_path, monkeypatch):
    random = np.random.default_rng(5)
    for name, length in {"a": 4, "b": 7, "c": 9}.items():
        background = random.integers(0, 255, (64, 64, 3), np.uint8)
        strip = []
        for step in range(length):
            frame = background.copy()
            frame[8 + 3 * step : 24 + 3 * step, 20:44] = (40 * step % 255, 200, 90)
            strip.append(frame)
        (tmp_path / "taichi").mkdir(exist_ok=True)
        Image.fromarray(np.concatenate(strip, axis=1)).save(tmp_path / "taichi" / f"{name}.png")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchbed", "run", "--protocol", "reconstruction", "--method", "static"),
            *(
                "--dataset",
                "./taichi",
                "--domain",
                "body",
                "--metric",
                "aed",
                "--evaluator",
                "aed=puppet-identity",
            ),
            *("--device", "cpu", "--no-mlflow", "--quiet"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    frames = pd.read_parquet(folder / "frames.parquet")
    rooted = np.sqrt(frames[frames["frame"] > 0].set_index("case")["value"])
    printed = rooted.groupby(level=0).mean().mean()
    of = key("mofd/1/reconstruction/TaiChiHD/FOMM//AED")
    values = {**printed_values("mofd"), of: PrintedValue(of, f"{printed:.4f}", ())}
    monkeypatch.setattr("benchbed.papers.layout.printed_values", lambda paper: values)
    monkeypatch.setattr(
        "benchbed.papers.matching.registered_method", lambda key: "static" if key == of else ""
    )
    words = ["--paper", "mofd", "--table", "1", "--measured", str(folder), "--explain", "--format", "csv"]
    shown = CliRunner().invoke(table_command, words)
    assert shown.exit_code == 0, shown.output
    (line,) = [line for line in shown.output.splitlines() if line.startswith("TaiChiHD,FOMM AED")]
    assert line.split(",")[4:6] == [
        "aed/squared-frames",
        "rooted distance + without frame 0 + mean over clips",
    ]


def test_the_explanation_has_a_row_per_measured_value(tmp_path):
    run = write_run(tmp_path / "r", {"l1/frames": {"a": np.full(4, 0.0631), "b": np.full(9, 0.0629)}})
    shown = explanation_table(layout_of("mofd", "1"), [run])
    assert [(row.group, row.method) for row in shown.rows] == [("TaiChiHD", "FOMM L1")]
    assert [cell.text for cell in shown.rows[0].cells][:4] == ["0.063", "0.0630", "l1/frames", "none needed"]


# What could be reproduced here


def test_without_data_nothing_is_reproducible_and_every_value_says_what_it_lacks():
    for paper in TITLES:
        for printed in printed_values(paper):
            assert lacks(printed, Present())


def test_data_weights_and_evaluators_make_values_reproducible(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "vox-256").mkdir()
    (tmp_path / "vox-cpk.pth.tar").touch()
    here = present([str(tmp_path / "vox-256")], {"fomm": tmp_path / "vox-cpk.pth.tar"})
    vox = "mofd/1/reconstruction/VoxCeleb/FOMM//"
    assert lacks(key(f"{vox}L1"), here) == []
    assert [lack.kind for lack in lacks(key(f"{vox}AKD"), here)] == ["evaluator"]
    assert "benchbed weights pull face-landmarks" in lacks(key(f"{vox}AKD"), here)[0].reason
    # Those weights were trained on VoxCeleb: TaiChiHD needs others.
    tai = [lack.kind for lack in lacks(key("mofd/1/reconstruction/TaiChiHD/FOMM//L1"), here)]
    assert tai == ["data set", "weights"]
    # Released files in the store count without being named.
    (tmp_path / "store" / "any").mkdir(parents=True)
    (tmp_path / "store" / "any" / "vox-cpk.pth.tar").touch()
    assert lacks(key(f"{vox}L1"), Present(frozenset({"VoxCeleb"}))) == []


def test_methods_without_public_code_votes_and_missing_protocols_are_named():
    def reasons(of: str) -> str:
        return "; ".join(lack.reason for lack in lacks(key(of), Present()))

    assert "votes of people" in reasons("lia/3/user-study/VoxCeleb/LIA/vs FOMM/preference-%")
    assert "no protocol does cross-dataset-animation" in reasons(
        "lia/2/cross-dataset-animation/GermanPublicTV/FOMM//video-FID"
    )
    assert "has no public code" in reasons("mofd/1/reconstruction/VoxCeleb/MOFD//L1")
    assert "no weights of fomm for DFDC were released" in reasons("dime/1/reconstruction/DFDC/FOMM//L1")
    assert "ArcFace" in reasons("dime/1/animation/VoxCeleb/FOMM//CSIM")


def test_coverage_counts_every_printed_value_once():
    shown = coverage_table([layout for paper in TITLES for layout in layouts(paper)], Present())
    # 1041 values on record, 163 of them printed as - or N/A.
    assert [cell.text for cell in shown.rows[-1].cells][:2] == ["878", "0"]
    done = CliRunner().invoke(table_command, ["--coverage", "--paper", "lia", "--table", "2", "-v"])
    assert done.exit_code == 0
    assert sum(line.startswith("lia table 2, ") for line in done.output.splitlines()) == 6
