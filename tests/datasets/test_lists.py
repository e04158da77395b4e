"""Lists and metadata in every published form, and whether one is the known one."""

from __future__ import annotations

import csv

import pytest

from benchbed.datasets.standard.card import standard_card
from benchbed.datasets.standard.lists import (
    describe,
    is_pair_list,
    published_pairs,
    read_split_list,
    recognise,
)
from benchbed.datasets.standard.manifest import clip_key, names_sha256
from benchbed.datasets.standard.metadata import read_metadata
from benchbed.errors import BenchbedError
from benchbed.pair_lists import read_pair_list

from .roots import METADATA

VOX = (
    f"{METADATA},person_id\n"
    "abcdefghijk,100,200,10-20-110-140,25,640,360,train,id10001\n"
    "abcdefghijk,100,200,10-20-110-140,25,640,360,train,id10001\n"
    "ABCDEFGHI-_,7,90,0-0-300-310,25,640,360,test,id10280\n"
)


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def splits(shared):
    return shared / "data" / "splits"


@pytest.mark.parametrize(
    ("text", "form", "frames"),
    [
        (
            "video,frames,digits\na#000001#000003.mp4,2,5\nb.c.mp4,1,5\n",
            "table",
            {"a#000001#000003": 2, "b.c": 1},
        ),
        (
            "a#000001#000003.mp4/00000.png\na#000001#000003.mp4/00001.png\nb.c.mp4/00000.png\n",
            "frames",
            {"a#000001#000003": 2, "b.c": 1},
        ),
        ("a#000001#000003\nb.c\n", "names", {}),
        ("test/a#000001#000003.mp4\r\ntest/b.c.mp4\r\n", "names", {}),
        ("\ufeffclip\na#000001#000003\nb.c\n", "table", {}),
    ],
)
def test_the_same_clips_are_read_from_every_form(tmp_path, text, form, frames):
    listed = read_split_list(write(tmp_path / "list.txt", text))
    assert listed.form == form
    assert listed.clips == {"test": ("a#000001#000003", "b.c")}
    assert listed.frames == frames


def test_a_list_says_its_split_by_its_name_or_the_caller_does(tmp_path):
    assert set(read_split_list(write(tmp_path / "train_list.txt", "a\n")).clips) == {"train"}
    assert set(read_split_list(tmp_path / "train_list.txt", "test").clips) == {"test"}


def test_metadata_names_clips_as_the_fields_scripts_do(tmp_path):
    listed = read_split_list(write(tmp_path / "vox.csv", VOX))
    assert listed.form == "metadata"
    assert listed.clips == {
        "train": ("id10001#abcdefghijk#000100#000200",),
        "test": ("id10280#ABCDEFGHI-_#000007#000090",),
    }
    assert listed.problems == ("'vox.csv': 1 rows repeat another one and are used once",)


def test_a_range_in_the_name_counts_where_start_and_end_are_zero(tmp_path):
    table = read_metadata(
        write(tmp_path / "ted.csv", f"{METADATA}\nVM6_HZqQK-o#016609#016737,0,0,1-2-30-31,10.0,94,94,train\n")
    )
    (row,) = table.rows
    assert (row.video, row.start, row.end, row.name) == (
        "VM6_HZqQK-o",
        16609,
        16737,
        "VM6_HZqQK-o#016609#016737",
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("v,5,5,1-1-2-2,25,9,9,test", "range 5..5 holds no frame"),
        ("v,x,5,1-1-2-2,25,9,9,test", "start 'x' is no number"),
        ("v,nan,5,1-1-2-2,25,9,9,test", "start 'nan' is no number"),
        ("v,1,5,1--1-2-2,25,9,9,test", "bbox '1--1-2-2' is not left-top-right-bottom"),
        ("v,1,5,3-1-2-2,25,9,9,test", "bbox '3-1-2-2' is empty"),
        ("v,1,5,1-1-2-2,0,9,9,test", "fps, width and height have to be above 0"),
        ("v,1,5,1-1-2-2,25,9,9,val", "partition 'val' is neither train nor test"),
        ("../v,1,5,1-1-2-2,25,9,9,test", "its name would lead out"),
        ("v,1,5", "another number of fields"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_are_read(tmp_path, row, reason):
    table = read_metadata(write(tmp_path / "m.csv", f"{METADATA}\nok,1,5,1-1-3-3,25,9,9,test\n{row}\n"))
    assert [one.video for one in table.rows] == ["ok"]
    assert len(table.problems) == 1 and reason in table.problems[0] and "line 3" in table.problems[0]


def test_missing_and_extra_columns_are_one_sentence_each(tmp_path):
    with pytest.raises(
        BenchbedError, match=r"'short.csv' has no column 'end' \(its columns: video_id, start, bbox\)"
    ):
        read_metadata(write(tmp_path / "short.csv", "video_id,start,bbox\nv,1,1-1-2-2\n"))
    extra = write(tmp_path / "more.csv", f"{METADATA},colour\nv,1,5,1-1-3-3,25,9,9,test,red\n")
    assert read_metadata(extra).problems == ("'more.csv': columns not used: colour",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("source,driving\na,b\n", "is a list of pairs"),
        ("id,colour\n1,red\n", "has no column that names clips"),
        ("video,frames\n,3\n", "names no clip in its column 'video'"),
        (f"{METADATA}\n", "has no row that can be used"),
    ],
)
def test_a_file_that_is_no_list_is_one_sentence(tmp_path, content, message):
    with pytest.raises(BenchbedError, match=message):
        read_split_list(write(tmp_path / "list.csv", content))


def test_a_missing_or_binary_file_is_one_sentence(tmp_path):
    with pytest.raises(BenchbedError, match=r"split list '.*nowhere.csv' cannot be read"):
        read_split_list(tmp_path / "nowhere.csv")
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BenchbedError, match="is no text file"):
        read_split_list(tmp_path / "list.csv")


