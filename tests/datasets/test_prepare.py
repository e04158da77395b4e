"""`benchbed data prepare`: crops against a plain reading of the rule, the account, the forms."""

from __future__ import annotations

import csv
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchbed.cli.data import data
from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.prepare.plan import plan_preparation
from benchbed.datasets.standard.card import standard_card
from benchbed.datasets.standard.lists import read_split_list
from benchbed.datasets.standard.manifest import content_sha256, read_manifest
from benchbed.datasets.video_folder import open_folder
from benchbed.errors import BenchbedError

from .originals import (
    COLUMNS,
    SIDE,
    clip_frames,
    drawn,
    everything,
    plainly_cut,
    prepare,
    row,
    write_lossless,
    write_metadata,
)

# -- the rule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "imageio_rate", "fps", "size"),
    [
        (Fraction(25), 25.0, 25, (48, 64)),
        (Fraction(60000, 1001), 59.94, 29.97, (48, 64)),
        (Fraction(60000, 1001), 59.94, 25, (48, 64)),
        (Fraction(30000, 1001), 29.97, 29.97, (72, 96)),
        (Fraction(30000, 1001), 29.97, 59.94, (24, 32)),
        (Fraction(24000, 1001), 23.98, 23.97, (50, 70)),
    ],
)
def test_clips_are_those_of_a_plain_reading_of_the_rule(
    tmp_path: Path, rate: Fraction, imageio_rate: float, fps: float, size: tuple[int, int]
) -> None:
    path = tmp_path / "raw" / "vid.mp4"
    write_lossless(path, drawn(140, *size), rate)
    rows = [
        row("vid", 0, 20, "0-0-64-48", fps=fps),
        row("vid", 7, 31, "8-4-40-36", fps=fps),
        row("vid", 30, 45, "40-20-100-90", fps=fps),  # reaches outside: shorter, and stretched to a square
        row("vid", 40, 48, "13-7-29-23", fps=fps),  # smaller than the target: enlarged
    ]
    report = prepare(path.parent, tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.made == 4 and not report.failed
    for one in rows:
        clip = tmp_path / "root" / "test" / f"vid#{one['start']:06d}#{one['end']:06d}.mp4"
        assert np.array_equal(clip_frames(clip), plainly_cut(path, one, SIDE, imageio_rate)), one


def test_persons_come_first_in_names_and_partitions_are_folders(tmp_path: Path, raw: Path) -> None:
    rows = [
        row("xyz", 3, 9, "0-0-64-48", person_id="id10270"),
        row("xyz#part", 3, 9, "0-0-64-48", person_id="id10271", partition="train"),
    ]
    table = write_metadata(tmp_path / "m.csv", rows, (*COLUMNS, "person_id"))
    prepare(raw, tmp_path / "root", [table], name="voxceleb")
    assert sorted(everything(tmp_path / "root")) == [
        "test/id10270#xyz#000003#000009.mp4",
        "train/id10271#part#xyz#000003#000009.mp4",
    ]


def test_repeated_rows_are_cut_once_and_a_clip_of_both_partitions_is_in_both(
    tmp_path: Path, raw: Path
) -> None:
    rows = [row("xyz", 3, 9, "0-0-64-48"), row("xyz", 3, 9, "0-0-64-48")]
    rows.append(row("xyz", 3, 9, "0-0-64-48", partition="train"))
    report = prepare(raw, tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.made == 2
    one, other = everything(tmp_path / "root").values()
    assert one == other


def test_ranges_in_names_are_cut_from_whole_talks_and_cuts_are_taken_whole(tmp_path: Path) -> None:
    write_lossless(tmp_path / "raw" / "talk.mp4", drawn(60))
    write_lossless(tmp_path / "raw" / "cut#000100#000110.mp4", drawn(10, seed=3))
    rows = [
        row("talk#000020#000030", 0, 0, "8-4-40-36", fps=10.0, partition="train"),
        row("cut#000100#000110", 0, 0, "0-0-64-48", fps=10.0, partition="train"),
    ]
    prepare(tmp_path / "raw", tmp_path / "root", [write_metadata(tmp_path / "ted.csv", rows)], name="ted")
    whole = plainly_cut(tmp_path / "raw/talk.mp4", row("", 20, 30, "8-4-40-36"), SIDE, 25)
    assert np.array_equal(clip_frames(tmp_path / "root/train/talk#000020#000030.mp4"), whole)
    whole = plainly_cut(tmp_path / "raw/cut#000100#000110.mp4", row("", 0, 99, "0-0-64-48"), SIDE, 25)
    assert np.array_equal(clip_frames(tmp_path / "root/train/cut#000100#000110.mp4"), whole)


def test_crops_of_a_real_video_are_those_of_a_plain_reading(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "raw").mkdir()
    shutil.copyfile(shared / "data/clips/vox/tpsmm_driving.mp4", tmp_path / "raw" / "real.mp4")
    rows = [
        row("real", 5, 25, "100-80-300-330", width=410, height=412),
        row("real", 130, 140, "150-50-330-120", width=820, height=824, fps=50),
    ]
    prepare(tmp_path / "raw", tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)], resolution=128)
    for one in rows:
        clip = tmp_path / "root" / "test" / f"real#{one['start']:06d}#{one['end']:06d}.mp4"
        assert np.array_equal(clip_frames(clip), plainly_cut(tmp_path / "raw/real.mp4", one, 128, 25))


