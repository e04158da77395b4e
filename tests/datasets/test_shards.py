"""Tar shards: indexed once, read by offset, cut off or hostile."""

from __future__ import annotations

import builtins
import gzip
import io
import multiprocessing
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchbed.datasets import shards
from benchbed.datasets.shards import read_index
from benchbed.datasets.video_folder import open_folder
from benchbed.datasets.video_io import write_video
from benchbed.errors import BenchbedError, ClipError

from .drawn_clips import moving_square, noise, png, write_tar


def members_of(key: str, frames: np.ndarray) -> list[tuple[str, bytes]]:
    return [(f"{key}.{number:03d}.png", png(frame)) for number, frame in enumerate(frames)]


def clip(seed: int, frames: int = 5) -> np.ndarray:
    return moving_square(frames, 16, seed)


def shown(frames: np.ndarray) -> np.ndarray:
    return frames.transpose(0, 3, 1, 2)


# -- index and access --------------------------------------------------------------------------------------------


def test_members_are_found_with_offset_and_size_and_read_as_they_are(tmp_path: Path) -> None:
    long_name = "x" * 150 + "/" + "y" * 120 + ".mp4"
    contents = [("a.mp4", b"first"), ("folder/b.bin", b""), (long_name, bytes(range(256)) * 9)]
    write_tar(tmp_path / "0.tar", contents)
    index = read_index(tmp_path / "0.tar")
    assert not index.cut and not index.refused
    assert [(m.path, m.open().read()) for m in index.members] == contents
    last = index.members[2]
    with last.open() as stream:
        stream.seek(-10, os.SEEK_END)
        assert stream.read(100) == contents[2][1][-10:] and stream.read(1) == b""
    assert (last.name, last.suffix) == ("y" * 120 + ".mp4", ".mp4")
    assert str(last) == f"{tmp_path / '0.tar'}:{long_name}"


def test_a_shard_is_indexed_once_and_again_when_it_was_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "0.tar"
    monkeypatch.setenv("BENCHBED_CACHE", str(tmp_path / "cache"))
    write_tar(path, members_of("a", clip(0)))
    scanned: list[Path] = []
    plain = shards._scan
    monkeypatch.setattr(shards, "_scan", lambda shard, size: scanned.append(shard) or plain(shard, size))
    assert read_index(path) == read_index(path) and len(scanned) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["0.tar"]  # nothing is written beside the data
    write_tar(path, members_of("a", clip(0, 6)))
    assert len(read_index(path).members) == 6 and len(scanned) == 2
    for file in (tmp_path / "cache" / "shards").iterdir():
        file.write_text("{not json")
    assert len(read_index(path).members) == 6 and len(scanned) == 3


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHBED_CACHE", str(tmp_path / "file"))
    write_tar(tmp_path / "0.tar", members_of("a", clip(0)))
    assert len(read_index(tmp_path / "0.tar").members) == 5


def test_a_shard_is_opened_once_for_all_frames_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "0.tar", members_of("a", clip(0, 30)))
    dataset = open_folder(tmp_path)
    shards._handle.cache_clear()
    opened: list[str] = []
    plain, plain_os = builtins.open, os.open

    def count(original):
        def counted(path, *arguments, **options):
            if str(path).endswith("0.tar"):
                opened.append(str(path))
            return original(path, *arguments, **options)

        return counted

    monkeypatch.setattr(builtins, "open", count(plain))
    monkeypatch.setattr(io, "open", count(plain))
    monkeypatch.setattr(os, "open", count(plain_os))
    assert np.array_equal(dataset.frames("a").numpy(), shown(clip(0, 30)))
    assert len(opened) == 1


def test_more_shards_than_stay_open_are_read_in_any_order(tmp_path: Path) -> None:
    count = shards.OPEN_SHARDS + 5
    for number in range(count):
        write_tar(tmp_path / f"{number:06d}.tar", members_of(f"clip{number:02d}", clip(number, 2)))
    before = len(os.listdir("/proc/self/fd"))
    dataset = open_folder(tmp_path)
    for number in [*range(count), 0, count - 1, 3]:
        assert np.array_equal(dataset.frames(f"clip{number:02d}").numpy(), shown(clip(number, 2)))
    assert len(os.listdir("/proc/self/fd")) <= before + shards.OPEN_SHARDS


def _frames_of(job: tuple[Path, str]) -> np.ndarray:
    return open_folder(job[0]).frames(job[1]).numpy()