def test_a_clip_named_twice_is_used_once_and_told(tmp_path):
    listed = read_split_list(write(tmp_path / "list.txt", "a.mp4\nb\na\n"))
    assert listed.clips == {"test": ("a", "b")}
    assert listed.problems == ("'list.txt' names a more than once; each is used once",)


def test_a_list_of_ones_own_is_none_that_papers_used(tmp_path):
    listed = read_split_list(write(tmp_path / "mine.txt", "a\nb\n"))
    assert recognise(standard_card("taichi"), listed) is None
    assert "mine.txt (test 2; sha256 911b1bae2162...) is none of the lists" in describe(
        standard_card("taichi"), listed
    ).replace(listed.sha256[:12], "911b1bae2162")


@pytest.mark.parametrize(
    ("name", "file", "counts"),
    [
        ("voxceleb", "metadata/vox-metadata.csv", {"train": 19242, "test": 525}),
        ("taichi", "metadata/taichi-metadata.csv", {"train": 3049, "test": 285}),
        ("ted", "metadata/ted-metadata.csv", {"train": 1320}),
        ("taichi", "lists/dam_test_taichi.csv", {"test": 253}),
        ("fashion", "lists/dam_test_fashion.csv", {"test": 100}),
        ("mgif", "lists/dam_test_mgif.csv", {"test": 100}),
        ("mgif", "lists/dam_train_mgif.csv", {"train": 900}),
        ("ted", "lists/mtia_test_ted384.csv", {"test": 131}),
    ],
)
def test_published_lists_are_recognised_in_their_bytes_and_in_every_other_form(
    splits, tmp_path, name, file, counts
):
    card = standard_card(name)
    listed = read_split_list(splits / file)
    found = recognise(card, listed)
    assert found is not None and found.exact and found.file.used_by
    assert {split: len(names) for split, names in listed.clips.items()} == counts == found.file.counts
    assert {split: names_sha256(names) for split, names in listed.clips.items()} == found.file.names
    rows = (splits / file).read_text().splitlines()
    assert len(rows) - 1 == found.file.rows
    for split, names in listed.clips.items():
        own = write(tmp_path / f"{split}.txt", "".join(f"{split}/{clip}.mp4\n" for clip in reversed(names)))
        again = recognise(card, read_split_list(own))
        assert again is not None and again.file == found.file and not again.exact
        own.write_text("\n".join(names[1:]))
        assert recognise(card, read_split_list(own)) is None


@pytest.mark.parametrize("file", ["dam_test_taichi", "dam_test_fashion", "dam_test_mgif", "mtia_test_ted384"])
def test_lists_are_recognised_as_published_a_line_per_frame(splits, tmp_path, file):
    rows = list(csv.DictReader((splits / "lists" / f"{file}.csv").open()))
    lines = [
        f"{row['video']}/{frame:0{row['digits']}d}.png" for row in rows for frame in range(int(row["frames"]))
    ]
    listed = read_split_list(write(tmp_path / "test_list.txt", "\n".join(lines) + "\n"))
    card = standard_card(file.removeprefix("dam_test_").removeprefix("mtia_test_").removesuffix("384"))
    found = recognise(card, listed)
    assert listed.form == "frames" and found is not None and found.exact
    assert listed.frames == {clip_key(row["video"]): int(row["frames"]) for row in rows}


def test_lists_of_persons_are_recognised(splits):
    for file in ("monkeynet_test_vox1.txt", "monkeynet_train_vox1.txt"):
        found = recognise(standard_card("voxceleb"), read_split_list(splits / "lists" / file))
        assert found is not None and found.file.kind == "persons" and found.file.used_by == ("Monkey-Net",)


def test_pair_lists_are_recognised_by_their_bytes(splits):
    for name, file in (("taichi", "fomm_taichi256.csv"), ("bair", "fomm_bair256.csv")):
        assert is_pair_list(splits / "pairs" / file)
        pairs = read_pair_list(splits / "pairs" / file)
        assert published_pairs(standard_card(name), pairs.sha256) == f"{name}256.csv of FOMM"
        assert len(pairs.rows) == standard_card(name).files_of("pairs")[0].rows
    assert not published_pairs(standard_card("ted"), pairs.sha256)


def test_the_leak_of_voxceleb_is_as_its_card_has_it(splits):
    card = standard_card("voxceleb")
    listed = read_split_list(splits / "metadata" / "vox-metadata.csv")
    train, test = ({card.identity_of(name) for name in listed.clips[split]} for split in ("train", "test"))
    assert sorted(train & test) == sorted(card.known_leaks)
    assert len(set(listed.clips["train"]) & set(listed.clips["test"])) == 3
