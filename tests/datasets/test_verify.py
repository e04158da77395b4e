"""`benchbed data verify`: every deviation of a root from its split is named, and nothing else is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from benchbed.cli.data import data
from benchbed.datasets.standard import decoding
from benchbed.datasets.standard.card import standard_card
from benchbed.datasets.standard.lists import read_split_list
from benchbed.datasets.standard.manifest import ListOrigin, read_manifest, write_manifest
from benchbed.datasets.standard.verify import verify_root
from benchbed.datasets.video_io import write_video
from benchbed.errors import BenchbedError

from .roots import METADATA, drawn, manifest_of, write_frames, write_root

CLIPS = {"aaaaaaaaaaa#000010#000080": 70, "aaaaaaaaaaa#000100#000166": 66, "bbbbbbbbbbb#000001#000065": 64}
TRAIN = {"ccccccccccc#000001#000070": 69}
FEW = {name: 64 + index for index, name in enumerate(CLIPS)}


def verify(*words: str | Path) -> Result:
    given = ["verify", "--quiet", "--workers", "1", *map(str, words)]
    return CliRunner().invoke(data, given, standalone_mode=False)


def found(root: Path, dataset: str = "taichi", *lists: Path, **options):
    manifest = read_manifest(root)
    return verify_root(
        standard_card(dataset), root, manifest, [read_split_list(path) for path in lists], **options
    )


def deviations(verification) -> set[tuple[str, str, str]]:
    return {(finding.split, finding.kind, finding.clip) for finding in verification.deviations}


@pytest.fixture
def root(tmp_path):
    """A prepared root without any deviation."""
    folder = write_root(tmp_path / "taichi", {"test": CLIPS, "train": TRAIN})
    manifest_of(folder, "taichi", origin=ListOrigin("list.csv", "ab" * 32, ("DAM",)))
    return folder


def test_a_root_as_prepared_has_no_deviation(root):
    result = verify(root)
    assert result.return_value == 0
    assert "test: n = 3 of 3 clips, 200 frames decoded" in result.output
    assert "the list of DAM" in result.output and result.output.endswith("no deviation\n")


def test_every_deviation_is_named_and_the_rest_is_still_checked(root):
    first, second, third = CLIPS
    (root / "test" / f"{first}.mp4" / "0000003.png").write_bytes(b"")
    shutil.rmtree(root / "test" / f"{second}.mp4")
    write_frames(root / "test" / "ddddddddddd#000001#000065.mp4", drawn(64, 9))
    with Image.open(root / "test" / f"{third}.mp4" / "0000000.png") as image:
        image.resize((48, 40)).save(root / "test" / f"{third}.mp4" / "0000000.png")
    result = verify(root)
    assert result.return_value == 1
    assert deviations(found(root)) == {
        ("test", "undecodable", first),
        ("test", "missing", second),
        ("test", "extra", "ddddddddddd#000001#000065"),
        ("test", "size", third),
        ("test", "changed", third),
    }
    assert "0000003.png is empty (0 bytes)" in result.output
    assert f"  {third}: frames are 48x40, expected 32x32" in result.output
    assert "test: n = 1 of 3 clips" in result.output
    assert result.output.endswith("5 deviations\n")


def test_clips_that_the_preparation_could_not_make_keep_its_reason(tmp_path):
    root = write_root(tmp_path / "r", {"test": FEW})
    manifest_of(root, "taichi", missing={"eeeeeeeeeee#000001#000065": "video unavailable"})
    (finding,) = found(root).deviations
    assert (finding.clip, finding.text) == ("eeeeeeeeeee#000001#000065", "video unavailable")


def test_a_list_given_is_followed_and_said_to_be_none_of_the_published(root, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text(
        "video,frames\n" + "".join(f"{name}.mp4,{count + (count == 66)}\n" for name, count in CLIPS.items())
    )
    verification = found(root, "taichi", own)
    assert deviations(verification) == {("test", "frames", "aaaaaaaaaaa#000100#000166")}
    assert "it has 66 frames, the list says 67" in verification.deviations[0].text
    result = verify(root, "--list", own)
    assert (
        "own.csv (test 3; sha256" in result.output
        and "is none of the lists that benchbed knows" in result.output
    )


def test_another_list_than_the_one_of_the_preparation_is_told(root, tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("\n".join(list(CLIPS)[:2]))
    verification = found(root, "taichi", own)
    assert deviations(verification) == {("test", "extra", "bbbbbbbbbbb#000001#000065")}
    test = next(split for split in verification.splits if split.name == "test")
    assert "the root was prepared by another list of 3 clips" in test.basis


def test_a_list_beside_a_metadata_table_moves_its_clips_into_the_test_split(tmp_path):
    """As with TED-talks, whose published table marks every row as train."""
    names = ["aaaaaaaaaaa#000010#000138", "bbbbbbbbbbb#000001#000129"]
    rows = "".join(f"{name},0,0,1-1-30-30,10.0,32,32,train\n" for name in names)
    (tmp_path / "ted.csv").write_text(f"{METADATA}\n{rows}")
    (tmp_path / "test.txt").write_text(f"{names[1]}.mp4/00000.png\n" * 128)
    root = write_root(tmp_path / "ted", {"train": {names[0]: 128}, "test": {names[1]: 128}})
    verification = found(root, "ted", tmp_path / "ted.csv", tmp_path / "test.txt", resolution=32)
    assert deviations(verification) == set()
    assert {split.name: split.expected for split in verification.splits} == {"test": 1, "train": 1}


def test_two_lists_of_one_split_are_refused(root, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x\n")
    with pytest.raises(
        BenchbedError, match=r"b\.txt and another list both name the test clips; give one of them"
    ):
        found(root, "taichi", tmp_path / "a.txt", tmp_path / "b.txt")


def test_clips_of_another_stream_rate_are_told_and_are_no_deviation(tmp_path):
    (tmp_path / "m.csv").write_text(f"{METADATA}\naaaaaaaaaaa,10,150,1-1-30-30,59.94,32,32,test\n")
    root = write_root(tmp_path / "r", {"test": {"aaaaaaaaaaa#000010#000150": 70}})
    verification = found(root, "taichi", tmp_path / "m.csv", resolution=32)
    assert not verification.deviations
    assert any(
        "1 clips have another number of frames than end - start" in one.text for one in verification.findings
    )


def test_without_list_and_manifest_the_counts_of_papers_are_what_there_is(tmp_path):
    root = write_root(tmp_path / "r", {"test": FEW})
    verification = found(root, "taichi", resolution=32)
    assert deviations(verification) == {("test", "count", "")}
    assert (
        verification.deviations[0].text == "3 clips, fewer than the 87 of dime, the fewest that anyone states"
    )
    assert not found(root, "german-public-tv", resolution=32).deviations


def test_frame_rates_are_compared_with_those_in_use(tmp_path):
    root = tmp_path / "r"
    for name, rate in {"id1#a#000001#000065": 25, "id2#b#000001#000065": 30}.items():
        write_video(root / "test" / f"{name}.mp4", drawn(64, 3, 64), fps=rate)
    (tmp_path / "l.txt").write_text("id1#a#000001#000065\nid2#b#000001#000065\n")
    verification = found(root, "voxceleb", tmp_path / "l.txt", resolution=64)
    assert deviations(verification) == {("test", "rate", "id2#b#000001#000065")}
    assert "it runs at 30 frames per second, expected 25 or 10" in verification.deviations[0].text


def test_a_clip_in_two_layouts_is_named(tmp_path):
    root = write_root(tmp_path / "r", {"test": {"00000": 4}})
    write_video(root / "test" / "00000.gif", drawn(4, 1))
    (tmp_path / "l.txt").write_text("00000\n")
    assert ("test", "twice", "00000") in deviations(found(root, "mgif", tmp_path / "l.txt", resolution=32))


def test_identities_in_both_splits_are_a_leak(tmp_path):
    root = write_root(
        tmp_path / "r",
        {
            "test": {"aaaaaaaaaaa#000010#000080": 70, "bbbbbbbbbbb#000001#000065": 64},
            "train": {"aaaaaaaaaaa#000090#000160": 70, "ccccccccccc#000001#000070": 69},
        },
    )
    manifest_of(root, "taichi")
    (leak,) = found(root).deviations
    assert (leak.kind, leak.clip) == ("leak", "aaaaaaaaaaa")
    assert leak.text == "identity aaaaaaaaaaa has 1 train and 1 test clips"


def test_the_leak_of_the_published_voxceleb_list_is_told_and_is_no_deviation(tmp_path):
    same = {"id10282#hhhhhhhhhhh#000010#000080": 70}
    root = write_root(tmp_path / "r", {"test": same, "train": same})
    manifest_of(root, "voxceleb")
    verification = found(root, "voxceleb")
    assert not verification.deviations
    leak = next(one for one in verification.findings if one.kind == "leak")
    assert "the published list has it so" in leak.text and "the same clips in both: id10282#" in leak.text


def test_a_clip_filed_under_train_by_the_fields_script_is_not_just_missing(tmp_path):
    name = "id10282#hhhhhhhhhhh#000010#000080"
    root = write_root(
        tmp_path / "r", {"test": {"id10280#iiiiiiiiiii#000010#000080": 70}, "train": {name: 70}}
    )
    rows = [
        "hhhhhhhhhhh,10,80,1-1-30-30,25,32,32,test,id10282",
        "iiiiiiiiiii,10,80,1-1-30-30,25,32,32,test,id10280",
    ]
    rows.append("hhhhhhhhhhh,10,80,1-1-30-30,25,32,32,train,id10282")
    (tmp_path / "vox.csv").write_text(f"{METADATA},person_id\n" + "\n".join(rows))
    (finding,) = found(root, "voxceleb", tmp_path / "vox.csv", resolution=32).deviations
    assert (finding.kind, finding.clip) == ("missing", name) and "it lies in train" in finding.text


def test_the_same_bytes_under_another_name_in_both_splits_are_a_leak(tmp_path):
    root = tmp_path / "r"
    write_frames(root / "train" / "00100.gif", drawn(4, 1))
    write_frames(root / "test" / "00000.gif", drawn(4, 1))
    manifest_of(root, "mgif")
    (leak,) = found(root, "mgif").deviations
    assert leak.text == "clip 00000 has the same bytes as 00100 of train"


def test_dancers_that_both_splits_share_are_told_as_nobody_promised_otherwise(tmp_path):
    root = write_root(tmp_path / "r", {"test": {"gBR_sBM_d04_ch01": 4}, "train": {"gBR_sFM_d04_ch02": 4}})
    manifest_of(root, "aist")
    verification = found(root, "aist")
    assert not verification.deviations
    assert any("identity d04 has 1 train and 1 test clips" in one.text for one in verification.findings)


def test_pairs_are_counted_as_they_can_be_run(root, tmp_path):
    (tmp_path / "pairs.csv").write_text(
        "distance,source,driving,frame\n"
        "3.5,aaaaaaaaaaa#000010#000080.mp4,bbbbbbbbbbb#000001#000065.mp4,0\n"
        "1.5,aaaaaaaaaaa#000010#000080.mp4,nAQEOC1Z10M#000001#000065.mp4,0\n"
    )
    result = verify(root, "--list", tmp_path / "pairs.csv")
    assert result.return_value == 1
    assert (
        "pairs.csv is no list of pairs that papers are known to use; 1 of 2 pairs have both clips; "
        in result.output
    )
    assert "clips not there: nAQEOC1Z10M#000001#000065" in result.output


def test_several_processes_find_what_one_finds(root):
    (root / "test" / "bbbbbbbbbbb#000001#000065.mp4" / "0000063.png").write_bytes(b"no image")
    assert found(root, workers=2) == found(root, workers=1)


def test_a_clip_that_kills_its_process_is_named_and_the_others_are_checked(root, monkeypatch):
    def dying(clips, alpha, workers):
        """The first clip kills whoever decodes it."""
        for clip in clips:
            if clip.id.startswith("aaaaaaaaaaa#000010"):
                return
            yield decoding.check_clip(clip, alpha)

    monkeypatch.setattr(decoding, "_in_processes", dying)
    verification = found(root, workers=2)
    assert deviations(verification) == {("test", "undecodable", "aaaaaaaaaaa#000010#000080")}
    assert verification.deviations[0].text == decoding.CRASHED


def test_progress_counts_every_clip_of_every_split(root):
    told: list[tuple[int, int]] = []
    found(root, progress=lambda done, total, clip: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_stills_are_clips_of_one_frame(tmp_path):
    root = tmp_path / "ffhq"
    for number in range(3):
        path = root / f"0000{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(drawn(1, number, 256)[0]).save(path)
    verification = found(root, "ffhq")
    assert not verification.deviations
    assert verification.splits[0].present == 3 and verification.splits[0].frames == 3


def test_a_root_of_nobody_says_what_to_add(tmp_path):
    root = write_root(tmp_path / "r", {"test": {"a": 2}})
    error = verify(root).exception
    assert isinstance(error, BenchbedError)
    assert "has no manifest that says which data set it is: add --dataset NAME" in str(error)
    assert verify(root, "--dataset", "mgif", "--resolution", 32).return_value == 1  # 1 clip of 100
    assert isinstance(verify(f"mgif={root}").return_value, int)


def test_a_root_of_another_data_set_is_refused(root):
    error = verify(root, "--dataset", "ted").exception
    assert isinstance(error, BenchbedError) and str(error) == f"{root} was prepared as taichi, not as ted"


def test_json_holds_every_finding(root):
    (root / "test" / "bbbbbbbbbbb#000001#000065.mp4" / "0000063.png").unlink()
    result = verify(root, "--json")
    table = json.loads(result.output)
    assert result.return_value == 1 and table["deviations"] == 1
    (finding,) = [one for one in table["findings"] if one["deviation"]]
    assert finding["kind"] == "changed" and "frames 63 instead of 64" in finding["text"]


def test_real_clips_of_many_kinds_are_all_decoded(shared, tmp_path):
    """Faces at 256 and one that is not square, 10 to 25 frames per second."""
    origin = shared / "data" / "clips" / "vox"
    root = tmp_path / "voxceleb"
    (root / "test").mkdir(parents=True)
    for number, path in enumerate(sorted(origin.iterdir())):
        shutil.copy(path, root / "test" / f"id{number}#abcdefghijk#000001#000200{path.suffix}")
    (tmp_path / "l.txt").write_text("".join(f"id{number}#abcdefghijk#000001#000200\n" for number in range(4)))
    verification = found(root, "voxceleb", tmp_path / "l.txt")
    assert verification.splits[0].frames == 652 + 221 + 446 + 169
    assert {(one.kind, one.clip[:3]) for one in verification.deviations} == {("rate", "id2"), ("size", "id3")}


def test_a_manifest_that_was_edited_is_no_witness(root):
    manifest = read_manifest(root)
    assert manifest is not None
    test = manifest.split("test")
    assert test is not None
    first = replace(test.present[0], sha256="0" * 64)
    splits = (replace(test, present=(first, *test.present[1:])), *manifest.splits[1:])
    write_manifest(root, replace(manifest, splits=splits))
    assert {(one.kind, one.clip) for one in found(root).deviations} == {
        ("changed", first.id.removesuffix(".mp4"))
    }


def test_gray_and_transparent_frames_are_told(tmp_path):
    root = tmp_path / "r"
    folder = write_frames(root / "test" / "00000.gif", drawn(3, 1))
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "0000001.png")
    manifest_of(root, "mgif")
    texts = [one.text for one in found(root, "mgif").findings]
    assert "1 clips: gray to RGB" in texts


def test_a_name_alone_means_the_data_folder_or_else_a_folder_of_that_name(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    monkeypatch.delenv("BENCHBED_DATA", raising=False)
    assert verify("taichi").return_value == 0
    monkeypatch.setenv("BENCHBED_DATA", str(root.parent))
    monkeypatch.chdir("/")
    assert verify("taichi").return_value == 0
    error = verify("ted").exception
    assert (
        str(error) == "root 'ted' is no folder, nor $BENCHBED_DATA/ted; give the folder with train and test"
    )


@pytest.mark.parametrize("layout", ["png", "strip", "tar", "mp4"])
def test_what_was_prepared_is_verified_in_every_layout_and_damage_is_found(tmp_path, layout):
    write_root(tmp_path / "raw", {"test": {"91-0CN5S": 6, "91-1CN5S": 5}})
    (tmp_path / "list.txt").write_text("91-0CN5S.mp4\n91-1CN5S.mp4\n")
    words = ["prepare", "fashion", "--from", tmp_path / "raw", "--to", tmp_path / "root", "--format", layout]
    words += ["--list", tmp_path / "list.txt", "--resolution", 32, "--workers", 1, "--quiet"]
    made = CliRunner().invoke(data, list(map(str, words)), standalone_mode=False)
    assert made.return_value == 0, made.output
    result = verify(tmp_path / "root")
    assert result.return_value == 0, result.output
    assert "test: n = 2 of 2 clips, 11 frames decoded" in result.output
    victim = min(path for path in (tmp_path / "root" / "test").rglob("*") if path.is_file())
    content = bytearray(victim.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 9] = bytes(9)
    victim.write_bytes(content)
    kinds = {kind for _, kind, _ in deviations(found(tmp_path / "root", "fashion"))}
    assert kinds & {"changed", "undecodable"}
