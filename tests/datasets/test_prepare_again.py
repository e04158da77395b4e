"""`benchbed data prepare` carried out again, after a kill, on a full disk, from broken originals."""

from __future__ import annotations

import csv
import errno
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from benchbed.cli.data import data
from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.prepare import recut, writers
from benchbed.datasets.prepare.chunks import Chunk
from benchbed.datasets.prepare.records import Recipe
from benchbed.datasets.prepare.work import carry_out
from benchbed.datasets.standard.manifest import read_manifest
from benchbed.errors import BenchbedError, ClipError, StoreError

from .originals import (
    clip_frames,
    drawn,
    everything,
    prepare,
    row,
    write_lossless,
    write_metadata,
)

# -- again, and after a kill -------------------------------------------------------------------------------------


def test_finished_clips_are_not_made_again_and_lost_ones_are(tmp_path: Path, raw: Path, table: Path) -> None:
    prepare(raw, tmp_path / "root", [table])
    before = everything(tmp_path / "root")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "root").rglob("*.png")}
    assert prepare(raw, tmp_path / "root", [table]).made == 0
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "root").rglob("*.png")}
    shutil.rmtree(tmp_path / "root/test/xyz#000000#000012.mp4")
    (tmp_path / "root/test/abc-DEF_123#000010#000030.mp4/0000003.png").unlink()
    report = prepare(raw, tmp_path / "root", [table])
    assert (report.made, report.kept) == (2, 2)
    assert everything(tmp_path / "root") == before


def test_clips_stay_when_their_originals_are_deleted(tmp_path: Path, raw: Path, table: Path) -> None:
    first = prepare(raw, tmp_path / "root", [table])
    shutil.rmtree(raw)
    raw.mkdir()
    again = prepare(raw, tmp_path / "root", [table])
    assert again.made == 0 and again.splits == first.splits


def test_a_download_that_is_finished_later_is_cut_again(tmp_path: Path, raw: Path, table: Path) -> None:
    prepare(raw, tmp_path / "root", [table])
    write_lossless(raw / "abc-DEF_123.mp4", drawn(120, seed=4))
    assert prepare(raw, tmp_path / "root", [table]).made == 3


def test_another_resolution_makes_all_clips_anew(tmp_path: Path, raw: Path, table: Path) -> None:
    prepare(raw, tmp_path / "root", [table])
    assert prepare(raw, tmp_path / "root", [table], resolution=16).made == 4
    assert open_dataset(str(tmp_path / "root")).resolution == (16, 16)


