"""The weights store: safe loading, catalogue, downloads and what they say when something is wrong."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from benchbed import weights
from benchbed.cli.weights import weights as weights_command
from benchbed.errors import CheckpointError, UnknownNameError, WeightsMissingError

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store and an empty torch home; `lpips-alex` is a file of 10 kB with a known digest."""
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    entries = weights.catalogue()
    entries["lpips-alex"] = replace(entries["lpips-alex"], sha256=DIGEST[:8])
    monkeypatch.setattr(weights, "catalogue", lambda: entries)
    return tmp_path / "store"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine over `served/`."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(served))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"x" * 10)
            else:
                super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


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
    with pytest.raises(CheckpointError, match="pickled objects that are not read"):
        weights.load_tensors(tmp_path / "evil.pkl")
    assert not trace.exists()


def test_a_whole_pickled_network_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        weights.load_tensors(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html></html>", "is a web page"),
        (b"\x00\x01 nothing torch ever wrote", "is damaged"),
    ],
)
def test_what_is_no_weights_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        weights.load_tensors(tmp_path / "w.pth")


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


# ---- store ----


def test_the_catalogue_is_complete_and_its_digests_match_its_file_names() -> None:
    entries = weights.catalogue()
    assert set(entries) == {
        *("lpips-alex", "lpips-vgg", "lpips-squeeze", "vgg19", "inception-fid", "face-landmarks"),
        *("face-detector", "face-identity", "openface", "body-joints", "person-identity"),
    }
    for entry in entries.values():
        assert entry.url.startswith("https://")
        assert entry.sha256 in entry.file
        assert entry.folder in ("hub/checkpoints", "checkpoints")
        assert entry.licence


def test_missing_weights_name_the_command_the_origin_and_the_place(store: Path) -> None:
    with pytest.raises(WeightsMissingError) as raised:
        weights.find_weights("lpips-alex")
    message = str(raised.value)
    assert message.startswith(
        "weights missing: benchbed weights pull lpips-alex (or put alexnet-owt-7be5be79.pth"
    )
    assert "download.pytorch.org" in message
    assert str(store) in message


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'lpips-alex'\?"):
        weights.find_weights("lpips-alx")


def test_the_store_comes_before_the_torch_hub_and_both_are_verified(store: Path, tmp_path: Path) -> None:
    hub = tmp_path / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth"
    hub.parent.mkdir(parents=True)
    hub.write_bytes(CONTENT)
    assert weights.find_weights("lpips-alex") == hub
    store.mkdir()
    own = store / hub.name
    own.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match=f"not the published lpips-alex.*expected {DIGEST[:8]}"):
        weights.find_weights("lpips-alex")
    own.write_bytes(CONTENT)
    assert weights.find_weights("lpips-alex") == own


def test_pull_checks_then_renames(store: Path, server: str, tmp_path: Path) -> None:
    (tmp_path / "served/file").write_bytes(CONTENT)
    seen: list[tuple[int, int | None]] = []
    path = weights.pull("lpips-alex", lambda done, total: seen.append((done, total)), url=f"{server}/file")
    assert path == store / "alexnet-owt-7be5be79.pth"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(store.iterdir()) == [path]


@pytest.mark.parametrize(
    ("page", "content", "sentence"),
    [
        ("wrong", b"another file", f"not {DIGEST[:8]} as published for lpips-alex; it was not kept"),
        ("page", b"<html>sign in</html>", "is a web page"),
        ("absent", None, "answered 404"),
        ("short", None, "broke off after 10 of 1000 bytes|IncompleteRead"),
    ],
)
def test_a_bad_download_leaves_nothing_behind(
    store: Path, server: str, tmp_path: Path, page: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / "served" / page).write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        weights.pull("lpips-alex", url=f"{server}/{page}")
    assert list(store.iterdir()) == []


def test_a_bad_download_keeps_the_file_that_was_there(store: Path, server: str, tmp_path: Path) -> None:
    store.mkdir()
    own = store / "alexnet-owt-7be5be79.pth"
    own.write_bytes(CONTENT)
    (tmp_path / "served/wrong").write_bytes(b"another file")
    with pytest.raises(CheckpointError):
        weights.pull("lpips-alex", url=f"{server}/wrong")
    assert own.read_bytes() == CONTENT


def test_a_refused_connection_is_one_sentence(store: Path, server: str) -> None:
    dead = "http://127.0.0.1:9"  # the discard port: nothing listens there
    with pytest.raises(
        CheckpointError, match=r"could not be downloaded: .*refused.*repeat: benchbed weights pull"
    ):
        weights.pull("lpips-alex", url=f"{dead}/file")
    assert list(store.iterdir()) == []


def test_add_knows_a_renamed_file_by_its_digest(store: Path, tmp_path: Path) -> None:
    (tmp_path / "download(1).bin").write_bytes(CONTENT)
    assert weights.add(tmp_path / "download(1).bin") == store / "alexnet-owt-7be5be79.pth"
    (tmp_path / "other.bin").write_bytes(b"something")
    with pytest.raises(UnknownNameError, match="none of the known weights"):
        weights.add(tmp_path / "other.bin")
    with pytest.raises(CheckpointError, match="not kept"):
        weights.add(tmp_path / "other.bin", "lpips-alex")
    assert [path.name for path in store.iterdir()] == ["alexnet-owt-7be5be79.pth"]


# ---- command ----


def test_list_shows_every_entry_in_both_forms(store: Path) -> None:
    plain = CliRunner().invoke(weights_command, ["list"])
    assert plain.exit_code == 0
    assert "lpips-alex        233.1 MiB  missing\n" in plain.output
    assert f"store: {store}" in plain.output
    listed = json.loads(CliRunner().invoke(weights_command, ["list", "--json"]).output)
    assert [row["name"] for row in listed] == list(weights.catalogue())
    assert listed[0]["path"] is None


def test_pull_then_pull_again_then_verify(store: Path, server: str, tmp_path: Path) -> None:
    (tmp_path / "served/file").write_bytes(CONTENT)
    runner = CliRunner()
    first = runner.invoke(weights_command, ["pull", "lpips-alex", "--from", f"{server}/file"])
    assert first.exit_code == 0, first.output
    assert f"lpips-alex: {store / 'alexnet-owt-7be5be79.pth'}\n" in first.output
    assert "already here" in runner.invoke(weights_command, ["pull", "lpips-alex"]).output
    assert "lpips-alex: good" in runner.invoke(weights_command, ["verify"]).output
    (store / "alexnet-owt-7be5be79.pth").write_bytes(b"damaged")
    damaged = runner.invoke(weights_command, ["verify"])
    assert isinstance(damaged.exception, CheckpointError)
    replaced = runner.invoke(weights_command, ["pull", "lpips-alex", "--from", f"{server}/file"])
    assert replaced.exit_code == 0, replaced.output
    assert "replacing it" in replaced.output


def test_pull_without_a_name_lists_the_known_ones() -> None:
    answer = CliRunner().invoke(weights_command, ["pull"])
    assert answer.exit_code == 2
    assert "name the weights to pull, or --all" in answer.output
