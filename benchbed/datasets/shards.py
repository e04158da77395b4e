"""Tar shards (WebDataset and alike): their members are found once and read by offset, nothing is unpacked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from benchbed.errors import ClipError
from benchbed.files import cache_folder, replacing

INDEX_SCHEMA = 1
OPEN_SHARDS = 32  # far below the number of files a process may have open
BLOCK = 512
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


@dataclass(frozen=True)
class TarMember:
    """One file inside a tar shard; it opens as a `Path` does.

    Args:
        shard: the tar file.
        path: the member's path inside it.
        offset: of its first byte in the tar file.
        size: bytes.
    """

    shard: Path
    path: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """The member's bytes as a seekable stream.

        Raises:
            OSError: the shard cannot be opened.
        """
        stat = self.shard.stat()
        handle = _handle(str(self.shard), stat.st_size, stat.st_mtime_ns)
        return io.BufferedReader(_Window(handle, self.offset, self.size), 1 << 16)

    def __str__(self) -> str:
        return f"{self.shard}:{self.path}"


StoredFile = Path | TarMember


def stored_bytes(file: StoredFile) -> int:
    """How long a file is.

    Raises:
        OSError: it does not exist.
    """
    return file.size if isinstance(file, TarMember) else file.stat().st_size


@dataclass(frozen=True)
class ShardIndex:
    """What a shard holds.

    Args:
        members: its regular files, in the order of the archive.
        refused: sentences about members that are not read (links, paths that lead out of the shard).
        cut: why the archive ends before its end mark; empty for a whole one.
        cut_member: path of the member that was cut in two; empty where the cut lies between members.
    """

    members: tuple[TarMember, ...]
    refused: tuple[str, ...] = ()
    cut: str = ""
    cut_member: str = ""


def read_index(shard: Path) -> ShardIndex:
    """The members of a shard, from the cache where the same file was indexed before.

    Raises:
        ClipError: the file is empty, compressed, or no tar archive; the message names it.
        OSError: it cannot be read.
    """
    stat = shard.stat()
    key = f"{shard.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}\n{INDEX_SCHEMA}"
    cached = cache_folder() / "shards" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        rows = json.loads(cached.read_text(encoding="utf-8"))
        members = tuple(TarMember(shard, *row) for row in rows["members"])
        return ShardIndex(members, tuple(rows["refused"]), rows["cut"], rows["cut_member"])
    except (OSError, ValueError, LookupError, TypeError):
        index = _scan(shard, stat.st_size)
    content = {
        "members": [[member.path, member.offset, member.size] for member in index.members],
        "refused": index.refused,
        "cut": index.cut,
        "cut_member": index.cut_member,
    }
    try:
        with replacing(cached) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")
    except OSError:
        pass  # the next process reads the headers again
    return index


def _scan(shard: Path, size: int) -> ShardIndex:
    """One pass over the headers: a read and a seek per member."""
    with shard.open("rb") as stream:
        head = stream.read(BLOCK)
        if not head:
            raise ClipError(f"{shard} is empty (0 bytes); replace the shard")
        for magic, kind in COMPRESSED.items():
            if head.startswith(magic):
                raise ClipError(
                    f"{shard} is compressed with {kind}: frames cannot be reached in it; store it as a plain tar"
                )
        stream.seek(0)
        members: list[TarMember] = []
        refused: list[str] = []
        cut = cut_member = ""
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for entry in archive:
                    reason = _refusal(entry)
                    if reason:
                        refused.append(f"{shard.name}: member '{entry.name}' {reason}")
                    elif entry.isreg():
                        path = str(PurePosixPath(entry.name))
                        members.append(TarMember(shard, path, entry.offset_data, entry.size))
                stream.seek(archive.offset)
                last = stream.read(BLOCK)
        except tarfile.ReadError as error:
            if not members:
                raise ClipError(f"{shard} is no readable tar archive ({error}); replace the shard") from error
            cut = f"{shard.name} is cut off or damaged after {len(members)} files"
        else:  # the archive ends at a block of zeros; tarfile also stops, silently, at a header it cannot read
            if last.strip(b"\0") or len(last) < BLOCK:
                cut = (
                    f"{shard.name} is cut off or damaged after {len(members)} files: its end mark is missing"
                )
        if members and members[-1].offset + members[-1].size > size:
            cut_member = members.pop().path
            cut = f"{shard.name} is cut off inside '{cut_member}', after {len(members)} whole files"
    return ShardIndex(tuple(members), tuple(refused), cut, cut_member)


def _refusal(entry: tarfile.TarInfo) -> str:
    """Why a member is not read; empty for files and folders inside the shard."""
    if entry.name.startswith("/") or ".." in PurePosixPath(entry.name).parts:
        return "leads out of the shard and is not read; store it under a plain name"
    if entry.issym() or entry.islnk():
        return "is a link and is not read; store the file itself"
    if entry.issparse() or not (entry.isreg() or entry.isdir()):
        return "is no plain file and is not read"
    return ""


class _Handle:
    """An open shard; closed once nobody reads it any more."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@lru_cache(maxsize=OPEN_SHARDS)
def _handle(path: str, size: int, modified: int) -> _Handle:
    """A shard stays open for its next member; one that was written anew is opened anew."""
    return _Handle(path)


class _Window(io.RawIOBase):
    """A stretch of an open file. It reads by position, so threads and forked processes share the handle."""

    def __init__(self, handle: _Handle, start: int, size: int) -> None:
        self._handle, self._start, self._size, self._at = handle, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(f"cannot seek to {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        content = os.pread(self._handle.number, wanted, self._start + self._at)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
