"""The weights store: catalogue, find, pull, verify, add; plug-ins also load tensors from here."""

from __future__ import annotations

import difflib
import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchbed.errors import CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.tensor_files import (
    LoadedWeights,
    fit_report,
    load_tensors,
    not_weights,
    read_metadata,
    write_tensors,
)

__all__ = [
    "LoadedWeights",
    "WeightsEntry",
    "add",
    "catalogue",
    "find_weights",
    "fit_report",
    "load_tensors",
    "locate",
    "pull",
    "read_metadata",
    "sha256_of",
    "store_folder",
    "verify",
    "weights_entry",
    "write_tensors",
]

Progress = Callable[[int, int | None], None]
CHUNK = 1 << 20
CONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class WeightsEntry:
    """One file of the catalogue.

    Args:
        name: what `benchbed weights pull` takes.
        purpose: what needs it.
        file: exact file name.
        url: the maker's address.
        sha256: the digest or its first digits as published, empty where none is.
        megabytes: size in MiB, about.
        licence: of the weights, as far as it is stated.
        folder: below $TORCH_HOME, where torch-hub style libraries keep the file.
    """

    name: str
    purpose: str
    file: str
    url: str
    sha256: str
    megabytes: float
    licence: str
    folder: str


def catalogue() -> dict[str, WeightsEntry]:
    """All known weights by name, in catalogue order."""
    content = tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))
    return {entry["name"]: WeightsEntry(**entry) for entry in content["weights"]}


def weights_entry(name: str) -> WeightsEntry:
    """The catalogue entry of that name.

    Raises:
        UnknownNameError: there is none; the nearest names are suggested.
    """
    entries = catalogue()
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=1)
    suggestion = f" (did you mean '{near[0]}'?)" if near else ""
    raise UnknownNameError(f"unknown weights '{name}'; known: {', '.join(entries)}{suggestion}")


def store_folder() -> Path:
    """Where pulled weights live: $BENCHBED_WEIGHTS, else `~/.cache/benchbed/weights`."""
    configured = os.environ.get("BENCHBED_WEIGHTS")
    return Path(configured).expanduser() if configured else Path.home() / ".cache" / "benchbed" / "weights"


def _torch_home() -> Path:
    # The rule of torch.hub.get_dir, repeated so that `weights list` does not import torch.
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()


def locate(entry: WeightsEntry) -> Path | None:
    """Where the file lies, unverified (our store first, then the torch hub layout); None where it is not."""
    candidates = (store_folder() / entry.file, _torch_home() / entry.folder / entry.file)
    return next((path for path in candidates if path.is_file()), None)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def find_weights(name: str) -> Path:
    """The verified weights file of that catalogue name.

    Raises:
        UnknownNameError: no such name.
        WeightsMissingError: the file is not on this machine; says which command brings it.
        CheckpointError: the file is here but is not the published one.
    """
    entry = weights_entry(name)
    path = locate(entry)
    if path is None:
        raise WeightsMissingError(
            f"weights missing: benchbed weights pull {name} "
            f"(or put {entry.file} from {entry.url} into {_short(store_folder())})"
        )
    verify(entry, path)
    return path


def verify(entry: WeightsEntry, path: Path) -> str:
    """Check a file against the published digest and return its full sha256.

    Raises:
        CheckpointError: the digest differs (truncated, damaged or another file), or the file cannot be read.
    """
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    if not digest.startswith(entry.sha256):
        raise CheckpointError(
            f"{path} is not the published {entry.name}: its sha256 starts {digest[: len(entry.sha256)]}, "
            f"expected {entry.sha256}; delete it and run: benchbed weights pull {entry.name}"
        )
    return digest