def test_threads_and_forked_processes_share_an_open_shard(tmp_path: Path) -> None:
    keys = [f"c{number}" for number in range(8)]
    clips = {key: noise(3, 32) // (number + 1) for number, key in enumerate(keys)}
    write_tar(tmp_path / "0.tar", [member for key in keys for member in members_of(key, clips[key])])
    dataset = open_folder(tmp_path)
    dataset.frames("c0")  # the handle that all of them share is open now
    with ThreadPoolExecutor(4) as pool:
        for key, frames in zip(keys * 3, pool.map(dataset.frames, keys * 3), strict=True):
            assert np.array_equal(frames.numpy(), shown(clips[key]))
    with multiprocessing.get_context("fork").Pool(2) as processes:
        jobs = [(tmp_path, key) for key in keys]
        for key, frames in zip(keys, processes.map(_frames_of, jobs), strict=True):
            assert np.array_equal(frames, shown(clips[key]))


def test_clips_keep_their_ids_when_they_are_sharded_anew(tmp_path: Path) -> None:
    contents = [members_of(key, clip(seed)) for seed, key in enumerate("abc")]
    write_tar(tmp_path / "one/test/000000.tar", [member for members in contents for member in members])
    for number, members in enumerate(contents):
        write_tar(tmp_path / f"three/test/part-{number}.tar", members)
    one, three = open_folder(tmp_path / "one"), open_folder(tmp_path / "three")
    assert [c.id for c in one.clips("test")] == [c.id for c in three.clips("test")] == ["a", "b", "c"]
    assert one.fingerprint == three.fingerprint


def test_side_files_of_shards_are_named_and_left_out(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [*members_of("a", clip(0)), ("a.json", b"{}"), ("b.png", png(clip(0)[0]))])
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["a"]
    assert any("0.tar:a.json" in note for note in dataset.notes)
    assert any("still image" in note and "b.png" in note for note in dataset.notes)


def test_frames_are_ordered_by_number_whatever_their_place(tmp_path: Path) -> None:
    frames = clip(0, 12)
    members = [
        (f"a.{number}.png", png(frame)) for number, frame in enumerate(frames)
    ]  # 10 sorts before 2 as text
    write_tar(tmp_path / "0.tar", members[::-1])
    assert np.array_equal(open_folder(tmp_path).frames("a").numpy(), shown(frames))


# -- bad shards --------------------------------------------------------------------------------------------------


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    "where",
    ["inside a frame", "inside a first frame", "between frames", "inside a header", "without end mark"],
)
def test_a_cut_off_shard_loses_its_last_clip_and_no_other(tmp_path: Path, where: str) -> None:
    path = tmp_path / "000007.tar"
    write_tar(path, [*members_of("a", clip(0)), *members_of("b", clip(1)), *members_of("c", clip(2))])
    third = next(m for m in read_index(path).members if m.path == "b.002.png")
    end = third.offset + -(-third.size // 512) * 512
    first = next(m for m in read_index(path).members if m.path == "b.000.png")
    last = read_index(path).members[-1]
    whole = last.offset + -(-last.size // 512) * 512
    size = {
        "inside a frame": third.offset + third.size // 2,
        "inside a first frame": first.offset + first.size // 2,
        "between frames": end,
        "inside a header": end + 100,
        "without end mark": whole,
    }[where]
    cut(path, size)
    dataset = open_folder(tmp_path)
    assert any("000007.tar is cut off" in note and "missing" in note for note in dataset.notes)
    assert np.array_equal(dataset.frames("a").numpy(), shown(clip(0)))
    lost = "c" if where == "without end mark" else "b"
    assert [c.id for c in dataset.clips("test")] == ["a", "b", "c"][: 3 if lost == "c" else 2]
    for call in (dataset.frames, dataset.frame_count, lambda name: dataset.frames_at(name, [0])):
        with pytest.raises(
            ClipError, match=rf"clip '{lost}' (may lack frames|is truncated): 000007\.tar is cut off"
        ):
            call(lost)


def test_a_video_that_the_end_of_its_shard_cuts_in_two_stays_listed(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / "plain" / name, noise(10))
    files = [(name, (tmp_path / "plain" / name).read_bytes()) for name in ("a.mp4", "b.mp4")]
    write_tar(tmp_path / "test/0.tar", files)
    cut(tmp_path / "test/0.tar", (tmp_path / "test/0.tar").stat().st_size * 3 // 4)
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["a", "b"]
    assert len(dataset.frames("a")) == 10
    with pytest.raises(ClipError, match=r"clip 'b\.mp4' is truncated: 0\.tar is cut off inside"):
        dataset.frames("b")


def test_a_header_that_is_rubbish_is_no_silent_end(tmp_path: Path) -> None:
    path = tmp_path / "0.tar"
    write_tar(path, [*members_of("a", clip(0)), *members_of("b", clip(1))])
    first_of_b = next(m for m in read_index(path).members if m.path == "b.000.png")
    content = bytearray(path.read_bytes())
    content[first_of_b.offset - 512 : first_of_b.offset] = b"\x07" * 512
    path.write_bytes(content)
    dataset = open_folder(tmp_path)
    assert any("0.tar is cut off or damaged after 5 files" in note for note in dataset.notes)
    with pytest.raises(ClipError, match="clip 'a' may lack frames"):
        dataset.frames("a")


def test_empty_compressed_and_other_files_called_tar_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    write_tar(tmp_path / "good.tar", members_of("a", clip(0)))
    (tmp_path / "empty.tar").touch()
    (tmp_path / "text.tar").write_text("no archive " * 100)
    (tmp_path / "packed.tar").write_bytes(gzip.compress((tmp_path / "good.tar").read_bytes()))
    (tmp_path / "folder.tar").mkdir()
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["a"]
    for name, reason in (
        ("empty.tar", "is empty"),
        ("text.tar", "is no readable tar archive"),
        ("packed.tar", "is compressed with gzip"),
    ):
        assert any(name in note and reason in note for note in dataset.notes), name
    for name in ("empty", "text", "packed"):
        with pytest.raises(BenchbedError, match=f"{name}.tar"):
            open_folder(tmp_path / f"{name}.tar")


@pytest.mark.parametrize("name", ["../outside.mp4", "/etc/outside.mp4", "x/../../outside.mp4"])
def test_members_that_lead_out_of_the_shard_are_named_and_not_read(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "0.tar", [(name, b"anything"), *members_of("a", clip(0))])
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["a"]
    assert any("outside.mp4' leads out of the shard" in note for note in dataset.notes)


def test_links_in_shards_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"not for this data set")
    (tmp_path / "data").mkdir()
    with tarfile.open(tmp_path / "data/0.tar", "w") as archive:
        for name, kind in (("a.mp4", tarfile.SYMTYPE), ("b.mp4", tarfile.LNKTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, str(tmp_path / "secret.mp4")
            archive.addfile(entry)
        for name, content in members_of("c", clip(0)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    dataset = open_folder(tmp_path / "data")
    assert [c.id for c in dataset.clips("test")] == ["c"]
    assert sum("is a link and is not read" in note for note in dataset.notes) == 2


def test_a_frame_that_comes_twice_makes_its_clip_unreadable_and_no_other(tmp_path: Path) -> None:
    members = members_of("a", clip(0))
    write_tar(tmp_path / "0.tar", [*members, ("a.1.png", members[1][1]), *members_of("b", clip(1))])
    dataset = open_folder(tmp_path)
    assert len(dataset.frames("b")) == 5
    with pytest.raises(ClipError, match="clip 'a' has frame 1 twice"):
        dataset.frames("a")


def test_a_clip_spread_over_two_shards_is_named_with_both(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", members_of("a", clip(0)))
    write_tar(tmp_path / "1.tar", [*members_of("a", clip(1)), *members_of("b", clip(2))])
    dataset = open_folder(tmp_path)
    assert [c.id for c in dataset.clips("test")] == ["a", "b"] and len(dataset.frames("b")) == 5
    with pytest.raises(ClipError, match=r"clip 'a' is there 2 times: .*0\.tar.* and .*1\.tar.*; keep one"):
        dataset.frames("a")


def test_a_broken_image_in_a_shard_is_named_with_shard_and_member(tmp_path: Path) -> None:
    members = members_of("a", clip(0))
    members[2] = (members[2][0], members[2][1][: len(members[2][1]) // 2])
    write_tar(tmp_path / "0.tar", [*members, *members_of("b", clip(1))])
    dataset = open_folder(tmp_path)
    with pytest.raises(ClipError, match=r"0\.tar:a\.002\.png cannot be decoded"):
        dataset.frames("a")
    assert len(dataset.frames_at("a", [0, 4])) == 2 and len(dataset.frames("b")) == 5


def test_a_shard_that_vanished_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", members_of("a", clip(0)))
    dataset = open_folder(tmp_path)
    (tmp_path / "0.tar").unlink()
    with pytest.raises(ClipError, match=r"0\.tar:a\.000\.png cannot be read"):
        dataset.frames("a")
