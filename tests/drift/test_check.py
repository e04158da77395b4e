"""A planted drift is caught, with the stage at which it began; an honest rerun raises no alarm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchbed.cli.main import main
from benchbed.drift.baseline import Baseline, default_path, read_baseline, updated, write_baseline
from benchbed.drift.check import check_again, check_run
from benchbed.drift.comparison import Report
from benchbed.drift.floor import EPSILON, SAFETY
from benchbed.drift.report import first_stage, report_text
from benchbed.drift.rerun import Way, restored_request
from benchbed.errors import BenchbedError
from benchbed.plan import build_plan
from benchbed.run import run


def check(path: Path, **options) -> Report:
    return check_again(read_baseline(path), device="cpu", **options)


def moved_methods(report: Report) -> set[str]:
    return {row.method for row in report.moved}


def began(report: Report) -> str:
    first = first_stage(report)
    assert first is not None
    return first.title


@pytest.mark.parametrize("way", [Way(7, 2), Way(3, 1)], ids=str)
def test_an_honest_rerun_in_another_way_raises_no_alarm(baseline_file, way):
    report = check(baseline_file, way=way)
    assert report.clean, report_text(report)
    assert "no drift: 20 values of 2 methods" in report_text(report)


@pytest.fixture(scope="session")
def perturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled weights of FOMM with 1 % of noise."""
    from benchbed.registry import card

    fomm = card("method", "fomm")
    generator = torch.Generator().manual_seed(0)
    with safe_open(fomm.folder / fomm.data["checkpoints"]["puppets"], framework="pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    noisy = {
        name: tensor * (1 + 0.01 * torch.randn(tensor.shape, generator=generator)).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in tensors.items()
    }
    path = tmp_path_factory.mktemp("perturbed") / "fomm.safetensors"
    save_file(noisy, path, metadata)
    return path


