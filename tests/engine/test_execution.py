"""A run isolates what fails, keeps what it scored, and gives the same numbers whatever the batch size."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from benchbed.aggregate import aggregate, cases_frame, read_records
from benchbed.errors import BenchbedError, StoreError
from benchbed.executors import processes
from benchbed.executors.local import execute
from benchbed.plan import RunRequest, build_plan
from benchbed.tracking.store import Store

PLUGINS = Path(__file__).resolve().parents[1] / "plugin_package"
METRICS = ("l1", "psnr", "ssim")


def request(*methods: str, **changes) -> RunRequest:
    settings = {
        "protocols": ("reconstruction",),
        "datasets": ("squares",),
        "metrics": METRICS,
        "device": "cpu",
    }
    return RunRequest(**{**settings, "methods": methods, **changes})


def carry_out(asked: RunRequest, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    plan = build_plan(asked)
    store = Store(out / plan.run_id)
    execute(plan, store, quiet=True)
    stored = read_records(plan, store)
    return cases_frame(stored), aggregate(plan, stored).set_index(["method", "metric"])


def test_each_misbehaving_method_is_a_row_with_its_reason_and_the_others_complete(fakes, tmp_path):
    _, table = carry_out(
        request("dimmed", "raising", "nan", "wrong-shape", "out-of-range", "unbuildable", "oracle"), tmp_path
    )
    assert table.loc[("oracle", "l1"), "value"] == 0
    assert table.loc[("dimmed", "l1"), "value"] > 0.01
    reasons = {name: table.loc[(name, "l1"), "reason"] for name in table.index.get_level_values(0)}
    assert reasons["raising"] == "8 of 8 cases failed: RuntimeError: the network fell over"
    assert (
        reasons["nan"] == "8 of 8 cases failed: BadOutputError: animate returned 49152 NaN or infinite values"
    )
    assert "expected (16, 3, 32, 32)" in reasons["wrong-shape"]
    assert "expected [0, 1]" in reasons["out-of-range"]
    assert "a library of this method is missing" in reasons["unbuildable"]
    for name in ("raising", "nan", "wrong-shape", "out-of-range", "unbuildable"):
        assert table.loc[(name, "l1"), "status"] == "failed"
        assert np.isnan(table.loc[(name, "l1"), "value"])


def test_a_mean_over_fewer_cases_says_so_and_keeps_its_own_key(fakes, tmp_path):
    _, table = carry_out(request("dimmed", "half-raising"), tmp_path)
    half = table.loc[("half-raising", "l1")]
    assert half["status"] == "ok"
    assert half["reason"] == "4 of 8 cases failed: RuntimeError: dark corner"
    assert half["key"] != table.loc[("dimmed", "l1"), "key"]


def test_a_clip_that_cannot_be_read_is_named_and_costs_only_its_own_case(fakes, tmp_path):
    from benchbed_fakes.datasets.squares import Squares

    plan = build_plan(request("oracle", "dimmed"))
    broken = Squares(32, broken=frozenset({"square-2"}))
    object.__setattr__(plan.sections[0], "dataset", broken)
    store = Store(tmp_path / "run")
    summary = execute(plan, store, quiet=True)
    assert (summary.computed, summary.failed) == (14, 2)
    row = store.read(plan.sections[0].name, "oracle", "square-2").rows[0]
    assert (row.status, row.reason) == ("failed", "clip 'square-2' is truncated: 3 of 20 frames decoded")


def test_a_second_run_of_the_same_command_computes_nothing_and_says_what_was_reused(fakes, tmp_path, caplog):
    plan = build_plan(request("dimmed"))
    store = Store(tmp_path / plan.run_id)
    execute(plan, store, quiet=True)
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    with caplog.at_level(logging.INFO, logger="benchbed"):
        summary = execute(build_plan(request("dimmed")), Store(store.folder), quiet=True)
    assert (summary.reused, summary.computed) == (8, 0)
    assert "8 of 8 cases are stored already and reused; computing 0" in caplog.text
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before


def test_failed_cases_are_tried_again(fakes, tmp_path):
    plan = build_plan(request("raising"))
    store = Store(tmp_path / "run")
    assert execute(plan, store, quiet=True).failed == 8
    summary = execute(plan, store, quiet=True)
    assert (summary.reused, summary.failed) == (0, 8)


def test_scores_are_the_same_bytes_from_run_to_run(fakes, tmp_path):
    first, _ = carry_out(request("dimmed", "flow", "static"), tmp_path / "a")
    second, _ = carry_out(request("dimmed", "flow", "static"), tmp_path / "b")
    first.to_parquet(tmp_path / "a.parquet")
    second.to_parquet(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_batch_size_moves_no_score_by_more_than_float_noise(fakes, tmp_path, batch_size):
    _, reference = carry_out(request("dimmed", "flow", "static"), tmp_path / "a")
    _, other = carry_out(request("dimmed", "flow", "static", batch_size=batch_size), tmp_path / "b")
    np.testing.assert_allclose(other["value"], reference["value"], rtol=0, atol=1e-5)


def test_a_run_killed_half_way_resumes_without_computing_anything_twice(fakes, tmp_path):
    """SIGKILL, from outside, at a moment the process does not choose; the journal counts what was generated."""
    command = [
        *(sys.executable, "-m", "benchbed", "run", "--protocol", "reconstruction", "--dataset", "squares"),
        *("--method", "slow", "--method", "dimmed", "--metric", "l1", "--device", "cpu", "--no-mlflow"),
        *("--save-samples", "0", "--quiet", "--out", str(tmp_path / "runs")),
    ]

    def environment(journal: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(PLUGINS), "FAKES_JOURNAL": str(tmp_path / journal)}

    process = subprocess.Popen(command, env=environment("killed"), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while (
        len(list((tmp_path / "runs").glob("*/shards/*/slow/[!.]*.json"))) < 3 and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = len(list((tmp_path / "runs").glob("*/shards/*/*/[!.]*.json")))
    assert 3 <= stored < 16

    resumed = subprocess.run(command, env=environment("resumed"), capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{stored} of 16 cases are stored already and reused; computing {16 - stored}" in resumed.stderr
    # one call of encode a case, and one more per method for the warm-up that is not timed
    generated = (tmp_path / "resumed").read_text().split()
    assert len(generated) <= 16 - stored + 2

    whole = subprocess.run(
        [*command[:-1], str(tmp_path / "whole")],
        env=environment("journal-of-whole"),
        capture_output=True,
        text=True,
    )
    assert whole.returncode == 0, whole.stderr
    (resumed_cases,) = (tmp_path / "runs").glob("*/cases.parquet")
    (whole_cases,) = (tmp_path / "whole").glob("*/cases.parquet")
    assert resumed_cases.read_bytes() == whole_cases.read_bytes()


def test_a_full_disk_is_one_sentence_and_keeps_what_was_stored(fakes, tmp_path, monkeypatch):
    import errno

    from benchbed import files

    plan = build_plan(request("dimmed", save_samples=0))
    store = Store(tmp_path / "run")
    real_replace = os.replace
    written = []

    def filling_up(source, target):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(target)
        real_replace(source, target)

    monkeypatch.setattr(files.os, "replace", filling_up)
    with pytest.raises(
        StoreError, match=r"the disk that holds '.*' is full; free some space and run the same command"
    ):
        execute(plan, store, quiet=True)
    monkeypatch.setattr(files.os, "replace", real_replace)
    assert not list(store.folder.rglob("*.part*"))
    assert execute(plan, Store(store.folder), quiet=True).reused == 3


def test_a_run_of_another_schema_is_refused_with_what_to_do(tmp_path):
    store = Store(tmp_path / "run")
    store.write_run({"run_id": "x"})
    path = store.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 999}))
    with pytest.raises(StoreError, match="run again with --fresh or another --out"):
        Store(store.folder)


def test_an_output_path_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match=r"cannot write results to .* choose another folder with --out"):
        Store(tmp_path / "runs" / "id")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": ("reconstrution",)}, "did you mean 'reconstruction'"),
        ({"methods": ("fom",)}, "did you mean 'fomm'"),
        ({"metrics": ("l2",)}, "unknown metric 'l2'"),
        ({"metrics": ("akd/l7",)}, "metric 'akd' has no variant 'akd/l7'; known: akd/"),
        ({"datasets": ("pupets",)}, "did you mean 'puppets'"),
        ({"datasets": ("./nowhere",)}, "does not exist; give a folder of videos"),
        ({"split": "val"}, "has no split 'val'"),
        ({"limit": 0}, "--limit 0 leaves no case"),
        ({"device": "cuda:97"}, "device 'cuda:97' cannot be used here"),
        ({"transfer": "avd"}, "has no transfer 'avd'"),
    ],
)
def test_bad_input_is_one_sentence_that_helps(fakes, changes, message):
    with pytest.raises(BenchbedError) as caught:
        build_plan(request("static", **changes))
    assert message in str(caught.value)


def test_a_limited_run_is_marked_and_has_another_id(fakes, tmp_path):
    _, table = carry_out(request("dimmed", limit=2), tmp_path)
    assert table["partial"].all()
    assert build_plan(request("dimmed", limit=2)).run_id != build_plan(request("dimmed")).run_id


def test_a_second_method_computes_no_feature_of_real_frames_again(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BENCHBED_CACHE", str(tmp_path / "cache"))
    plan = build_plan(
        request("static", "oracle", datasets=("puppets",), metrics=("lpips", "fid", "kid", "aed"), limit=2)
    )
    with caplog.at_level(logging.INFO, logger="benchbed"):
        execute(plan, Store(tmp_path / plan.run_id), quiet=True)
    first, second = (line for line in caplog.messages if line.startswith("real-frame features"))
    for name in ("puppet-features", "puppet-features-pooled", "puppet-identity"):
        assert f"{name} 32 frames computed, 0 found" in first
        assert f"{name} 0 frames computed, 32 found" in second


def test_variants_without_the_source_frame_and_against_source_frames_are_what_they_say(tmp_path):
    variants = (
        "l1/frames",
        "l1/frames-after-source",
        "fid/all-frames",
        "fid/without-source",
        "fid/source-frames",
    )
    plan = build_plan(request("static", datasets=("puppets",), metrics=variants, limit=3))
    store = Store(tmp_path / plan.run_id)
    execute(plan, store, quiet=True)
    table = aggregate(plan, read_records(plan, store)).set_index("variant")
    every, rest = table.loc["l1/frames@1"], table.loc["l1/frames-after-source@1"]
    # The source itself is reproduced exactly: leaving it out spreads the same sum over one frame less.
    assert (every.n, rest.n) == (48, 45)
    assert rest.value == pytest.approx(every.value * 16 / 15, rel=1e-12)
    fid = table.loc[[f"fid/{name}@1" for name in ("all-frames", "without-source", "source-frames")]]
    assert fid.n.tolist() == [48, 45, 48]
    # In reconstruction the source's clip is the target's: both reference sets are one.
    assert fid.value.iloc[2] == pytest.approx(fid.value.iloc[0], rel=1e-12)
    assert abs(fid.value.iloc[1] - fid.value.iloc[0]) > 1e-3
    assert "48 frames of 3 clips: under 2,048 frames" in fid.note.iloc[0]


def test_set_metrics_of_one_evaluator_share_what_is_stored(tmp_path):
    plan = build_plan(request("static", datasets=("puppets",), metrics=("fid", "kid", "fid/legacy"), limit=1))
    store = Store(tmp_path / plan.run_id)
    execute(plan, store, quiet=True)
    (record,) = read_records(plan, store)[plan.sections[0].name, "static"]
    assert list(record.set_features) == ["puppet-features-pooled round", "puppet-features-pooled truncate"]
    pair = record.set_features["puppet-features-pooled round"]
    assert pair.generated.vectors.shape == pair.target.vectors.shape == (16, 128)
    assert (pair.generated.frames, pair.target_clip) == (16, plan.sections[0].cases[0].target)


def test_among_all_methods_one_without_weights_is_skipped_and_asked_for_by_name_it_has_failed(
    fakes, tmp_path
):
    for methods, status in (((), "skipped"), (("weightless",), "failed")):
        _, table = carry_out(request(*methods, metrics=("l1",), limit=1), tmp_path / status)
        row = table.loc[("weightless", "l1")]
        assert (row.status, "--checkpoint weightless=FILE" in row.reason) == (status, True)


# ---- several methods at a time ----


def test_processes_give_what_one_gives(tmp_path):
    plan = build_plan(
        RunRequest(("reconstruction",), ("static", "flow", "oracle"), limit=2, device="cpu", save_samples=0)
    )
    serial, parallel = Store(tmp_path / "serial"), Store(tmp_path / "parallel")
    cache = tmp_path / "cache"
    one = execute(plan, serial, quiet=True, cache=cache)
    two = execute(plan, parallel, quiet=True, cache=cache, workers=2)
    assert (one.computed, one.failed) == (two.computed, two.failed) == (6, 0)
    (section,) = plan.sections
    for method in plan.methods:
        for case in section.cases:
            ours, theirs = (store.read(section.name, method.name, case.id) for store in (serial, parallel))
            assert ours.rows == theirs.rows
            assert ours.stages == theirs.stages
    assert execute(plan, parallel, quiet=True, cache=cache, workers=2).reused == 6


def test_a_worker_that_cannot_write_stops_the_run_with_its_sentence(tmp_path):
    plan = build_plan(RunRequest(("reconstruction",), ("static", "oracle"), limit=1, device="cpu"))
    store = Store(tmp_path / "run")
    (store.folder / "shards").rmdir()
    (store.folder / "shards").write_text("in the way")
    with pytest.raises(StoreError, match="cannot"):
        execute(plan, store, quiet=True, cache=tmp_path / "cache", workers=2)


def test_only_many_cases_of_small_frames_on_a_cpu_are_worth_several_processes(fakes, monkeypatch):
    monkeypatch.setattr(processes, "MEMORY_EACH", 1)
    monkeypatch.setattr(processes.os, "sched_getaffinity", lambda _: range(4), raising=False)
    plan = build_plan(request("dimmed", "static"))
    assert processes.suitable_workers(plan, 1000, 2) == 2
    assert processes.suitable_workers(plan, 1000, 19) == 4
    assert processes.suitable_workers(plan, processes.WORTH_STARTING - 1, 19) == 1
    assert processes.suitable_workers(replace(plan, device="cuda:0"), 1000, 19) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_denormal_numbers_are_zero_on_every_thread_once_there_is_a_plan(threads):
    code = (
        f"import torch; torch.set_num_threads({threads})\n"
        "from benchbed.plan import RunRequest, build_plan\n"
        "build_plan(RunRequest(('reconstruction',), ('static',), limit=1, device='cpu'))\n"
        "tiny = torch.full((1 << 22,), 1e-20)\n"  # large enough to be shared among threads
        "assert (tiny * tiny == 0).all()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Ended:
    def __init__(self, exitcode: int | None) -> None:
        self.exitcode = exitcode


@pytest.mark.parametrize("codes", [(-9, None), (0, 0), (1, 0)])
def test_workers_that_end_early_are_said(codes):
    ended = [Ended(code) for code in codes]
    with pytest.raises(BenchbedError, match=r"worker process ended with code .* the same command goes on"):
        processes._require_alive(ended, all_ended=None not in codes)


def test_workers_at_work_are_waited_for():
    processes._require_alive([Ended(None), Ended(0)], all_ended=False)


def test_an_orphaned_worker_ends_and_what_it_stored_stays(tmp_path):
    command = [sys.executable, "-m", "benchbed", "run", "--protocol", "reconstruction", "--method", "static",
               "--method", "flow", "--workers", "2", "--device", "cpu", "--no-mlflow", "--quiet",
               "--out", str(tmp_path)]  # fmt: skip
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (stored := list(tmp_path.glob("*/shards/*/*/*.json"))):
        assert killed.poll() is None
        time.sleep(0.1)
    children = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    killed.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert all(path.exists() for path in stored)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "are stored already and reused" in again.stderr and "INFO: 0 of 48" not in again.stderr
