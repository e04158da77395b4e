"""The copy of a run in MLflow: runs, batches, updates, and servers that are not there."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchbed.tables.build import build_tables
from benchbed.tables.render import render
from benchbed.tracking import mlflow_log
from benchbed.tracking.mlflow_log import RunSummary, log_run, metric_name

NAN = float("nan")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store with its tables and nothing else; creating one takes MLflow several seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with mlflow_log._quick_and_quiet():
        client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return f"sqlite:///{tmp_path}/mlflow.db"


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def score(method: str, metric: str, value: float, **changes: object) -> dict[str, object]:
    return {
        "method": method,
        "dataset": "puppets",
        "protocol": "reconstruction",
        "transfer": "absolute",
        "setting": "",
        "resolution": "64x64",
        "metric": metric,
        "variant": f"{metric}/frames@1",
        "unit": "",
        "direction": "lower",
        "value": value,
        "low": value - 0.1,
        "high": value + 0.1,
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


def summary(folder: Path, l1: float = 0.5) -> RunSummary:
    aggregate = pd.DataFrame(
        [
            score("static", "l1", 0.75),
            score("static", "psnr", float("inf"), low=NAN, high=NAN),
            score("fomm", "l1", l1),
            score("fomm", "psnr", NAN, status="failed", reason="out of memory", n=0),
        ]
    )
    costs = pd.DataFrame(
        [
            {
                "method": method,
                "dataset": "puppets",
                "protocol": "reconstruction",
                "transfer": "absolute",
                "setting": "",
                "fps": 120.0,
                "parameters": 7,
                "peak_memory_bytes": None,
                "device": "cpu",
                "status": "ok",
                "reason": "",
            }
            for method in ("static", "fomm")
        ]
    )
    tables = build_tables(aggregate, costs, [])
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables/reconstruction.md").write_text(render(tables[0], "markdown"), encoding="utf-8")
    case = folder / "samples/reconstruction_puppets-00/clip-0"
    case.mkdir(parents=True, exist_ok=True)
    for name in ("grid", "fomm"):
        (case / f"{name}.png").write_bytes(b"png")
    return RunSummary(
        run_id="1234abcd",
        command="benchbed run --all-methods",
        protocol="reconstruction",
        parameters={"seed": "0", "limit": ""},
        tags={"method.fomm.fingerprint": "ffff"},
        aggregate=aggregate,
        costs=costs,
        tables=tables,
        tables_dir=folder / "tables",
        samples=[case / "grid.png"],
    )


def runs(uri: str) -> tuple[Any, dict[str, Any]]:
    """The one parent and its children by name."""
    store = client(uri)
    experiment = store.get_experiment_by_name("benchbed")
    found = store.search_runs([experiment.experiment_id])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) == 1
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    assert len({run.info.run_name for run in children}) == len(children)
    return parents[0], {run.info.run_name: run for run in children}


def artifacts(uri: str, run: Any, folder: str) -> list[str]:
    return sorted(entry.path for entry in client(uri).list_artifacts(run.info.run_id, folder))


def test_a_run_becomes_a_parent_and_a_child_per_method(uri: str, tmp_path: Path) -> None:
    parent_id = log_run(summary(tmp_path), uri=uri)
    parent, children = runs(uri)
    assert parent.info.run_id == parent_id
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"protocol": "reconstruction", "seed": "0", "limit": ""}
    assert parent.data.tags["benchbed.command"] == "benchbed run --all-methods"
    assert parent.data.tags["method.fomm.fingerprint"] == "ffff"
    assert set(children) == {"static puppets", "fomm puppets"}

    fomm = children["fomm puppets"]
    assert fomm.info.status == "FAILED"
    assert fomm.data.params["method"] == "fomm"
    assert fomm.data.params["resolution"] == "64x64"
    assert fomm.data.metrics == {
        "l1": 0.5,
        "l1.low": 0.4,
        "l1.high": 0.6,
        "l1.n": 384,
        "l1.n_missing": 0,
        "frames_per_second": 120.0,
        "parameters": 7,
    }
    assert fomm.data.tags["key.l1"] == "key-l1"
    assert fomm.data.tags["variant.l1"] == "l1/frames@1"
    assert fomm.data.tags["failed.psnr"] == "out of memory"
    static = children["static puppets"]
    assert static.info.status == "FINISHED"
    assert static.data.tags["not_finite.psnr"] == "inf"
    assert "psnr" not in static.data.metrics


def test_tables_and_samples_are_artifacts(uri: str, tmp_path: Path) -> None:
    run = summary(tmp_path)
    log_run(run, uri=uri)
    parent, children = runs(uri)
    assert artifacts(uri, parent, "tables") == ["tables/reconstruction.md"]
    assert artifacts(uri, parent, "samples/clip-0") == ["samples/clip-0/grid.png"]
    assert artifacts(uri, children["fomm puppets"], "samples/clip-0") == ["samples/clip-0/fomm.png"]
    assert artifacts(uri, children["static puppets"], "samples") == []
    logged = json.loads(parent.data.tags["mlflow.loggedArtifacts"])
    assert logged == [{"path": "reconstruction-puppets-absolute.json", "type": "table"}]
    shown = client(uri).load_table(parent.info.experiment_id, "reconstruction-puppets-absolute.json")
    assert list(shown["method"]) == ["static", "fomm"]
    assert list(shown["L1 ↓"]) == ["0.750 ± 0.100", "0.500 ± 0.100"]


def test_a_resumed_run_updates_its_copy(uri: str, tmp_path: Path) -> None:
    first = log_run(summary(tmp_path), uri=uri)
    again = log_run(replace(summary(tmp_path, l1=0.25), parameters={"seed": "1", "limit": ""}), uri=uri)
    assert again == first
    parent, children = runs(uri)
    fomm = children["fomm puppets"]
    assert (
        fomm.data.metrics["l1"] == 0.25
    )  # lower than before: MLflow keeps the larger of two equally old values
    assert parent.data.params["seed"] == "0"
    assert parent.data.tags["changed.seed"] == "1"
    history = client(uri).get_metric_history
    assert [entry.value for entry in history(fomm.info.run_id, "l1")] == [0.5, 0.25]
    assert len(history(fomm.info.run_id, "l1.n")) == 1
    shown = client(uri).load_table(parent.info.experiment_id, "reconstruction-puppets-absolute.json")
    assert list(shown["method"]) == ["static", "fomm"]
    assert shown["L1 ↓"].iloc[1].startswith("0.250")


def test_the_default_store_is_in_the_working_directory(uri: str, tmp_path: Path) -> None:
    assert log_run(summary(tmp_path), uri=None) is not None
    parent, _ = runs(uri)
    assert parent.info.artifact_uri.startswith((tmp_path / "mlruns/benchbed").as_uri())
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


def test_the_environment_names_the_store(
    empty_store: Path, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(empty_store, tmp_path / "elsewhere/own.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere/own.db")
    assert log_run(summary(tmp_path), uri=None) is not None
    assert runs(f"sqlite:///{tmp_path}/elsewhere/own.db")[0].data.tags["benchbed.run_id"] == "1234abcd"
    assert client(uri).get_experiment_by_name("benchbed") is None


def test_each_run_is_written_in_one_batch(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    calls: list[str] = []
    original = MlflowClient.log_batch

    def counting(self: Any, run_id: str, *arguments: Any, **named: Any) -> Any:
        calls.append(run_id)
        return original(self, run_id, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", counting)
    log_run(summary(tmp_path), uri=uri)
    assert len(calls) == len(set(calls)) == 3


def test_a_server_that_is_down_costs_one_warning_and_no_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = summary(tmp_path)
    log_run(run, uri=f"http://127.0.0.1:{port}")  # imports MLflow, which is slow the first time
    caplog.clear()
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert log_run(run, uri=f"http://user:secret@127.0.0.1:{port}") is None
    assert time.monotonic() - start < 5
    assert [record.getMessage() for record in caplog.records] == [
        f"MLflow at http://127.0.0.1:{port} was not updated: no server answers there; "
        "the results are complete without it"
    ]


def test_a_server_that_never_answers_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_log, "SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with caplog.at_level(logging.WARNING):
            assert log_run(summary(tmp_path), uri=f"http://127.0.0.1:{silent.getsockname()[1]}") is None
    assert time.monotonic() - start < 30
    assert "the server did not answer within 1 s" in caplog.text


def test_a_store_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with caplog.at_level(logging.WARNING):
        assert log_run(summary(tmp_path), uri=f"sqlite:///{tmp_path}/file/mlflow.db") is None
    assert len(caplog.records) == 1
    assert "was not updated" in caplog.text


def test_metric_names_hold_only_what_mlflow_takes() -> None:
    assert metric_name("akd/euclidean@1") == "akd/euclidean-1"
    assert metric_name("ms-ssim.low") == "ms-ssim.low"


def test_the_numbers_of_references_of_a_sweep_are_steps_of_one_child(uri: str, tmp_path: Path) -> None:
    plain = summary(tmp_path)
    values = {0: 0.5, 1: 0.4, 2: 0.3}
    settings = {
        f"{kind} N_ref={count}": value
        for kind in ("reconstruction", "animation")
        for count, value in values.items()
    }
    sweep = replace(
        plain,
        aggregate=pd.DataFrame([score("fomm", "l1", v, setting=name) for name, v in settings.items()]),
        costs=pd.concat([plain.costs.tail(1).assign(setting=name) for name in settings]),
    )
    for _ in range(2):  # the second time nothing is logged again
        log_run(sweep, uri=uri)
    _, children = runs(uri)
    assert set(children) == {
        "fomm puppets reconstruction reconstruction absolute",
        "fomm puppets reconstruction animation absolute",
    }
    child = children["fomm puppets reconstruction animation absolute"]
    history = client(uri).get_metric_history(child.info.run_id, "l1")
    assert [(entry.step, entry.value) for entry in history] == list(values.items())
