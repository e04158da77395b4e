"""Weights files: safe loading, the kinds that are refused, the store, its cards, downloads and the command."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from filelock import FileLock
from safetensors.torch import save_file

from benchbed import weights
from benchbed.cli.weights import weights as weights_command
from benchbed.errors import CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.weights import entries

CONTENT = bytes(range(256)) * 4000  # a megabyte: several reads
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ALEX = "hub/checkpoints/alexnet-owt-7be5be79.pth"
FACE = "checkpoints/20180402-114759-vggface2.pt"


@dataclass
class Served:
    """What the web server of a test gives for every address but `/absent`, and how well."""

    content: bytes = CONTENT
    etag: str = '"one"'
    ranges: bool = True
    break_after: int | None = None
    asked: list[str | None] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server() -> Iterator[Served]:
    """A web server on this machine that can break off, change its file and forget ranges."""
    served = Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/absent":
                return self.send_error(404)
            wanted = self.headers.get("Range")
            served.asked.append(wanted)
            start, size = 0, len(served.content)
            if wanted and served.ranges and self.headers.get("If-Range") == served.etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= size:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{size}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            else:
                self.send_response(200)
            if served.etag:
                self.send_header("ETag", served.etag)
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            end = size if served.break_after is None else served.break_after
            self.wfile.write(served.content[start:end])

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        served.address = f"http://127.0.0.1:{running.server_port}"
        yield served
        running.shutdown()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Served) -> Path:
    """An empty store, an empty torch home and a catalogue of three: published, unpublished and by hand."""
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    rows = [
        ("lpips-alex", ALEX, f"{server.address}/alex", DIGEST[:8], False),
        ("face-identity", FACE, f"{server.address}/face", "", False),
        ("reid-resnet50", "checkpoints/reid_model.pth", "https://yadi.sk/d/page", "", True),
    ]
    lines = []
    for name, place, url, digest, by_hand in rows:
        folder, _, file = place.rpartition("/")
        texts = {"name": name, "purpose": "p", "file": file, "url": url, "sha256": digest, "licence": "l"}
        lines += [
            "[[weights]]",
            f'folder = "{folder}"',
            "megabytes = 1.0",
            f"by_hand = {str(by_hand).lower()}",
        ]
        lines += [f'{key} = "{value}"' for key, value in texts.items()]
    (tmp_path / "weights.toml").write_text("\n".join(lines))
    monkeypatch.setattr(entries, "CATALOGUE", tmp_path / "weights.toml")
    return tmp_path / "store"


def files_in(folder: Path) -> list[str]:
    """Files of the store, cards and locks left out."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in found if path.parent.name != "cards")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(weights_command, list(arguments))