@pytest.mark.parametrize(
    ("name", "lists", "expected"),
    [
        ("voxceleb", ("metadata/vox-metadata.csv",), {"test": 525, "train": 19_242}),
        ("taichi", ("metadata/taichi-metadata.csv",), {"test": 285, "train": 3049}),
        (
            "taichi",
            ("metadata/taichi-metadata.csv", "lists/dam_test_taichi.csv"),
            {"test": 253, "train": 3049},
        ),
        ("ted", ("metadata/ted-metadata.csv", "lists/mtia_test_ted384.csv"), {"test": 131, "train": 1189}),
        ("mgif", ("lists/dam_test_mgif.csv", "lists/dam_train_mgif.csv"), {"test": 100, "train": 900}),
    ],
)
def test_published_lists_give_the_splits_that_papers_state(
    tmp_path: Path, shared: Path, name: str, lists: tuple[str, ...], expected: dict[str, int]
) -> None:
    read = [read_split_list(shared / "data/splits" / one) for one in lists]
    plan = plan_preparation(standard_card(name), tmp_path, read)
    assert {split.name: len(split.listed) for split in plan.splits} == expected
    assert all(split.origin is not None and split.origin.known_as for split in plan.splits)
    assert len(plan.absent) == sum(expected.values())


# -- the account -------------------------------------------------------------------------------------------------


def test_the_report_the_manifest_and_the_missing_file_agree(tmp_path: Path, raw: Path, table: Path) -> None:
    report = prepare(raw, tmp_path / "root", [table])
    assert report.lines[:2] == (
        "3 of 4 test clips; 1 missing: 1 (video not there)",
        "1 of 1 train clips",
    )
    assert (report.made, report.kept, report.failed) == (4, 0, False)
    manifest = read_manifest(tmp_path / "root")
    assert manifest is not None and manifest.dataset == "taichi"
    assert manifest.preprocessing.resolution == (SIDE, SIDE) and manifest.preprocessing.layout == "png"
    test = manifest.split("test")
    assert test is not None and test.origin is not None and test.origin.file == "metadata.csv"
    assert len(test.listed) == 4 and [one.id for one in test.missing] == ["gone#000005#000009"]
    for clip in test.present:
        folder = tmp_path / "root" / "test" / clip.id
        assert clip.sha256 == content_sha256(folder)
        assert clip.frames == len(clip_frames(folder)) and clip.size == (SIDE, SIDE) and clip.fps is None
    with (tmp_path / "root" / "missing.csv").open() as stream:
        (gone,) = csv.DictReader(stream)
    assert gone == {
        "split": "test",
        "clip": "gone#000005#000009",
        "kind": "video not there",
        "reason": "video gone is not among the originals",
    }


