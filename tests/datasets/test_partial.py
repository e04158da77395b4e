"""Standard data sets as they are opened: their own rules, only their own clips, and a partial split says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.standard.card import standard_card
from benchbed.datasets.standard.manifest import ListOrigin
from benchbed.drift.measurement import read_measurement
from benchbed.errors import BenchbedError
from benchbed.executors.unseen import SeenError, require_unseen
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.listed import ListedDataset
from benchbed.plan import RunRequest, build_plan
from benchbed.tables.build import build_tables
from benchbed.tables.render import render

from .roots import drawn, manifest_of, write_frames, write_root

CLIPS = {"aaaaaaaaaaa#000010#000016": 4, "bbbbbbbbbbb#000001#000007": 5, "ccccccccccc#000001#000007": 3}
GONE = {"ddddddddddd#000001#000065": "video unavailable", "eeeeeeeeeee#000001#000065": "video unavailable"}
TRAIN = {"fffffffffff#000001#000009": 3}
LIST = ListOrigin("test_list.txt", "ab" * 32, ("DAM",))


@pytest.fixture
def root(tmp_path):
    """A root that lacks two of five test clips."""
    folder = write_root(tmp_path / "prepared", {"test": CLIPS, "train": TRAIN})
    manifest_of(folder, "taichi", missing=GONE, origin=LIST)
    return folder


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "benchbed",
        "run",
        "--method",
        "static",
        "--metric",
        "l1",
        "--device",
        "cpu",
    ]
    return subprocess.run(
        [*command, "--no-mlflow", "--quiet", *words], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_a_prepared_root_opens_as_its_data_set_and_keeps_its_rules(root):
    dataset = open_dataset(str(root))
    assert isinstance(dataset, Dataset) and isinstance(dataset, ListedDataset)
    assert (dataset.name, dataset.domain, dataset.resolution) == ("taichi", "body", (32, 32))
    assert [clip.id for clip in dataset.clips("test")] == sorted(CLIPS)
    assert [clip.identity for clip in dataset.clips("test")] == ["aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc"]
    assert dataset.clip("fffffffffff#000001#000009").identity == "fffffffffff"
    assert dataset.frames("bbbbbbbbbbb#000001#000007").shape == (5, 3, 32, 32)
    assert dataset.metrics == standard_card("taichi").metrics


def test_a_partial_split_says_how_many_of_how_many_and_why(root):
    dataset = open_dataset(str(root))
    assert isinstance(dataset, ListedDataset)
    assert dataset.incomplete("test") == "3 of 5" and dataset.incomplete("train") == ""
    assert "test split is partial: n = 3 of 5; missing: video unavailable (2)" in dataset.notes
    assert any("the list of DAM" in note for note in dataset.notes)


def test_a_name_means_the_folder_below_the_data_folder(root, monkeypatch):
    monkeypatch.setenv("BENCHBED_DATA", str(root.parent))
    root.rename(root.parent / "taichi")
    assert open_dataset("taichi").fingerprint == open_dataset(str(root.parent / "taichi")).fingerprint


def test_one_split_alone_leaves_the_others_unread(root):
    only = open_dataset(str(root), split="test")
    before = only.fingerprint
    shutil.rmtree(root / "train")
    assert open_dataset(str(root), split="test").fingerprint == before
    with pytest.raises(BenchbedError, match="has no split 'train'"):
        only.clips("train")


def test_clips_that_the_manifest_does_not_name_are_left_out_and_told(root):
    before = open_dataset(str(root), split="test").fingerprint
    write_frames(root / "test" / "xxxxxxxxxxx#000001#000005.mp4", drawn(4, 9))
    dataset = open_dataset(str(root), split="test")
    assert len(dataset.clips("test")) == 3 and dataset.fingerprint == before
    assert any("1 clip not in the manifest, left out (xxxxxxxxxxx" in note for note in dataset.notes)


def test_a_prepared_clip_that_has_gone_since_is_missing(root):
    shutil.rmtree(root / "test" / "bbbbbbbbbbb#000001#000007.mp4")
    dataset = open_dataset(str(root))
    assert isinstance(dataset, ListedDataset) and dataset.incomplete("test") == "2 of 5"
    assert any("1 prepared clip no longer there (bbbbbbbbbbb" in note for note in dataset.notes)


def test_a_changed_clip_and_another_list_change_the_fingerprint(root):
    before = open_dataset(str(root)).fingerprint
    manifest_of(root, "taichi", origin=LIST)
    without_gaps = open_dataset(str(root)).fingerprint
    (root / "test" / "bbbbbbbbbbb#000001#000007.mp4" / "0000000.png").write_bytes(b"")
    assert len({before, without_gaps, open_dataset(str(root)).fingerprint}) == 3


def test_a_root_of_other_tools_opens_by_name_and_path(tmp_path):
    root = write_root(tmp_path / "cut", {"test": CLIPS, "train": TRAIN})
    dataset = open_dataset(f"taichi={root}")
    assert (dataset.name, dataset.resolution) == ("taichi", (256, 256))
    assert isinstance(dataset, ListedDataset)
    assert dataset.incomplete("test") == "3 of 87"  # the fewest that anyone states
    assert any(
        "there are 3" in note or "3 clips, fewer than the 87 of dime" in note for note in dataset.notes
    )
    assert open_dataset(f"taichi={root}", resolution=32).resolution == (32, 32)


def test_a_root_without_splits_is_the_test_split(tmp_path):
    for name in CLIPS:
        write_frames(tmp_path / "flat" / f"{name}.mp4", drawn(3, 1))
    assert len(open_dataset(f"taichi={tmp_path / 'flat'}").clips("test")) == 3


def test_a_root_of_another_data_set_or_of_none_is_one_sentence(root, tmp_path):
    with pytest.raises(BenchbedError, match=r"was prepared as taichi, not as ted; write taichi="):
        open_dataset(f"ted={root}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchbedError, match=r"empty holds no clip of ted; prepare it with"):
        open_dataset(f"ted={tmp_path / 'empty'}")
    with pytest.raises(BenchbedError, match=r"ted root '.*nowhere' is no folder"):
        open_dataset(f"ted={tmp_path / 'nowhere'}")


def test_metrics_that_do_not_apply_are_not_planned(tmp_path):
    root = write_root(tmp_path / "gifs", {"test": {"00000.gif": 3, "00001.gif": 2}})
    plan = build_plan(
        RunRequest(("reconstruction",), ("static",), (f"mgif={root}",), device="cpu", resolution=32)
    )
    measured = {measure.metric for measure in plan.sections[0].measures}
    assert measured == {"l1", "psnr", "ssim", "ms-ssim", "lpips", "fid", "kid"}
    wanted = RunRequest(
        ("reconstruction",), ("static",), (f"mgif={root}",), ("akd",), device="cpu", resolution=32
    )
    assert [measure.metric for measure in build_plan(wanted).sections[0].measures] == ["akd"]


def test_a_partial_split_is_marked_in_the_table_the_notes_and_the_records(root, tmp_path):
    done = run("--protocol", "reconstruction", "--dataset", str(root), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "reconstruction, taichi, 32x32, absolute transfer (partial: n = 3 of 5 clips)" in done.stdout
    assert "missing: video unavailable (2)" in done.stdout
    assert "(--limit)" not in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    records = pd.read_parquet(folder / "aggregate.parquet")
    assert records["partial"].all() and set(records["incomplete"]) == {"3 of 5"}
    with pytest.raises(BenchbedError, match=r"holds a part of the cases \(--limit, or a partial split\)"):
        read_measurement(folder)


def test_a_partial_split_is_never_ranked_beside_the_full_one(root, tmp_path):
    manifest_of(root, "taichi", origin=LIST)
    full = build_plan(
        RunRequest(("reconstruction",), ("static",), (str(root),), ("l1",), device="cpu")
    ).sections[0]
    manifest_of(root, "taichi", missing=GONE, origin=LIST)
    part = build_plan(
        RunRequest(("reconstruction",), ("static",), (str(root),), ("l1",), device="cpu")
    ).sections[0]
    assert not full.partial and part.partial and part.incomplete == "3 of 5" and not part.limited
    assert set(full.keys) & set(part.keys) == set()

    for missing in ({}, GONE):
        manifest_of(root, "taichi", missing=missing, origin=LIST)
        name = "part" if missing else "full"
        done = run("--protocol", "reconstruction", "--dataset", str(root), "--out", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    frames = [
        pd.read_parquet(next((tmp_path / name).rglob("aggregate.parquet"))) for name in ("full", "part")
    ]
    frames[1]["method"] = "another"
    # Two of the full runs make them the majority of the column.
    twin = frames[0].assign(method="twin")
    costs = pd.concat(
        [pd.read_parquet(next((tmp_path / name).rglob("costs.parquet"))) for name in ("full", "part")]
    )
    (table,) = build_tables(pd.concat([frames[0], twin, frames[1]]), costs.head(0), [])
    text = render(table, "markdown")
    assert "partial" not in table.title
    assert "not ranked with its column: from a partial split, n = 3 of 5 clips" in text


def test_published_pairs_are_told_in_the_notes(shared, tmp_path):
    pairs = shared / "data" / "splits" / "pairs" / "fomm_taichi256.csv"
    source, driving = pairs.read_text().splitlines()[1].split(",")[1:3]
    root = write_root(
        tmp_path / "cut", {"test": {source.removesuffix(".mp4"): 3, driving.removesuffix(".mp4"): 2}}
    )
    request = RunRequest(
        ("animation",), ("static",), (f"taichi={root}",), ("fid/source-frames",), device="cpu", resolution=32, pairs=pairs
    )  # fmt: skip
    (section,) = build_plan(request).sections
    assert len(section.cases) == 1 and section.partial
    assert any("taichi256.csv of FOMM" in note for note in section.notes)
    assert any("1 of 50 listed pairs" in note for note in section.notes)


@pytest.mark.parametrize(
    ("name", "trained_on", "seen"),
    [
        ("taichi", "taichi-hd", True),
        ("taichi", "taichi", True),
        ("uva-nemo", "nemo", True),
        ("ted", "ted-talks", True),
        ("taichi", "taichi-mocogan", False),
        ("taichi", "voxceleb", False),
        ("mgif", "none", False),
        ("mgif", "unknown", False),
    ],
)
def test_weights_have_seen_a_data_set_under_whichever_name_they_record_it(tmp_path, name, trained_on, seen):
    root = write_root(tmp_path / "cut", {"test": {"a": 2}})
    dataset = open_dataset(f"{name}={root}")
    if seen:
        with pytest.raises(SeenError, match=f"fomm was trained on {name}"):
            require_unseen("fomm", trained_on, dataset)
    else:
        require_unseen("fomm", trained_on, dataset)
