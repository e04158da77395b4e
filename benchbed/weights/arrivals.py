"""Bringing weights into the store: `pull` from the maker, `add` from a file fetched by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchbed.errors import CheckpointError, UnknownNameError
from benchbed.tensor_files import not_weights
from benchbed.weights.cards import PUBLISHED, UNPUBLISHED, UNVERIFIED, FileCard, read_card, write_card
from benchbed.weights.checking import CheckedFile, verify
from benchbed.weights.digests import sha256_of
from benchbed.weights.entries import WeightsEntry, catalogue, weights_entry
from benchbed.weights.places import place, store_folder
from benchbed.weights.transfer import Notice, Progress, discard, download


def pull(
    name: str, progress: Progress | None = None, *, url: str | None = None, notice: Notice | None = None
) -> CheckedFile:
    """Download weights to a partial file beside their place, check them, then rename and write their card.

    A broken download is kept and continued by the next call. Where another process is downloading the same
    file, this one waits and takes what that one brought.

    Args:
        name: catalogue name.
        progress: called with bytes so far and bytes in all (None where the server does not say).
        url: a mirror to take the file from instead of the maker's address.
        notice: called with one sentence where the download waits, continues or starts over.

    Raises:
        UnknownNameError: no such name.
        CheckpointError: the file can only be fetched by hand, the download failed or was cut short, what came
            is not the published file (it is removed), or the store cannot be written.
    """
    entry = weights_entry(name)
    if entry.by_hand and not url:
        raise CheckpointError(by_hand_sentence(entry))
    address = url or entry.url
    if not address.startswith(("https://", "http://")):
        raise CheckpointError(
            f"{address} is not a web address; for a file on this machine: benchbed weights add FILE"
        )
    again = f"benchbed weights pull {name}{f' --from {url}' if url else ''}"
    otherwise = f"bring {entry.file} from another machine and run: benchbed weights add {entry.file}"
    part = place(entry).with_name(f".{entry.file}.part")
    with _alone(entry, notice) as waited:
        if waited and (brought := _brought(entry)):
            return brought
        download(address, part, again=again, otherwise=otherwise, progress=progress, notice=notice)
        complaint = not_weights(part) or _another(entry, sha256_of(part))
        if complaint:
            discard(part)
            raise CheckpointError(
                f"{address} gave a file that {complaint}; it was not kept: try again, or get {entry.file} "
                "elsewhere and run: benchbed weights add FILE"
            )
        installed = _install(entry, part, origin=address, standing=_as_published(entry))
        discard(part)
        return installed


def by_hand_sentence(entry: WeightsEntry) -> str:
    """What to do for a file that no program can download."""
    return (
        f"{entry.name} cannot be downloaded by a program: open {entry.url}, save the file as {entry.file}, "
        f"then run: benchbed weights add {entry.file}"
    )


def add(file: Path, name: str | None = None, *, unverified: bool = False) -> CheckedFile:
    """Copy a weights file obtained by other means into the store and write its card.

    Args:
        file: the file; known by its name, or by its digest where the name was changed.
        name: catalogue name, where neither tells.
        unverified: register it although it is not, or may not be, the published file (a stand-in).

    Raises:
        UnknownNameError: the file belongs to no catalogue entry, or `name` is unknown.
        CheckpointError: the file is missing, is no weights file, is not the published one, or cannot be copied.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} does not exist or is no file; give the path of a weights file")
    try:
        entry = weights_entry(name) if name else _recognise(file)
        complaint = not_weights(file)
        digest = sha256_of(file)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}; check its permissions") from error
    if complaint:
        raise CheckpointError(f"{file} {complaint}; get {entry.file} from {entry.url}")
    other = _another(entry, digest)
    if other and not unverified:
        raise CheckpointError(
            f"{file} {other}; get {entry.file} from {entry.url} (with --unverified it would be registered as a "
            "stand-in, and every column measured with it would not be comparable)"
        )
    # Where the maker states no digest, nothing can show that an unverified file is the published one.
    known = entry.sha256 and not other
    standing = UNVERIFIED if unverified and not known else _as_published(entry)
    with _copy(entry, file) as temporary:
        return _install(entry, temporary, origin="by hand", standing=standing)


def _brought(entry: WeightsEntry) -> CheckedFile | None:
    """The file another process brought; None where it failed and what lies there is no published file."""
    if not place(entry).is_file():
        return None
    try:
        checked = verify(entry, place(entry))
    except CheckpointError:
        return None
    return checked if checked.standing != UNVERIFIED else None


def _as_published(entry: WeightsEntry) -> str:
    return PUBLISHED if entry.sha256 else UNPUBLISHED


def _another(entry: WeightsEntry, digest: str) -> str | None:
    if digest.startswith(entry.sha256):
        return None
    return f"is not the published {entry.name} (its sha256 starts {digest[: len(entry.sha256)]}, not {entry.sha256})"


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


@contextmanager
def _alone(entry: WeightsEntry, notice: Notice | None) -> Iterator[bool]:
    """Be the only one that downloads this file; gives whether that took waiting for another."""
    from filelock import FileLock, Timeout

    folder = store_folder() / ".locks"
    try:
        place(entry).parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{entry.name}.lock")
        waited = False
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waited = True
            if notice:
                notice(f"another process is downloading {entry.file}; waiting for it")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        yield waited
    finally:
        lock.release()


@contextmanager
def _copy(entry: WeightsEntry, file: Path) -> Iterator[Path]:
    """A copy under a temporary name beside its place, removed on the way out unless it was renamed."""
    folder = place(entry).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{entry.file}.", suffix=".copy", dir=folder)
    except OSError as error:
        raise _unwritable(error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        try:
            shutil.copyfile(file, temporary)
        except OSError as error:
            raise CheckpointError(
                f"{file} cannot be copied to {folder}: {error.strerror}; free some space there"
            ) from error
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _install(entry: WeightsEntry, temporary: Path, *, origin: str, standing: str) -> CheckedFile:
    """Rename a checked file to its place, then write its card; golden outputs of the same bytes are kept."""
    digest, target = sha256_of(temporary), place(entry)
    before = _card_of(entry.name, digest)
    card = FileCard(
        name=entry.name,
        file=entry.file,
        sha256=digest,
        size=temporary.stat().st_size,
        origin=origin,
        standing=standing,
        golden=before.golden if before else {},
        golden_device=before.golden_device if before else {},
    )
    try:
        temporary.chmod(0o644)
        os.replace(temporary, target)
        write_card(card)
    except OSError as error:
        raise _unwritable(error) from error
    return CheckedFile(target, digest, standing)


def _card_of(name: str, digest: str) -> FileCard | None:
    """The card as it is, if it is about these very bytes; a damaged one is written anew."""
    try:
        card = read_card(name)
    except CheckpointError:
        return None
    return card if card and card.sha256 == digest else None


def _unwritable(error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{store_folder()} cannot be written: {error.strerror}; set BENCHBED_WEIGHTS to another folder"
    )