def test_weights_off_by_one_percent_move_that_method_from_its_encoding_on(
    baseline_file, perturbed, tmp_path, capsys
):
    words = ["check", "--baseline", str(baseline_file), "--device", "cpu", "--quiet", "--github"]
    words += ["--checkpoint", f"fomm={perturbed}", "--junit", str(tmp_path / "drift.xml")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "first stage that moved: source encoding" in said
    assert "code, configuration or weights of fomm are not those of the baseline" in said
    lines = said.splitlines()
    table = [line for line in lines if line.startswith("fomm    l1/frames@1")]
    assert len(table) == 1 and "3 of 3" in table[0] and "test/c00" in table[0]
    assert not any(line.startswith("flow ") for line in lines)
    (annotation,) = [line for line in lines if line.startswith("::error")]
    assert annotation.startswith("::error title=drift%3A fomm (reconstruction/puppets/absolute)::first stage")
    assert "%0A" in annotation
    suites = ElementTree.parse(tmp_path / "drift.xml").getroot()
    cases = {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in suites.iter("testcase")
    }
    assert cases["fomm", "l1/frames@1"] == ["failure"]
    assert cases["flow", "l1/frames@1"] == []
    assert cases["flow", "ms-ssim/gaussian-frames@1"] == ["skipped"]
    suite = suites.find("testsuite")
    assert suite is not None and suite.get("tests") == "22" and int(suite.get("failures", 0)) >= 8


def test_swapped_channels_move_everything_from_the_decoded_source_on(baseline_file, monkeypatch):
    from benchbed.datasets.puppets.dataset import DrawnDataset

    honest = DrawnDataset.frames
    monkeypatch.setattr(DrawnDataset, "frames", lambda self, clip: honest(self, clip)[:, [2, 1, 0]])
    report = check(baseline_file)
    assert moved_methods(report) == {"flow", "fomm"}
    assert began(report) == "decoded frames (source)"
    assert not report.arithmetic


def test_an_off_by_one_in_a_resize_inside_a_method_begins_at_its_encoding(baseline_file, monkeypatch):
    from benchbed.methods.blocks.antialias import AntiAliasDownsample

    honest = AntiAliasDownsample.forward
    monkeypatch.setattr(
        AntiAliasDownsample, "forward", lambda self, image: honest(self, image.roll(1, dims=-1))
    )
    report = check(baseline_file)
    assert moved_methods(report) == {"fomm"}
    assert began(report) == "source encoding"


@pytest.mark.parametrize("name", ["resize_tensor", "resize_frames"])
def test_an_off_by_one_in_a_resize_of_frames_is_caught_where_no_method_needs_it(
    baseline_file, monkeypatch, name
):
    from benchbed import frames
    from benchbed.drift import arithmetic

    honest = getattr(frames, name)

    def off_by_one(pictures, size):
        return honest(pictures, (size[0] + 1, size[1] + 1))[:, : size[0], : size[1]] if name == "resize_frames" else (
            honest(pictures, (size[0] + 1, size[1] + 1))[..., : size[0], : size[1]]
        )  # fmt: skip

    monkeypatch.setattr(arithmetic, name, off_by_one)
    report = check(baseline_file, methods=("flow",))
    assert {changed for changed, _, _ in report.arithmetic} == {f"frames.{name} down", f"frames.{name} up"}
    assert not report.clean and not report.moved


def test_another_rounding_before_the_evaluators_begins_at_the_features(baseline_file, monkeypatch):
    from benchbed import scoring
    from benchbed.frames import quantise

    monkeypatch.setattr(
        scoring, "quantise", lambda frames, mode: quantise(frames, "truncate" if mode == "round" else mode)
    )
    report = check(baseline_file)
    assert began(report).startswith("features (puppet-")
    rows = {(row.method, row.variant) for row in report.moved}
    assert ("fomm", "lpips/frames@1") in rows and ("fomm", "l1/frames@1") not in rows


def test_changed_metric_arithmetic_is_told_from_everything_before_it(baseline_file, monkeypatch):
    from benchbed.metrics.pixel import MeanAbsoluteError

    honest = MeanAbsoluteError.per_frame
    monkeypatch.setattr(
        MeanAbsoluteError, "per_frame", lambda self, ours, theirs: honest(self, ours, theirs) * (1 + 1e-4)
    )
    report = check(baseline_file)
    assert {name.split("/")[0] for name, _, _ in report.arithmetic} == {"l1"}
    assert {row.variant for row in report.moved} == {"l1/frames@1"}
    assert began(report) == "metric (l1/frames@1)"
    assert "metric arithmetic has changed" in report_text(report)


@pytest.fixture
def finished(baseline_file, tmp_path) -> Path:
    """A run of `flow`."""
    request = restored_request(read_baseline(baseline_file).request, methods=("flow",), device="cpu")
    return run(build_plan(request), tmp_path / "runs", command=["test"], quiet=True).folder


def test_a_finished_run_is_checked_as_it_is_and_what_it_lacks_does_not_pass_in_silence(
    baseline_file, finished
):
    known = read_baseline(baseline_file)
    assert check_run(known, finished, methods=("flow",)).clean
    lacking = check_run(known, finished)
    assert lacking.unmatched == (
        "fomm is in the baseline of reconstruction/puppets/absolute and was not run",
    )
    assert not lacking.clean and not lacking.moved


def test_a_method_the_baseline_does_not_know_does_not_pass_in_silence(baseline_file, finished):
    known = read_baseline(baseline_file)
    part = known.parts["cpu"]
    (section,) = part.measured.sections.values()
    section.methods["other"] = section.methods.pop("flow")
    report = check_run(known, finished)
    assert any(text.startswith("flow is not in the baseline") for text in report.unmatched)


def test_stored_values_that_do_not_follow_from_the_stored_frames_are_found(baseline_file, finished):
    import pandas as pd

    cases = pd.read_parquet(finished / "cases.parquet")
    index = cases.index[cases["variant"] == "ssim/gaussian-frames@1"][1]
    cases.loc[index, "value"] += 1e-9  # within any noise
    cases.to_parquet(finished / "cases.parquet")
    report = check_run(read_baseline(baseline_file), finished, methods=("flow",))
    assert "ssim/gaussian-frames@1 of flow on test/c001-m001 is stored as" in report.unmatched[0]


def test_what_does_not_fit_is_one_sentence_and_exit_status_2(baseline_file, finished, tmp_path, capsys):
    other_size = json.loads(baseline_file.read_text().replace('"64x64"', '"128x128"'))
    (tmp_path / "other-size.json").write_text(json.dumps(other_size))
    (tmp_path / "no-json").write_text("{")
    write_baseline(Baseline(read_baseline(baseline_file).request, {}, []), tmp_path / "no-device.json")
    for words, sentence in (
        (["--baseline", str(tmp_path / "none.json")], "does not exist; write one with"),
        (["--baseline", str(tmp_path / "no-json")], "is no baseline file"),
        ([str(finished), "--baseline", str(tmp_path / "other-size.json")], "its resolution is '128x128'"),
        ([str(finished), "--baseline", str(tmp_path / "no-device.json")], "no noise floor for 'cpu'"),
        ([str(tmp_path), "--baseline", str(baseline_file)], "is not a finished run"),
        (["--baseline", str(baseline_file), "--method", "oracle"], "method 'oracle' is not in the baseline"),
        (["--update", "--baseline", str(baseline_file)], "--update needs --reason TEXT"),
        (["--reason", "because"], "go with --update"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["check", *words, "--device", "cpu"])
        said = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == 2, words
        assert len(said) == 1 and sentence in said[0], said


THREADS = """
from benchbed.cli import check
from benchbed.cli.main import main

def threads(*given):
    import torch
    print(torch.get_num_threads())

check._update = threads
main(["check", "--update", "--reason", "test"])
"""


def test_a_baseline_is_measured_with_the_machines_own_threads():
    # one thread leaves a floor that a run with more does not keep
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    said = [
        subprocess.run(
            [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for environment in (own, {**own, "OMP_NUM_THREADS": "1"})
    ]
    assert said[0] == said[1] != ""


def test_a_part_of_the_cases_is_neither_baseline_nor_compared(baseline_file, tmp_path):
    request = restored_request(
        read_baseline(baseline_file).request, methods=("flow",), device="cpu", limit=1, metrics=("l1",)
    )
    folder = run(build_plan(request), tmp_path / "runs", command=["test"], quiet=True).folder
    with pytest.raises(BenchbedError, match=r"holds a part of the cases \(--limit, or a partial split\)"):
        check_run(read_baseline(baseline_file), folder)


def test_a_baseline_reads_back_as_it_was_written_and_keeps_why(baseline_file, tmp_path):
    known = read_baseline(baseline_file)
    part = known.parts["cpu"]
    assert part.provenance["reason"] == "for the tests" and part.provenance["libraries"]["torch"]
    assert [way["batch_size"] for way in part.provenance["ways"]] == [16, 1, 5]
    request = restored_request(known.request)
    again = updated(known, request, part)
    assert [entry["reason"] for entry in again.history] == ["for the tests"] * 2
    write_baseline(again, tmp_path / "again.json")
    read = read_baseline(tmp_path / "again.json").parts["cpu"]
    assert read.floors == part.floors
    # NaN is no equal of itself; the text is.
    assert repr(read.measured.sections) == repr(part.measured.sections)


def test_the_noise_floor_is_never_below_rounding(baseline_file):
    part = read_baseline(baseline_file).parts["cpu"]
    (section,) = part.measured.sections.values()
    (floors,) = part.floors.values()
    scores = section.methods["flow"].scores["l1/frames@1"]
    assert floors["flow"].scores["l1/frames@1"].case == 0.0  # nothing in it depends on batches or threads
    assert floors["flow"].case_tolerance("l1/frames@1", scores) == SAFETY * EPSILON
    learned = section.methods["fomm"].scores["lpips/frames@1"]
    assert SAFETY * EPSILON <= floors["fomm"].case_tolerance("lpips/frames@1", learned) < 1e-3


def test_the_bundled_baseline_is_of_the_main_job_and_says_why_it_was_written():
    known = read_baseline(default_path())
    assert known.request["protocols"] == ["reconstruction"]
    part = known.parts["cpu"]
    (section,) = part.measured.sections.values()
    assert len(section.cases) == 24 and {"static", "flow", "oracle", "fomm"} <= set(section.methods)
    assert part.provenance["reason"] and part.provenance["date"]