def test_lists_beside_a_metadata_table_say_the_splits(tmp_path: Path, raw: Path, table: Path) -> None:
    listed = tmp_path / "test_list.csv"
    listed.write_text(
        "video,frames,digits\nabc-DEF_123#000060#000070.mp4,10,5\nxyz#000000#000012.mp4,12,5\nunknown.mp4,3,5\n"
    )
    report = prepare(raw, tmp_path / "root", [table, listed])
    assert report.lines[0] == "2 of 3 test clips; 1 missing: 1 (not in metadata.csv)"
    assert sorted(everything(tmp_path / "root")) == [
        "test/abc-DEF_123#000060#000070.mp4",
        "test/xyz#000000#000012.mp4",
    ]


def test_a_split_prepared_later_joins_the_manifest(tmp_path: Path, raw: Path, table: Path) -> None:
    prepare(raw, tmp_path / "root", [table], splits=("test",))
    manifest = read_manifest(tmp_path / "root")
    assert manifest is not None and [split.name for split in manifest.splits] == ["test"]
    prepare(raw, tmp_path / "root", [table], splits=("train",))
    manifest = read_manifest(tmp_path / "root")
    assert manifest is not None and [split.name for split in manifest.splits] == ["test", "train"]


def test_a_limited_preparation_says_so_and_is_finished_by_an_unlimited_one(
    tmp_path: Path, raw: Path, table: Path
) -> None:
    report = prepare(raw, tmp_path / "root", [table], limit=1)
    assert report.lines[0] == "1 of 4 test clips; 3 missing: 2 (left out by --limit), 1 (video not there)"
    report = prepare(raw, tmp_path / "root", [table])
    assert (report.made, report.kept) == (2, 2)


def test_streams_that_end_early_or_have_another_shape_are_noted(tmp_path: Path) -> None:
    write_lossless(tmp_path / "raw" / "short.mp4", drawn(30))
    write_lossless(tmp_path / "raw" / "wide.mp4", drawn(30, 48, 96))
    rows = [row("short", 20, 40, "0-0-64-48"), row("wide", 0, 5, "0-0-9-9"), row("short", 30, 40, "0-0-9-9")]
    report = prepare(tmp_path / "raw", tmp_path / "root", [write_metadata(tmp_path / "m.csv", rows)])
    assert report.lines[0] == "2 of 3 test clips; 1 missing: 1 (video ends before the clip)"
    assert "1 test clips are shorter than their time span, as the original ends" in report.lines
    assert (
        "1 test clips are from originals of another aspect ratio than their boxes were made on"
        in report.lines
    )
    assert len(clip_frames(tmp_path / "root/test/short#000020#000040.mp4")) == 10


# -- clips that are given out as clips -----------------------------------------------------------------------------


def test_clips_of_other_sizes_are_resized_and_lists_say_the_split(tmp_path: Path) -> None:
    frames = drawn(8, 60, 40)
    for name in ("a", "b", "c"):
        write_lossless(tmp_path / "raw" / f"{name}.mp4", frames)
    (tmp_path / "test.txt").write_text("a.mp4\nmissing.mp4\n")
    report = prepare(tmp_path / "raw", tmp_path / "root", [tmp_path / "test.txt"], name="fashion")
    assert report.lines[:2] == (
        "1 of 2 test clips; 1 missing: 1 (clip not there)",
        "2 of 500 train clips (fewer than the 500 of mofd, the fewest that anyone states)",
    )
    plain = plainly_cut(tmp_path / "raw/a.mp4", row("", 0, 99, "0-0-40-60", width=40, height=60), SIDE, 25)
    assert np.array_equal(clip_frames(tmp_path / "root/test/a.mp4"), plain)