def pull(name: str, progress: Progress | None = None, *, url: str | None = None) -> Path:
    """Download weights to a temporary name beside their place, check them, then rename.

    Args:
        name: catalogue name.
        progress: called with bytes so far and bytes in all (None where the server does not say).
        url: a mirror to take the file from instead of the maker's address.

    Returns:
        The path in the store.

    Raises:
        UnknownNameError: no such name.
        CheckpointError: the download failed, was cut short or is not the published file; nothing is left.
    """
    entry = weights_entry(name)
    address = url or entry.url
    if not address.startswith(("https://", "http://")):
        raise CheckpointError(
            f"{address} is not a web address; for a file on this machine: benchbed weights add FILE"
        )
    with _temporary(entry) as temporary:
        _download(address, temporary, name, progress)
        return _install(entry, temporary, origin=address)


def add(file: Path, name: str | None = None) -> Path:
    """Copy a weights file obtained by other means into the store.

    Args:
        file: the file; known by its name, or by its digest where the name was changed.
        name: catalogue name, where neither tells.

    Raises:
        UnknownNameError: the file belongs to no catalogue entry, or `name` is unknown.
        CheckpointError: the file is missing or is not the published one.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} does not exist or is no file; give the path of a weights file")
    entry = weights_entry(name) if name else _recognise(file)
    with _temporary(entry) as temporary:
        try:
            shutil.copyfile(file, temporary)
        except OSError as error:
            raise CheckpointError(f"{file} cannot be copied to {store_folder()}: {error.strerror}") from error
        return _install(entry, temporary, origin=str(file))


def _recognise(file: Path) -> WeightsEntry:
    entries = catalogue()
    for entry in entries.values():
        if file.name == entry.file:
            return entry
    digest = sha256_of(file)
    for entry in entries.values():
        if entry.sha256 and digest.startswith(entry.sha256):
            return entry
    raise UnknownNameError(
        f"{file} is none of the known weights by name or sha256; say which it is: "
        f"benchbed weights add FILE --name NAME (known: {', '.join(entries)})"
    )


class _temporary:
    """A temporary file name in the store, removed on the way out unless it was renamed."""

    def __init__(self, entry: WeightsEntry) -> None:
        folder = store_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix=f".{entry.file}.", suffix=".part", dir=folder)
        except OSError as error:
            raise CheckpointError(
                f"{folder} cannot be written: {error.strerror}; set BENCHBED_WEIGHTS to another folder"
            ) from error
        os.close(handle)
        self._path = Path(path)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _install(entry: WeightsEntry, temporary: Path, *, origin: str) -> Path:
    complaint = not_weights(temporary)
    if complaint:
        raise CheckpointError(
            f"{origin} {complaint}; get {entry.file} by hand and run: benchbed weights add FILE"
        )
    digest = sha256_of(temporary)
    if not digest.startswith(entry.sha256):
        raise CheckpointError(
            f"{origin} gave a file whose sha256 starts {digest[: len(entry.sha256)]}, not {entry.sha256} "
            f"as published for {entry.name}; it was not kept: try again, or get {entry.file} elsewhere "
            "and run: benchbed weights add FILE"
        )
    target = store_folder() / entry.file
    temporary.chmod(0o644)
    os.replace(temporary, target)
    return target


def _download(address: str, target: Path, name: str, progress: Progress | None) -> None:
    import http.client
    import urllib.error
    import urllib.request

    by_hand = f"check the connection and repeat: benchbed weights pull {name}"
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "benchbed"})
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as answer, target.open("wb") as stream:
            length = answer.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            done = 0
            while chunk := answer.read(CHUNK):
                stream.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
    except urllib.error.HTTPError as error:
        raise CheckpointError(
            f"{address} answered {error.code} {error.reason}; get the file elsewhere and run: "
            "benchbed weights add FILE"
        ) from error
    except (urllib.error.URLError, TimeoutError, http.client.HTTPException, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(f"{address} could not be downloaded: {reason}; {by_hand}") from error
    except OSError as error:
        raise CheckpointError(
            f"{target.parent} cannot be written: {error.strerror}; free some space there"
        ) from error
    if total is not None and done != total:
        raise CheckpointError(f"{address} broke off after {done} of {total} bytes; {by_hand}")


def _short(path: Path) -> str:
    """The path with the home folder as `~`, for messages that end up in tables."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)
