"""The user's own clips from a CSV: stretches, boxes, and rows that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from benchbed.cli.main import cli
from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError, ClipError
from benchbed.frames import resize_frames
from benchbed.interfaces.dataset import RandomAccess, frame_count, frames_at

from .originals import drawn, write_lossless

HEADER = "clip,identity,domain,path,start,end,bbox\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lossless(tmp_path / "videos" / "long.mp4", drawn(100))
    for index, frame in enumerate(drawn(5, 32, 32, seed=7)):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "frames" / f"{index}.png")
    return tmp_path


def write(folder: Path, text: str, header: str = HEADER) -> str:
    (folder / "mine.csv").write_text(header + text)
    return str(folder / "mine.csv")


def pixels(dataset, clip: str) -> np.ndarray:
    return dataset.frames(clip).permute(0, 2, 3, 1).numpy()


def test_stretches_and_boxes_are_those_of_the_file(folder: Path) -> None:
    given = write(
        folder,
        "a,anna,face,videos/long.mp4,10,30,8-4-40-36\n"
        "b,berta,face,videos/long.mp4,90,,\n"
        "c,anna,face,frames,1,4,\n"
        "d,,,videos/long.mp4,,,\n",
    )
    dataset = open_dataset(given, resolution=32, domain="body")
    assert [(clip.id, clip.identity, clip.domain) for clip in dataset.clips("test")] == [
        ("a", "anna", "face"),
        ("b", "berta", "face"),
        ("c", "anna", "face"),
        ("d", "d", "body"),
    ]
    assert "clips of several domains (body, face)" in dataset.notes[-1]
    assert dataset.domain == "other" and dataset.resolution == (32, 32)
    frames = drawn(100)
    assert np.array_equal(pixels(dataset, "a"), resize_frames(frames[10:30, 4:36, 8:40], (32, 32)))
    assert np.array_equal(pixels(dataset, "b"), resize_frames(frames[90:], (32, 32)))
    assert np.array_equal(pixels(dataset, "c"), drawn(5, 32, 32, seed=7)[1:4])
    assert len(pixels(dataset, "d")) == 100


def test_single_frames_are_those_of_the_whole_clip(folder: Path) -> None:
    given = write(folder, "a,anna,face,videos/long.mp4,10,30,8-4-40-36\nc,anna,face,frames,1,,\n")
    dataset = open_dataset(given, resolution=32)
    for clip, count in (("a", 20), ("c", 4)):
        assert isinstance(dataset, RandomAccess) and frame_count(dataset, clip) == count
        assert frames_at(dataset, clip, [3, 0, 3]).equal(dataset.frames(clip)[[3, 0, 3]])
        with pytest.raises(ClipError, match="frame"):
            frames_at(dataset, clip, [count])


def test_every_wrong_row_is_named_and_the_rest_is_used(folder: Path) -> None:
    (folder / "inside").mkdir()
    outside = folder / "outside.mp4"
    write_lossless(outside, drawn(3))
    (folder / "inside" / "empty").mkdir()
    (folder / "inside" / "text.mp4").write_text("no video" * 100)
    write_lossless(folder / "inside" / "good.mp4", drawn(5))
    (folder / "inside" / "link.mp4").symlink_to(outside)
    given = write(
        folder / "inside",
        "good,x,face,good.mp4,,,\n"
        "up,x,face,../outside.mp4,,,\n"
        f"absolute,x,face,{outside},,,\n"
        "link,x,face,link.mp4,,,\n"
        "gone,x,face,gone.mp4,,,\n"
        "bare,x,face,,,,\n"
        "empty,x,face,empty,,,\n"
        "text,x,face,text.mp4,,,\n"
        "twice,x,face,good.mp4,,,\n"
        "twice,y,face,good.mp4,1,,\n"
        "range,x,face,good.mp4,4,2,\n"
        "word,x,face,good.mp4,first,,\n"
        "late,x,face,good.mp4,2,9,\n"
        "box,x,face,good.mp4,,,4-4-2-9\n"
        "wide,x,face,good.mp4,,,0-0-65-48\n"
        "who,x,cartoon,good.mp4,,,\n"
        "much,x,face,good.mp4,,,,more\n"
        ",x,face,good.mp4,,,\n",
    )
    dataset = open_dataset(given, resolution=32)
    assert len(dataset.clips("test")) == 16
    assert len(dataset.frames("good")) == 5
    for clip, sentence in {
        "up": "leads out of the table's folder",
        "absolute": "leads out of the table's folder",
        "link": "leads out of the table's folder",
        "gone": r"file 'gone.mp4' does not exist",
        "bare": "it has no path",
        "empty": "holds no image",
        "text": r"text\.mp4 is no readable video",
        "twice": "2 rows have this id",
        "range": r"its range 4\.\.2 holds no frame",
        "word": "start 'first' is no frame number",
        "late": r"its range 2\.\.9 is not in its file, which has 5 frames",
        "box": "bbox '4-4-2-9' is not",
        "wide": "bbox 0-0-65-48 reaches outside its frames of 64x48",
        "who": "domain 'cartoon' is none of",
        "much": "more fields than the header",
    }.items():
        with pytest.raises(ClipError, match=sentence) as caught:
            dataset.frames(clip)
        assert clip in str(caught.value)
    assert any("line 19 names no clip" in note for note in dataset.notes)
    assert any("rows cannot be used" in note for note in dataset.notes)


def test_missing_and_extra_columns_are_said(folder: Path) -> None:
    given = write(folder, "a,videos/long.mp4,x\n", "clip,path,colour\n")
    notes = open_dataset(given, resolution=32).notes
    assert any("columns not used: colour" in note for note in notes)
    assert any("no column 'identity': every clip is its own identity" in note for note in notes)
    for header, name in (("clip,identity\n", "path"), ("path,start\n", "clip")):
        with pytest.raises(BenchbedError, match=f"no column '{name}'"):
            open_dataset(write(folder, "a,b\n", header))
    with pytest.raises(BenchbedError, match="names no clip"):
        open_dataset(write(folder, ""))
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchbedError, match="no text file"):
        open_dataset(str(folder / "binary.csv"))


def test_splits_come_from_a_column_of_their_own(folder: Path) -> None:
    given = write(folder, "a,videos/long.mp4,train\nb,frames,\n", "clip,path,split\n")
    dataset = open_dataset(given, resolution=32)
    assert [clip.id for clip in dataset.clips("train")] == ["a"]
    assert [clip.id for clip in dataset.clips("test")] == ["b"]
    with pytest.raises(BenchbedError, match="no clip of split 'train'"):
        open_dataset(write(folder, "a,videos/long.mp4,,,\n", "clip,path\n")).clips("train")


def test_the_fingerprint_follows_rows_and_contents(folder: Path) -> None:
    line = "c,anna,face,frames,1,4,\n"
    first = open_dataset(write(folder, line), resolution=32).fingerprint
    assert open_dataset(write(folder, line), resolution=32).fingerprint == first
    for other in (
        "c,anna,face,frames,1,3,\n",
        "c,berta,face,frames,1,4,\n",
        "c,anna,face,frames,1,4,0-0-9-9\n",
    ):
        assert open_dataset(write(folder, other), resolution=32).fingerprint != first
    Image.new("RGB", (32, 32)).save(folder / "frames" / "0.png")
    assert open_dataset(write(folder, line), resolution=32).fingerprint != first


def test_a_run_on_a_table_names_the_broken_clip_and_scores_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = write(
        folder,
        "a,anna,face,videos/long.mp4,10,14,8-4-40-36\n"
        "b,berta,face,videos/long.mp4,40,44,\n"
        "c,carla,face,videos/gone.mp4,,,\n",
    )
    monkeypatch.chdir(folder)
    words = "run --protocol reconstruction --method static --metric l1 --no-mlflow --quiet --device cpu --resolution 32"
    result = CliRunner().invoke(cli, [*words.split(), "--dataset", given], standalone_mode=False)
    assert result.return_value == 1
    assert "file 'videos/gone.mp4' does not exist" in caplog.text
    (cases,) = (folder / "runs").glob("*/cases.parquet")
    frame = pd.read_parquet(cases).set_index("case")
    assert frame.status.to_dict() == {"a": "ok", "b": "ok", "c": "failed"}
    assert frame.identity.to_dict() == {"a": "anna", "b": "berta", "c": "carla"}
