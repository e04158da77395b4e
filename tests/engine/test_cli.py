"""The command line as a user meets it: exit statuses, sentences, tables; every command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

PLUGINS = Path(__file__).resolve().parents[1] / "plugin_package"


def benchbed(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "benchbed", *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


RUN = (
    "run",
    "--protocol",
    "reconstruction",
    "--dataset",
    "squares",
    "--device",
    "cpu",
    "--no-mlflow",
    "--quiet",
)


def test_a_finished_run_prints_its_table_and_leaves_what_the_design_promises(tmp_path):
    done = benchbed(*RUN, "--method", "static", "--method", "oracle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"run.json", "cases.parquet", "frames.parquet", "aggregate.parquet", "costs.parquet"} <= left
    tables = {Path(name).suffix for name in left if name.startswith("tables/")}
    assert {".md", ".csv", ".tex", ".html"} <= tables
    assert sum(name.endswith("grid.png") for name in left) == 2
    provenance = json.loads((folder / "run.json").read_text())
    assert provenance["state"] == "finished" and provenance["computed_cases"] == 16
    again = benchbed("table", str(folder), "--format", "csv", cwd=tmp_path)
    assert again.stdout.strip() == next((folder / "tables").glob("*.csv")).read_text().strip()


def test_the_exit_status_is_1_when_a_method_failed_and_its_row_says_why(tmp_path):
    done = benchbed(*RUN, "--method", "raising", "--method", "static", cwd=tmp_path)
    assert done.returncode == 1
    assert "RuntimeError: the network fell over" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("rnu",), "unknown command 'rnu'; known: run, animate"),
        ((*RUN, "--method", "statc"), "unknown method 'statc'; known: "),
        ((*RUN, "--method", "static", "--metric", "lips"), "(did you mean 'lpips'?)"),
        (
            (*RUN, "--method", "static", "--checkpoint", "static"),
            "--checkpoint wants METHOD=VALUE, got 'static'",
        ),
        (
            (*RUN, "--method", "fomm", "--checkpoint", "fomm=no.pth"),
            "checkpoint 'no.pth' for fomm does not exist",
        ),
        (RUN, "name methods with --method, or take them all with --all-methods"),
        (("explain", "AKDD"), "unknown metric 'akdd'; known: "),
        (("table", "nowhere"), "'nowhere' is not a finished run"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_status_2(tmp_path, words, sentence):
    done = benchbed(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_an_output_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = benchbed(*RUN, "--method", "static", "--out", "taken/runs", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write results to" in done.stderr and "choose another folder with --out" in done.stderr


class _Mischief:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_checkpoint_that_wants_to_execute_code_is_refused_and_the_run_goes_on(tmp_path):
    trace = tmp_path / "executed"
    torch.save({"generator": _Mischief(str(trace))}, tmp_path / "bad.pth")
    done = benchbed(
        *RUN, "--method", "fomm", "--method", "oracle", "--checkpoint", "fomm=bad.pth", cwd=tmp_path
    )
    assert done.returncode == 1
    assert not trace.exists()
    assert "refused" in done.stdout
    assert "oracle" in done.stdout


def test_a_dry_run_writes_nothing(tmp_path):
    done = benchbed(*RUN, "--method", "static", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "8 cases x 1 methods (static)" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_animate_converts_a_16_bit_source_with_alpha_and_says_so(tmp_path):
    Image.fromarray(np.full((30, 50, 4), 128, np.uint8), "RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(np.full((64, 64), 40000, np.uint16)).save(tmp_path / "sixteen.png")
    strip = np.concatenate([np.full((32, 32, 3), 10 * i, np.uint8) for i in range(5)], axis=1)
    Image.fromarray(strip).save(tmp_path / "driving.png")
    for source, word in (("alpha.png", "alpha"), ("sixteen.png", "16")):
        done = benchbed(
            *(
                "animate",
                "--method",
                "static",
                "--source",
                source,
                "--driving",
                "driving.png",
                "-o",
                f"{source}.mp4",
            ),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert word in done.stdout and "5 frames" in done.stdout
        assert (tmp_path / f"{source}.mp4").stat().st_size > 0


def test_list_prints_every_kind_and_json_is_json(tmp_path):
    for kind in ("methods", "metrics", "protocols", "datasets", "evaluators"):
        plain = benchbed("list", kind, "-v", cwd=tmp_path)
        assert plain.returncode == 0, plain.stderr
        cards = json.loads(benchbed("list", kind, "--json", cwd=tmp_path).stdout)
        assert all(card["name"] in plain.stdout for card in cards)