def test_after_a_kill_the_same_command_ends_with_the_same_root(tmp_path: Path) -> None:
    rows = []
    for video in range(6):
        write_lossless(tmp_path / "raw" / f"v{video}.mp4", drawn(80, 200, 200, seed=video))
        rows += [
            row(f"v{video}", start, start + 20, "0-0-200-200", width=200, height=200)
            for start in (0, 20, 40, 60)
        ]
    table = write_metadata(tmp_path / "m.csv", rows)
    root = tmp_path / "root"
    words = ["data", "prepare", "taichi", "--from", str(tmp_path / "raw"), "--to", str(root), "--list"]
    words += [str(table), "--resolution", "64", "--workers", "2", "--quiet"]
    process = subprocess.Popen([sys.executable, "-m", "benchbed", *words])
    records = root / ".benchbed" / "clips" / "test"
    deadline = time.monotonic() + 120
    while not records.is_dir() or len(list(records.glob("*.json"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive, "workers outlived the process that they worked for"
    assert not (root / "benchbed.json").exists()
    for clip in (root / "test").iterdir():  # whatever has its name is whole
        assert len(clip_frames(clip)) == 20
    done = len(list((root / "test").iterdir()))
    assert 0 < done < 24
    result = subprocess.run([sys.executable, "-m", "benchbed", *words], capture_output=True, text=True)
    assert result.returncode == 0 and "24 of 24 test clips" in result.stdout
    assert f"{24 - done} clips made now, {done} were there" in result.stdout
    assert not list((root / ".benchbed").glob("work/*"))
    prepare(tmp_path / "raw", tmp_path / "other", [table], resolution=64)
    assert everything(root) == everything(tmp_path / "other")
    assert read_manifest(root) == read_manifest(tmp_path / "other")


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_broken_originals_are_named_and_the_rest_is_made(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    write_lossless(raw / "good.mp4", drawn(20))
    write_lossless(raw / "cut.mkv", noise)
    content = (raw / "cut.mkv").read_bytes()
    (raw / "cut.mkv").write_bytes(content[: len(content) // 2])
    (raw / "empty.mp4").touch()
    (raw / "text.mp4").write_text("an error page, not a video " * 40)
    (raw / "half.mp4.part").write_bytes(b"begun")
    rows = [row("cut", 0, 5, "0-0-64-48"), row("cut", 40, 60, "0-0-64-48")]
    rows += [row(name, 0, 5, "0-0-64-48") for name in ("empty", "good", "half", "text")]
    table = write_metadata(tmp_path / "m.csv", rows)
    words = ["prepare", "taichi", "--from", str(raw), "--to", str(tmp_path / "root"), "--list", str(table)]
    result = CliRunner().invoke(data, [*words, "--resolution", "32", "--workers", "1"], standalone_mode=False)
    assert result.return_value == 1
    assert result.output.startswith("2 of 6 test clips; 4 missing: ")
    with (tmp_path / "root" / "missing.csv").open() as stream:
        reasons = {one["clip"]: (one["kind"], one["reason"]) for one in csv.DictReader(stream)}
    assert reasons.pop("cut#000040#000060")[0] in ("truncated video", "unreadable video")
    assert reasons.pop("empty#000000#000005")[0] == "unreadable video"
    assert reasons.pop("half#000000#000005")[0] == "unfinished download"
    kind, reason = reasons.pop("text#000000#000005")
    assert kind == "unreadable video" and "text.mp4 is no readable video" in reason
    assert not reasons
    assert sorted(everything(tmp_path / "root")) == [
        "test/cut#000000#000005.mp4",
        "test/good#000000#000005.mp4",
    ]


def test_clips_before_and_behind_a_damaged_stretch_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchbed.datasets.prepare import originals

    plain = originals._Video._pixels

    def damaged(self, frame) -> np.ndarray:
        if 20 <= self.last < 30:
            raise ClipError(f"v.mp4 is damaged at frame {self.last}")
        return plain(self, frame)

    monkeypatch.setattr(originals._Video, "_pixels", damaged)
    write_lossless(tmp_path / "raw" / "v.mp4", drawn(400))
    rows = [row("v", start, start + 10, "0-0-64-48") for start in (5, 15, 22, 40, 380)]
    report = prepare(tmp_path / "raw", tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.lines[0] == "3 of 5 test clips; 2 missing: 2 (unreadable video)"
    assert sorted(everything(tmp_path / "root")) == [
        f"test/v#{start:06d}#{start + 10:06d}.mp4" for start in (5, 40, 380)
    ]


def test_a_span_without_a_frame_is_named(tmp_path: Path, raw: Path) -> None:
    rows = [row("xyz", 11, 12, "0-0-64-48", fps=100), row("xyz", 0, 9, "0-0-64-48")]
    report = prepare(raw, tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.lines[0] == "1 of 2 test clips; 1 missing: 1 (no frame in its time)"


def test_a_box_beside_the_frame_is_named(tmp_path: Path, raw: Path) -> None:
    rows = [row("xyz", 0, 5, "70-10-90-30"), row("xyz", 0, 6, "0-0-30-30")]
    report = prepare(raw, tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.lines[0] == "1 of 2 test clips; 1 missing: 1 (box outside the frame)" and report.failed


def test_a_process_that_dies_takes_one_original_with_it(tmp_path: Path) -> None:
    jobs = []
    for video in range(3):
        path = tmp_path / "raw" / f"v{video}.mp4"
        write_lossless(path, drawn(60, 200, 200, seed=video))
        chunks = tuple(Chunk("test", f"v{video}-{part}") for part in range(2))
        jobs.append(recut.Job(ClipFile(path.name, (path,), is_folder=False), chunks))
    outcomes: list[recut.Outcome] = []
    running = carry_out(jobs, tmp_path / "root", Recipe("png", (64, 64)), workers=2)
    for outcome in running:
        if not outcomes:
            psutil.Process().children()[0].kill()
        outcomes.append(outcome)
    assert sorted(one.chunk.name for one in outcomes) == sorted(c.name for job in jobs for c in job.chunks)
    lost = [one for one in outcomes if one.kind == "decoder ended"]
    assert len({one.chunk.name[:2] for one in lost}) <= 1
    assert all(one.finished is not None for one in outcomes if one not in lost)


def test_a_full_disk_ends_with_one_sentence_and_the_same_command_goes_on(
    tmp_path: Path, raw: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = writers.FolderWriter.add
    written = []

    def until_full(self: writers.FolderWriter, frame: np.ndarray) -> None:
        written.append(1)
        if len(written) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(self, frame)

    monkeypatch.setattr(writers.FolderWriter, "add", until_full)
    with pytest.raises(StoreError, match="is full: 1 clips are finished and stay"):
        prepare(raw, tmp_path / "root", [table])
    assert not (tmp_path / "root/.benchbed/work").exists()
    monkeypatch.setattr(writers.FolderWriter, "add", plain)
    report = prepare(raw, tmp_path / "root", [table])
    assert (report.made, report.kept) == (3, 1)


def test_an_interrupt_leaves_nothing_half_written(
    tmp_path: Path, raw: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: writers.FolderWriter, frame: np.ndarray) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writers.FolderWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(raw, tmp_path / "root", [table])
    monkeypatch.undo()
    left = {path.relative_to(tmp_path / "root").as_posix() for path in (tmp_path / "root").rglob("*")}
    assert left <= {".benchbed", ".benchbed/lock"}
    assert prepare(raw, tmp_path / "root", [table]).made == 4


def test_files_of_others_are_not_overwritten(tmp_path: Path, raw: Path, table: Path) -> None:
    theirs = tmp_path / "root/test/xyz#000000#000012.mp4"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    report = prepare(raw, tmp_path / "root", [table])
    assert theirs.read_text() == "mine" and report.failed
    assert "1 (in the way)" in report.lines[0]


def test_folders_and_options_that_do_not_fit_get_one_sentence(tmp_path: Path, raw: Path, table: Path) -> None:
    for arguments, sentence in (
        ((tmp_path / "nowhere", tmp_path / "root", [table]), "is no folder"),
        ((raw, raw / "root", [table]), "lies in --from"),
        ((raw, raw, [table]), "lies in --from"),
        ((tmp_path, tmp_path / "root", []), "lies in --from"),
        ((raw, tmp_path / "root", [table, table]), "both metadata tables"),
    ):
        with pytest.raises(BenchbedError, match=sentence):
            prepare(*arguments)
    with pytest.raises(BenchbedError, match="even number"):
        prepare(raw, tmp_path / "root", [table], layout="mp4", resolution=33)
    with pytest.raises(BenchbedError, match="at least 8"):
        prepare(raw, tmp_path / "root", [table], resolution=4)
    (tmp_path / "bare").mkdir()
    with pytest.raises(BenchbedError, match="hold no clip of taichi"):
        prepare(tmp_path / "bare", tmp_path / "root")
    assert not (tmp_path / "root").exists()
    prepare(raw, tmp_path / "root", [table])
    with pytest.raises(BenchbedError, match="was prepared as taichi; give ted a folder of its own"):
        prepare(raw, tmp_path / "root", [table], name="ted")
    (tmp_path / "root" / "benchbed.json").write_text("{ damaged")
    assert prepare(raw, tmp_path / "root", [table]).kept == 4


def test_two_preparations_of_one_root_do_not_meet(tmp_path: Path, raw: Path, table: Path) -> None:
    from filelock import FileLock

    (tmp_path / "root/.benchbed").mkdir(parents=True)
    with (
        FileLock(tmp_path / "root/.benchbed/lock"),
        pytest.raises(BenchbedError, match="another `data prepare` is at work"),
    ):
        prepare(raw, tmp_path / "root", [table])
