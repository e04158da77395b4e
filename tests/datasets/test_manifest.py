"""Manifests: written whole, read back equal, refused where they were damaged."""

from __future__ import annotations

import json

import pytest

from benchbed.datasets.clip_files import scan
from benchbed.datasets.standard.manifest import (
    FILE_NAME,
    ClipRecord,
    ListOrigin,
    Manifest,
    MissingClip,
    Preprocessing,
    SplitRecord,
    clip_key,
    content_sha256,
    files_sha256,
    names_sha256,
    read_manifest,
    write_manifest,
)
from benchbed.errors import BenchbedError

from .roots import drawn, write_frames

MANIFEST = Manifest(
    "taichi",
    Preprocessing(1, (256, 256), "skimage resize", "png"),
    (
        SplitRecord(
            "test",
            ListOrigin("test_list_taichi.txt", "ab" * 32, ("DAM", "MTIA")),
            ("a#000001#000003", "b"),
            (ClipRecord("a#000001#000003.mp4", 2, (256, 256), None, "cd" * 32),),
            (MissingClip("b", "video unavailable"),),
        ),
        SplitRecord("train", None, ("c",), (ClipRecord("c.mp4", 9, (256, 256), 25.0, "ef" * 32),)),
    ),
)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path):
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_the_same_manifest_has_the_same_bytes(tmp_path):
    first = write_manifest(tmp_path / "a", MANIFEST).read_bytes()
    assert write_manifest(tmp_path / "b", MANIFEST).read_bytes() == first


def test_a_root_without_a_manifest_has_none(tmp_path):
    assert read_manifest(tmp_path) is None
    (tmp_path / "file").write_text("")
    assert read_manifest(tmp_path / "file") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (
            lambda text: text.replace('"schema": 1', '"schema": 7'),
            "has schema 7, this version of benchbed reads 1",
        ),
        (lambda text: "[]", "has schema None"),
        (lambda text: text.replace('"present"', '"presents"'), "is damaged"),
        (lambda text: text.replace('"a#000001#000003",', '"a#000001#000009",'), "the file was edited"),
    ],
)
def test_a_damaged_manifest_is_refused_in_a_sentence(tmp_path, change, message):
    path = write_manifest(tmp_path, MANIFEST)
    path.write_text(change(path.read_text()))
    with pytest.raises(BenchbedError, match=message):
        read_manifest(tmp_path)


def test_an_earlier_manifest_stays_where_writing_fails(tmp_path, monkeypatch):
    write_manifest(tmp_path, MANIFEST)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchbed.files.os.replace", full)
    with pytest.raises(BenchbedError, match="No space left on device; free some space"):
        write_manifest(tmp_path, Manifest("ted", MANIFEST.preprocessing, ()))
    assert read_manifest(tmp_path) == MANIFEST


def test_names_are_hashed_without_folder_suffix_order_and_repeats():
    assert names_sha256(["x/b.mp4", "a.gif", "a"]) == names_sha256(["a", "b"]) != names_sha256(["a", "c"])
    assert clip_key("id1#a.b#000001#000002") == "id1#a.b#000001#000002"
    assert json.loads(json.dumps(clip_key("v.1.mp4"))) == "v.1"


def test_contents_are_hashed_by_names_and_bytes_of_frames(tmp_path):
    one = write_frames(tmp_path / "one", drawn(3, 1))
    two = write_frames(tmp_path / "two", drawn(3, 1))
    assert content_sha256(one) == content_sha256(two)
    (two / ".DS_Store").write_text("of the desktop")
    assert content_sha256(one) == content_sha256(two)
    (two / "0000002.png").rename(two / "0000003.png")
    assert content_sha256(one) != content_sha256(two)


def test_a_clip_found_by_a_scan_has_the_hash_of_its_path(tmp_path):
    write_frames(tmp_path / "one.mp4", drawn(3, 1))
    (clip,) = scan(tmp_path).clips
    assert files_sha256(clip.files, is_folder=clip.is_folder) == content_sha256(tmp_path / "one.mp4")
    assert files_sha256(clip.files[:1], is_folder=False) == content_sha256(clip.files[0])


def test_a_dictionary_of_json_holds_what_others_need(tmp_path):
    content = json.loads(write_manifest(tmp_path, MANIFEST).read_text())
    assert content["schema"] == 1 and content["dataset"] == "taichi"
    assert content["splits"][0]["names_sha256"] == names_sha256(["a#000001#000003", "b"])
    assert content["splits"][0]["missing"] == [{"id": "b", "reason": "video unavailable"}]
