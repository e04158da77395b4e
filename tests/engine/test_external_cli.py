"""`benchbed evaluate` as a user meets it: exit statuses, sentences, and its run beside another's."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchbed.datasets.video_io import write_video

PLUGINS = Path(__file__).resolve().parents[1] / "plugin_package"
SQUARES = ("--protocol", "reconstruction", "--dataset", "squares", "--metric", "l1", "--device", "cpu")
QUIETLY = ("--no-mlflow", "--quiet", "--save-samples", "0")


def benchbed(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "benchbed", *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_frames_under_the_listed_names_are_scored_and_stand_beside_a_method(tmp_path):
    listed = benchbed("evaluate", *SQUARES, "--list-expected", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rows = list(csv.DictReader(listed.stdout.splitlines()))
    assert len(rows) == 8 and not (tmp_path / "runs").exists()
    for row in rows:
        write_video(tmp_path / "frames" / f"{row['path']}.png", np.full((20, 32, 32, 3), 90, np.uint8))
    own = benchbed("evaluate", *SQUARES, *QUIETLY, "--generated", "frames", "--name", "gray", cwd=tmp_path)
    assert own.returncode == 0, own.stderr
    assert "8 of 8 cases have frames that fit" in own.stdout
    other = benchbed("run", *SQUARES, *QUIETLY, "--method", "static", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    both = benchbed("table", *map(str, (tmp_path / "runs").iterdir()), "--format", "csv", cwd=tmp_path)
    assert {line["method"] for line in csv.DictReader(both.stdout.splitlines())} == {"gray", "static"}
    assert "not ranked" not in both.stdout


def test_a_case_without_frames_is_status_1_and_in_the_report(tmp_path):
    for number in range(7):
        write_video(tmp_path / "frames" / f"square-{number}.png", np.full((20, 32, 32, 3), 90, np.uint8))
    done = benchbed("evaluate", *SQUARES, *QUIETLY, "--generated", "frames", cwd=tmp_path)
    assert done.returncode == 1
    assert "7 of 8 cases have frames that fit" in done.stdout
    assert "square-7: nothing is called 'square-7'" in done.stdout
    (report,) = (tmp_path / "runs").glob("*/generated-frames.txt")
    assert "square-7" in report.read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give the folder of generated frames with --generated DIR"),
        (("--generated", "nowhere", "--name", "mine"), "'nowhere' is no folder"),
        (("--generated", ".", "--name", "my frames"), "--name 'my frames' cannot be used"),
        (("--generated", ".", "--name", "fomm"), "--name 'fomm' belongs to a method of benchbed"),
        (("--generated", ".", "--name", "mine"), "holds frames of none of the 8 cases"),
        (("--generated", ".", "--name", "mine", "--setting", "x"), "this protocol has one setting only"),
        (
            ("--generated", ".", "--name", "mine", "--paths", "no.csv"),
            "--paths 'no.csv' cannot be read",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_status_2(tmp_path, words, sentence):
    done = benchbed("evaluate", *SQUARES, *words, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_published_outputs_of_two_methods_are_read_from_their_comparison_videos(shared, tmp_path):
    """One pair each, without ground truth; which measures have weights does not matter here."""
    origin = shared / "data" / "clips" / "methods" / "taichi_example2"
    clips = tmp_path / "taichi"
    (clips / "person").mkdir(parents=True)
    (clips / "driving.mp4").write_bytes((origin / "driving.mp4").read_bytes())
    for number in range(2):  # a still is no clip: the source image, twice
        (clips / "person" / f"{number}.png").write_bytes((origin / "pair1" / "source.png").read_bytes())
    (tmp_path / "pairs.csv").write_text("source,driving\nperson,driving\n")
    for method in ("fomm", "mraa"):
        (tmp_path / "paths.csv").write_text(f"case,path\nperson--driving,pair1/{method}.mp4\n")
        done = benchbed(
            *("evaluate", "--protocol", "animation", "--dataset", "./taichi", "--pairs", "pairs.csv"),
            *("--generated", str(origin), "--paths", "paths.csv", "--name", f"{method}-published"),
            *("--metric", "fid/source-frames", "--device", "cpu", *QUIETLY),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "1 of 1 cases have frames that fit" in done.stdout
        assert "frames are compressed with loss (h264, yuv420p)" in done.stdout