class WritesAFile:
    """Pickles to a command that creates a file when it is loaded carelessly."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self._path}'",)


# ---- loading ----


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_gives_dotted_names_without_optimisers(tmp_path: Path, zipped: bool) -> None:
    content = {
        "generator": {
            "first.conv.weight": torch.full((2, 3), 0.5, dtype=torch.float16),
            "steps": torch.tensor(7),
        },
        "optimizer_generator": {"state": {0: {"exp_avg": torch.ones(4)}}},
        "g_optim": {"state": {0: {"exp_avg": torch.ones(4)}}},
        "args": argparse.Namespace(size=256),
        "epoch": 99,
    }
    torch.save(content, tmp_path / "cpk.pth.tar", _use_new_zipfile_serialization=zipped)
    loaded = weights.load_tensors(tmp_path / "cpk.pth.tar")
    assert list(loaded.tensors) == ["generator.first.conv.weight", "generator.steps"]
    assert loaded.tensors["generator.first.conv.weight"].dtype == torch.float32
    assert loaded.tensors["generator.steps"].dtype == torch.int64
    assert loaded.metadata == {"epoch": "99"}


def test_safetensors_are_widened_and_keep_their_metadata(tmp_path: Path) -> None:
    save_file(
        {"a.weight": torch.ones(2, dtype=torch.float16)}, tmp_path / "w.safetensors", metadata={"seed": "0"}
    )
    loaded = weights.load_tensors(tmp_path / "w.safetensors")
    assert loaded.tensors["a.weight"].dtype == torch.float32
    assert loaded.metadata == {"seed": "0"}


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_executed(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "executed"
    file = tmp_path / "evil.pth"
    torch.save({"a": torch.ones(1), "b": WritesAFile(trace)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil\.pth was refused: .*pickled code \(posix\.system\)"):
        weights.load_tensors(file)
    assert not trace.exists()
    torch.load(file, weights_only=False)  # the file does what it claims when loaded carelessly
    assert trace.exists()


def test_a_bare_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(WritesAFile(trace)))
    with pytest.raises(CheckpointError, match="pickled objects can run code"):
        weights.load_tensors(tmp_path / "evil.pkl")
    assert not trace.exists()


def test_a_whole_pickled_network_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        weights.load_tensors(tmp_path / "net.pth")


def torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)


def torch7(path: Path, kind: str) -> None:
    """The opening of a `.t7`: a tensor, a table of strings, or a tensor in the ascii form."""
    if kind == "ascii":
        path.write_text("4\n1\n3\nV 1\n17\ntorch.FloatTensor\n1\n2\n")
    elif kind == "table":
        path.write_bytes(struct.pack("<5i", 3, 1, 1, 2, 5) + b"state" + struct.pack("<id", 1, 1.0))
    else:
        name = b"torch.FloatTensor"
        path.write_bytes(
            struct.pack("<3i", 4, 1, 3) + b"V 1" + struct.pack("<i", len(name)) + name + bytes(64)
        )


def tar(path: Path, kind: int) -> None:
    """The archive torch wrote before 0.1.10: three members."""
    with tarfile.open(path, "w", format=kind) as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"\x80\x02N."))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "text")


# a model proto: ir_version 8, producer "pytorch", a graph
ONNX = b"\x08\x08\x12\x07pytorch\x3a\x10" + bytes(16)
KINDS = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "zeros": (lambda path: path.write_bytes(bytes(4096)), "opens with zeros only"),
    "lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
        "is a Git LFS pointer",
    ),
    "html": (lambda path: path.write_text("\n<!DOCTYPE html><html></html>"), "is a web page"),
    "text": (lambda path: path.write_text("404: Not Found"), "is a text file"),
    "torchscript": (torchscript, "is a TorchScript program"),
    "t7": (lambda path: torch7(path, "object"), "is a Torch7 \\(Lua\\) file"),
    "t7-table": (lambda path: torch7(path, "table"), "is a Torch7 \\(Lua\\) file"),
    "t7-ascii": (lambda path: torch7(path, "ascii"), "is a Torch7 \\(Lua\\) file"),
    "tar": (lambda path: tar(path, tarfile.GNU_FORMAT), "is a tar archive"),
    "ustar": (lambda path: tar(path, tarfile.USTAR_FORMAT), "is a tar archive"),
    "onnx": (lambda path: path.write_bytes(ONNX), "is an ONNX program"),
    "npy": (lambda path: np.save(path.open("wb"), np.ones(3)), "is a NumPy array"),
    "npz": (lambda path: np.savez(path.open("wb"), a=np.ones(3)), "is a NumPy archive"),
    "zip": (zipped, "is a zip archive that torch did not write"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(40)), "is a gzip archive"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is a Python pickle"),
    "noise": (lambda path: path.write_bytes(b"\x00\x01 nothing torch ever wrote"), "is damaged"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_what_is_no_readable_weights_file_is_named(tmp_path: Path, kind: str) -> None:
    write, sentence = KINDS[kind]
    write(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=f"w\\.pth {sentence}.*; ") as raised:
        weights.load_tensors(tmp_path / "w.pth")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_one_sentence(tmp_path: Path, kind: str, kept: float) -> None:
    file = tmp_path / "w.bin"
    tensors = {"a": torch.arange(1000.0)}
    if kind == "safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file, _use_new_zipfile_serialization=kind == "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match="damaged"):
        weights.load_tensors(file)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.pth"):
        with pytest.raises(CheckpointError, match="does not exist or is no file"):
            weights.load_tensors(path)


def test_a_file_without_tensors_says_so(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds no named tensors"):
        weights.load_tensors(tmp_path / "w.pth")


def test_fit_report_counts_and_names_what_does_not_fit() -> None:
    expected = {"a": (1,), "b": (2, 3), **{f"c{index}": (4,) for index in range(5)}}
    given = {"a": (1,), "b": (3, 2), "d": ()}
    assert weights.fit_report(expected, given, name="fomm vox-256") == (
        "the tensors do not fit fomm vox-256: 5 missing (c0 [4], c1 [4], c2 [4], ...); 1 unexpected (d []); "
        "1 misshapen (b [3, 2] instead of [2, 3]); use weights of this configuration"
    )
    assert weights.fit_report(expected, dict(expected), name="fomm") is None


# ---- catalogue and finding ----


def test_the_catalogue_is_complete_and_its_digests_match_its_file_names() -> None:
    known = weights.catalogue()
    assert set(known) == {
        *("lpips-alex", "lpips-vgg", "lpips-squeeze", "vgg19", "inception-fid", "face-landmarks"),
        *("dino-vitb8", "hopenet"),
        *("face-detector", "face-identity", "face-identity-casia", "openface", "body-joints", "body-pose"),
        *("person-identity", "person-identity-msmt17", "reid-resnet50", "resnext101-3d"),
    }
    assert len({entry.file for entry in known.values()}) == len(known)
    assert {entry.name for entry in known.values() if entry.by_hand} == {
        *("body-pose", "hopenet", "reid-resnet50", "resnext101-3d"),
    }
    for entry in known.values():
        assert entry.url.startswith("https://")
        assert "drive.google.com/uc" not in entry.url  # answers large files with a page
        assert entry.sha256 in entry.file
        assert entry.folder in ("hub/checkpoints", "checkpoints")
        assert entry.licence
        assert entry.megabytes > 0


def test_missing_weights_name_the_command_the_file_the_origin_and_the_place(
    store: Path, server: Served
) -> None:
    with pytest.raises(WeightsMissingError) as raised:
        weights.find_weights("lpips-alex")
    assert str(raised.value) == (
        "weights missing: benchbed weights pull lpips-alex (or put alexnet-owt-7be5be79.pth "
        f"from {server.address}/alex into {store}/hub/checkpoints)"
    )
    with pytest.raises(WeightsMissingError) as raised:
        weights.standing("reid-resnet50")
    assert str(raised.value) == (
        "weights missing: open https://yadi.sk/d/page, save the file as reid_model.pth, then run: "
        "benchbed weights add reid_model.pth"
    )


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'lpips-alex'\?"):
        weights.find_weights("lpips-alx")


def test_the_store_comes_before_the_torch_home_and_both_are_verified(store: Path, tmp_path: Path) -> None:
    other, own = tmp_path / "torch" / ALEX, store / ALEX
    for path in (other, own):
        path.parent.mkdir(parents=True)
    other.write_bytes(CONTENT)
    assert weights.find_weights("lpips-alex") == other
    assert weights.standing("lpips-alex") == "published"
    own.write_bytes(CONTENT[:-1])
    with pytest.raises(
        CheckpointError, match=f"{own} is not the published lpips-alex.*expected {DIGEST[:8]}"
    ):
        weights.find_weights("lpips-alex")
    own.write_bytes(CONTENT)
    assert weights.find_weights("lpips-alex") == own
    assert f"not used, since the store has the file: {other}" in run("list").output


def test_the_store_is_laid_out_as_torch_hub_looks_for_files(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.pull("lpips-alex").path
    monkeypatch.setenv("TORCH_HOME", str(store))
    assert Path(torch.hub.get_dir(), "checkpoints", path.name) == path
    assert "not used" not in run("list").output  # one file under two names is no second copy


def test_a_file_of_the_old_flat_layout_is_not_used_and_listed_as_such(store: Path) -> None:
    store.mkdir()
    flat = store / Path(ALEX).name
    flat.write_bytes(CONTENT)
    with pytest.raises(WeightsMissingError):
        weights.find_weights("lpips-alex")
    assert f"bring it in with: benchbed weights add {flat}" in run("list").output
    assert run("add", str(flat)).exit_code == 0
    assert weights.find_weights("lpips-alex") == store / ALEX


def test_a_file_changed_a_moment_ago_is_read_again(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        (tmp_path / "file").write_bytes(content)
        assert weights.sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    os.utime(tmp_path / "file", (0, 0))
    assert weights.sha256_of(tmp_path / "file") == hashlib.sha256(b"two").hexdigest()


# ---- pull ----


def test_pull_checks_renames_and_writes_a_card(store: Path, server: Served) -> None:
    seen: list[tuple[int, int | None]] = []
    pulled = weights.pull("lpips-alex", lambda done, total: seen.append((done, total)))
    assert pulled == weights.CheckedFile(store / ALEX, DIGEST, "published")
    assert pulled.path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert files_in(store) == [ALEX]
    assert json.loads((store / "cards/lpips-alex.json").read_text()) == {
        "name": "lpips-alex",
        "file": Path(ALEX).name,
        "sha256": DIGEST,
        "size": len(CONTENT),
        "origin": f"{server.address}/alex",
        "standing": "published",
        "golden": {},
        "golden_device": {},
    }
    assert weights.pull("face-identity").standing == weights.standing("face-identity") == "unpublished"


def broken(server: Served, after: int = 300_000) -> str:
    """A pull that breaks off; gives its sentence."""
    server.break_after = after
    with pytest.raises(CheckpointError) as raised:
        weights.pull("lpips-alex")
    server.break_after = None
    return str(raised.value)


def test_a_broken_download_is_kept_and_continued_to_the_same_bytes(store: Path, server: Served) -> None:
    assert broken(server) == (
        f"{server.address}/alex broke off after 300000 of {len(CONTENT)} bytes; what came is kept, and the same "
        "command continues: benchbed weights pull lpips-alex"
    )
    part = store / "hub/checkpoints/.alexnet-owt-7be5be79.pth.part"
    assert part.read_bytes() == CONTENT[:300_000]
    broken(server, after=500_000)
    said: list[str] = []
    seen: list[int] = []
    weights.pull("lpips-alex", lambda done, _: seen.append(done), notice=said.append)
    assert (store / ALEX).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert said == ["continuing after 0.5 MiB that came earlier"]
    assert min(seen) > 500_000
    assert files_in(store) == [ALEX]


def test_a_download_killed_after_its_last_byte_is_complete(store: Path, server: Served) -> None:
    broken(server)
    (store / "hub/checkpoints/.alexnet-owt-7be5be79.pth.part").write_bytes(CONTENT)
    assert weights.pull("lpips-alex").standing == "published"
    assert server.asked[-1] == f"bytes={len(CONTENT)}-"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ranges": False}, "the server cannot continue a download; starting over"),
        ({"etag": '"two"'}, "the file at the server changed since the download broke off; starting over"),
    ],
)
def test_a_download_that_cannot_be_continued_starts_over_and_says_so(
    store: Path, server: Served, change: dict[str, object], sentence: str
) -> None:
    right = server.content
    server.content = b"\xff" * 400_000  # an earlier state of the file, none of which may remain
    broken(server)
    server.content = right
    vars(server).update(change)
    said: list[str] = []
    weights.pull("lpips-alex", notice=said.append)
    assert said == [sentence]
    assert (store / ALEX).read_bytes() == CONTENT


def test_a_file_that_became_shorter_starts_over(store: Path, server: Served) -> None:
    broken(server)
    (store / "hub/checkpoints/.alexnet-owt-7be5be79.pth.part").write_bytes(CONTENT + b"more")
    said: list[str] = []
    weights.pull("lpips-alex", notice=said.append)
    assert said == ["the file at the server changed since the download broke off; starting over"]
    assert (store / ALEX).read_bytes() == CONTENT


def test_another_address_does_not_continue_the_part(store: Path, server: Served) -> None:
    broken(server)
    said: list[str] = []
    weights.pull("lpips-alex", url=f"{server.address}/mirror", notice=said.append)
    assert said == ["what an earlier download left cannot be continued from this address; starting over"]
    assert server.asked == [None, None]


def test_nothing_is_kept_where_the_server_gives_nothing_to_continue_by(store: Path, server: Served) -> None:
    server.etag = ""
    assert "check the connection and repeat: benchbed weights pull lpips-alex" in broken(server)
    assert files_in(store) == []


@pytest.mark.parametrize(
    ("page", "content", "sentence"),
    [
        ("alex", b"\x00another file", f"not {DIGEST[:8]}.*; it was not kept"),
        ("alex", b"<html>sign in</html>", "is a web page.*; it was not kept"),
        ("absent", b"", "answered 404 .*run: benchbed weights add FILE"),
    ],
)
def test_a_bad_download_leaves_nothing_behind_and_keeps_the_file_that_was_there(
    store: Path, server: Served, page: str, content: bytes, sentence: str
) -> None:
    server.content = content
    for before in ([], [ALEX]):
        if before:
            (store / ALEX).write_bytes(CONTENT)
        with pytest.raises(CheckpointError, match=sentence):
            weights.pull("lpips-alex", url=f"{server.address}/{page}")
        assert files_in(store) == before
    assert weights.standing("lpips-alex") == "published"


def test_without_a_connection_the_message_says_how_to_bring_the_file(store: Path) -> None:
    dead = "http://127.0.0.1:9/file"  # the discard port: nothing listens there
    with pytest.raises(CheckpointError, match=r"could not be downloaded: .*refused") as raised:
        weights.pull("lpips-alex", url=dead)
    assert str(raised.value).endswith(
        f"repeat: benchbed weights pull lpips-alex --from {dead} (or bring alexnet-owt-7be5be79.pth from another "
        "machine and run: benchbed weights add alexnet-owt-7be5be79.pth)"
    )
    assert files_in(store) == []


def test_two_pulls_at_once_bring_one_file_and_the_second_says_that_it_waits(
    store: Path, server: Served
) -> None:
    weights.pull("lpips-alex")
    (store / ALEX).unlink()
    server.asked.clear()
    said: list[str] = []
    results: list[weights.CheckedFile] = []
    waiting = threading.Event()

    def second() -> None:
        results.append(weights.pull("lpips-alex", notice=lambda text: (said.append(text), waiting.set())))

    with FileLock(store / ".locks" / "lpips-alex.lock"):  # the first, half way
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        (store / ALEX).write_bytes(CONTENT)
    thread.join(10)
    assert said == ["another process is downloading alexnet-owt-7be5be79.pth; waiting for it"]
    assert results[0].path == store / ALEX
    assert server.asked == []  # nothing was downloaded twice

    pulls = [threading.Thread(target=weights.pull, args=("face-identity",)) for _ in range(4)]
    for pull in pulls:
        pull.start()
    for pull in pulls:
        pull.join(20)
    assert (store / FACE).read_bytes() == CONTENT
    assert server.asked == [None]


def test_a_store_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "file" / "below"))  # holds for root as well
    sentence = "below cannot be written: Not a directory; set BENCHBED_WEIGHTS to another folder"
    with pytest.raises(CheckpointError, match=sentence):
        weights.pull("lpips-alex")
    with pytest.raises(CheckpointError, match=sentence):
        weights.add(tmp_path / "file", "lpips-alex")
    assert run("list").exit_code == 0


# ---- add ----


def test_add_knows_a_renamed_file_by_its_digest(store: Path, tmp_path: Path) -> None:
    (tmp_path / "download(1).bin").write_bytes(CONTENT)
    assert weights.add(tmp_path / "download(1).bin").path == store / ALEX
    assert weights.read_card("lpips-alex").origin == "by hand"  # type: ignore[union-attr]
    (tmp_path / "other.bin").write_bytes(b"\x00something")
    with pytest.raises(UnknownNameError, match="none of the known weights"):
        weights.add(tmp_path / "other.bin", unverified=True)
    assert files_in(store) == [ALEX]


def test_a_file_that_is_not_the_published_one_is_refused_unless_it_is_declared(
    store: Path, tmp_path: Path
) -> None:
    stand_in = tmp_path / "seeded.pth"
    torch.save({"a": torch.ones(2)}, stand_in)
    refused = run("add", str(stand_in), "--name", "lpips-alex")
    assert isinstance(refused.exception, CheckpointError)
    assert "with --unverified it would be registered as a stand-in" in str(refused.exception)
    assert "not be comparable" in str(refused.exception)
    assert files_in(store) == []
    added = run("add", str(stand_in), "--name", "lpips-alex", "--unverified")
    assert added.exit_code == 0
    assert "columns measured with it are NOT COMPARABLE" in added.output
    assert weights.find_weights("lpips-alex") == store / ALEX
    assert weights.standing("lpips-alex") == "unverified"
    assert "lpips-alex: unchanged" in run("verify").output
    assert "unverified" in run("list").output
    # another file in its place is refused again
    (store / ALEX).write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match="not the published lpips-alex"):
        weights.find_weights("lpips-alex")
    # and the published one replaces it
    assert "face-identity" not in (pulled := run("pull", "lpips-alex")).output
    assert pulled.exit_code == 0
    assert weights.standing("lpips-alex") == "published"


def test_a_stand_in_is_replaced_by_pull(store: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "seeded.pth")
    weights.add(tmp_path / "seeded.pth", "face-identity", unverified=True)
    assert weights.standing("face-identity") == "unverified"
    pulled = run("pull", "face-identity")
    assert "is an unverified stand-in; replacing it" in pulled.output
    assert weights.standing("face-identity") == "unpublished"
    weights.add(tmp_path / "seeded.pth", "reid-resnet50", unverified=True)
    with pytest.raises(CheckpointError, match="is a stand-in, and reid-resnet50 cannot be downloaded"):
        raise run("pull", "reid-resnet50").exception  # type: ignore[misc]


def test_the_published_file_is_published_even_when_it_is_added_with_unverified(
    store: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert weights.add(tmp_path / "file", "lpips-alex", unverified=True).standing == "published"


def test_a_file_without_published_digits_is_held_to_its_card(store: Path, tmp_path: Path) -> None:
    weights.pull("face-identity")
    (store / FACE).write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match=r"is not the file registered as face-identity.*weights add"):
        weights.find_weights("face-identity")
    weights.add(store / FACE)
    assert weights.standing("face-identity") == "unpublished"


def test_a_web_page_is_not_registered_even_with_unverified(store: Path, tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<!doctype html>")
    with pytest.raises(CheckpointError, match="is a web page"):
        weights.add(tmp_path / "page.pth", "lpips-alex", unverified=True)


def test_a_damaged_card_is_one_sentence_and_written_anew_by_pull(store: Path) -> None:
    weights.pull("lpips-alex")
    weights.card_path("lpips-alex").write_text("{")
    with pytest.raises(CheckpointError, match=r"no readable card.*delete it"):
        weights.find_weights("lpips-alex")
    assert "card damaged" in run("list").output
    assert run("pull", "lpips-alex").exit_code == 0
    assert weights.standing("lpips-alex") == "published"


# ---- command ----


def test_list_shows_every_entry_in_both_forms(store: Path, server: Served) -> None:
    weights.pull("lpips-alex")
    plain = run("list")
    assert plain.exit_code == 0
    assert plain.output.splitlines() == [
        f"lpips-alex        1.0 MiB  published    {store / ALEX}",
        "               p; licence: l",
        f"               {server.address}/alex; sha256: {DIGEST[:8]}",
        "face-identity     1.0 MiB  missing",
        "               p; licence: l",
        f"               {server.address}/face; sha256: none stated",
        "reid-resnet50     1.0 MiB  missing (to be fetched by hand)",
        "               p; licence: l",
        "               https://yadi.sk/d/page; sha256: none stated",
        f"store: {store} (BENCHBED_WEIGHTS sets another), laid out as TORCH_HOME is: "
        "TORCH_HOME=$BENCHBED_WEIGHTS lets every library find the same files",
    ]
    listed = json.loads(run("list", "--json").output)
    assert [row["name"] for row in listed] == list(weights.catalogue())
    assert [row["standing"] for row in listed] == ["published", None, None]
    assert [row["by_hand"] for row in listed] == [False, False, True]
    assert listed[1]["path"] is None


def test_list_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from benchbed.cli.weights import weights; "
        "assert CliRunner().invoke(weights, ['list']).exit_code == 0; assert 'torch' not in sys.modules; "
        "import benchbed.golden; assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"BENCHBED_WEIGHTS": str(tmp_path)}
    )


def test_pull_then_pull_again_then_verify(store: Path) -> None:
    first = run("pull", "lpips-alex")
    assert first.exit_code == 0, first.output
    assert f"lpips-alex: {store / ALEX} (published file" in first.output
    assert "already here" in run("pull", "lpips-alex").output
    assert "lpips-alex: good" in run("verify").output
    (store / ALEX).write_bytes(b"damaged")
    assert isinstance(run("verify").exception, CheckpointError)
    replaced = run("pull", "lpips-alex")
    assert replaced.exit_code == 0, replaced.output
    assert "getting it anew" in replaced.output
    assert weights.find_weights("lpips-alex") == store / ALEX
    assert isinstance(run("verify", "face-identity").exception, CheckpointError)


def test_a_file_to_be_fetched_by_hand_says_how(store: Path, server: Served) -> None:
    sentence = (
        "reid-resnet50 cannot be downloaded by a program: open https://yadi.sk/d/page, save the file as "
        "reid_model.pth, then run: benchbed weights add reid_model.pth"
    )
    assert str(run("pull", "reid-resnet50").exception) == sentence
    everything = CliRunner().invoke(weights_command, ["pull", "--all"], standalone_mode=False)
    assert everything.return_value == 1
    assert files_in(store) == [FACE, ALEX]
    assert everything.output.splitlines()[-2:] == [sentence, "not here: reid-resnet50"]
    assert run("pull", "reid-resnet50", "--from", f"{server.address}/mirror").exit_code == 0
    everything = CliRunner().invoke(weights_command, ["pull", "--all"], standalone_mode=False)
    assert everything.return_value == 0


def test_pull_without_a_name_lists_the_known_ones() -> None:
    answer = run("pull")
    assert answer.exit_code == 2
    assert "name the weights to pull, or --all" in answer.output
    assert "give names or --all" in run("pull", "lpips-alex", "--all").output