def test_gifs_are_composited_on_white_and_keep_their_names(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0)) for _ in range(2)]
    pictures[1].putpixel((3, 4), (200, 0, 0, 255))
    (tmp_path / "raw").mkdir()
    pictures[0].save(tmp_path / "raw/00000.gif", save_all=True, append_images=pictures[1:], disposal=2)
    prepare(tmp_path / "raw", tmp_path / "root", name="mgif")
    frames = clip_frames(tmp_path / "root/test/00000.gif")
    assert (frames[0] == 255).all() and frames[1, 4, 3].tolist() == [200, 0, 0]


def test_a_list_of_persons_takes_their_clips(tmp_path: Path) -> None:
    for name in ("001_a", "001_b", "002_a"):
        write_lossless(tmp_path / "raw" / f"{name}.mp4", drawn(4))
    (tmp_path / "persons.txt").write_text("001\n077\n")
    report = prepare(tmp_path / "raw", tmp_path / "root", [tmp_path / "persons.txt"], name="uva-nemo")
    assert report.lines[0] == "2 of 2 test clips" and report.lines[1].startswith("1 of 1110 train clips")
    assert any("1 of 2 persons" in line for line in report.lines)


def test_stills_stay_single_images(tmp_path: Path) -> None:
    (tmp_path / "raw" / "00000").mkdir(parents=True)
    Image.new("RGB", (100, 50), (1, 2, 3)).save(tmp_path / "raw/00000/00012.png")
    prepare(tmp_path / "raw", tmp_path / "root", name="ffhq")
    assert Image.open(tmp_path / "root/test/00012.png").size == (SIDE, SIDE)
    with pytest.raises(BenchbedError, match="leave out --format"):
        prepare(tmp_path / "raw", tmp_path / "root", name="ffhq", layout="mp4")


# -- forms -------------------------------------------------------------------------------------------------------


def test_lossless_forms_have_identical_frames_and_only_one_form_is_left(
    tmp_path: Path, raw: Path, table: Path
) -> None:
    found = {}
    for layout in ("png", "mp4", "strip", "tar", "png"):
        report = prepare(raw, tmp_path / "root", [table], layout=layout)
        assert report.made == 4
        dataset = open_dataset(str(tmp_path / "root"))
        found[layout] = {clip.id: dataset.frames(clip.id) for clip in dataset.clips("test")}
        assert len(open_folder(tmp_path / "root").clips("test")) == 3
        assert any("mp4 is lossy" in line for line in report.lines) == (layout == "mp4")
        result = CliRunner().invoke(data, ["verify", str(tmp_path / "root"), "--quiet", "--workers", "1"])
        assert "changed since prepared" not in result.output and "cannot be decoded" not in result.output
    for layout in ("strip", "tar"):
        assert found[layout].keys() == found["png"].keys()
        assert all(frames.equal(found[layout][clip]) for clip, frames in found["png"].items())
    # the drawn frames are as hard for H.264 as frames get
    assert all(frames.shape == found["mp4"][clip].shape for clip, frames in found["png"].items())


def test_a_clip_that_comes_later_changes_its_own_shard_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchbed.datasets.prepare import packing

    monkeypatch.setattr(packing, "CLIPS_PER_SHARD", 2)
    rows = [row(f"v{index}", 0, 3, "0-0-64-48") for index in range(5)]
    table = write_metadata(tmp_path / "m.csv", rows)
    for index in (0, 1, 2, 4):
        write_lossless(tmp_path / "raw" / f"v{index}.mp4", drawn(4, seed=index))
    prepare(tmp_path / "raw", tmp_path / "root", [table], layout="tar")
    before = everything(tmp_path / "root")
    assert [name.split("/")[1] for name in before] == [f"test-00000{index}.tar" for index in range(3)]
    write_lossless(tmp_path / "raw" / "v3.mp4", drawn(4, seed=3))
    report = prepare(tmp_path / "raw", tmp_path / "root", [table], layout="tar")
    after = everything(tmp_path / "root")
    assert report.made == 1 and report.kept == 4
    assert [name for name in before if before[name] != after[name]] == ["test/test-000001.tar"]
    assert len(open_dataset(str(tmp_path / "root")).clips("test")) == 5
