"""What a prepared root holds and what it should hold: `benchbed.json` beside the splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from benchbed.errors import BenchbedError
from benchbed.files import replacing

if TYPE_CHECKING:
    from benchbed.datasets.shards import StoredFile

FILE_NAME = "benchbed.json"
SCHEMA = 1
CLIP_SUFFIXES = (
    ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif", ".png", ".jpg", ".jpeg", ".webp", ".bmp",
)  # fmt: skip
CHUNK = 1 << 20


@dataclass(frozen=True)
class ListOrigin:
    """The file that says which clips a split has.

    Args:
        file: its name, without folders.
        sha256: of its bytes.
        known_as: who used it, as the data set's card says (`FOMM`, `DAM`); empty for a file that no card knows.
    """

    file: str
    sha256: str
    known_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipRecord:
    """A clip that is there.

    Args:
        id: path relative to the split's folder, with `/`.
        frames: how many, at least 1.
        size: (height, width) of its frames, pixels.
        fps: of the container, None where it states none (gif of no duration, folders of frames).
        sha256: see `content_sha256`.
    """

    id: str
    frames: int
    size: tuple[int, int]
    fps: float | None
    sha256: str


@dataclass(frozen=True)
class MissingClip:
    """A clip of the list that is not there, by its listed name, and why (a sentence without its full stop)."""

    id: str
    reason: str


@dataclass(frozen=True)
class SplitRecord:
    """One split as prepared.

    Args:
        name: `train` or `test`.
        origin: of the list of clips; None where there was none and all that was found is the split.
        listed: names of the clips that the split should have, without folder and suffix (see `clip_key`), sorted.
        present: the clips that are there, sorted by id.
        missing: the others, sorted by id.
    """

    name: str
    origin: ListOrigin | None
    listed: tuple[str, ...]
    present: tuple[ClipRecord, ...]
    missing: tuple[MissingClip, ...] = ()

    @property
    def names_sha256(self) -> str:
        """Sha256 over the sorted names that the split should have; equal lists in other forms have the same."""
        return names_sha256(self.listed)


@dataclass(frozen=True)
class Preprocessing:
    """How originals became clips.

    Args:
        version: of benchbed's preprocessing; 0 for clips that were cut by other tools.
        resolution: (height, width) of the frames written, pixels.
        resize: the rule in words that say library and filter; `none` where frames were not resized.
        layout: `png` folders, `mp4`, `gif`, `strip` (one wide image) or `tar` shards.
    """

    version: int
    resolution: tuple[int, int]
    resize: str
    layout: str


@dataclass(frozen=True)
class Manifest:
    """A prepared root.

    Args:
        dataset: registered name of the standard data set.
        preprocessing: how its clips were made.
        splits: one record each, sorted by name.
    """

    dataset: str
    preprocessing: Preprocessing
    splits: tuple[SplitRecord, ...]

    def split(self, name: str) -> SplitRecord | None:
        """The record of that split, None where the root has no such split."""
        return next((split for split in self.splits if split.name == name), None)


def clip_key(name: str) -> str:
    """A clip's name without folder and suffix: what lists, pair lists and files on disk agree on.

    Only suffixes of clips are cut off: ids of published videos hold dots of their own.
    """
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in CLIP_SUFFIXES else path.name


def names_sha256(names: Iterable[str]) -> str:
    """Sha256 over the distinct names without folder and suffix, sorted, a line each."""
    lines = sorted({clip_key(name) for name in names})
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def content_sha256(path: Path) -> str:
    """Sha256 of a clip's bytes: of the file, or of the names and bytes of a folder's files in text order.

    Files whose name begins with a dot belong to the desktop and not to the clip.

    Raises:
        OSError: a file cannot be read.
    """
    if not path.is_dir():
        return files_sha256((path,), is_folder=False)
    inside = (file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    return files_sha256(tuple(sorted(inside, key=lambda file: file.name)), is_folder=True)


def files_sha256(files: Iterable[StoredFile], *, is_folder: bool) -> str:
    """The same for a clip whose files were found already, in a folder or inside a tar shard.

    Args:
        files: the clip's one file, or its frames in text order.
        is_folder: whether it is a folder of frames.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        if is_folder:
            digest.update(f"\n{file.name}\n".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def write_manifest(root: Path, manifest: Manifest) -> Path:
    """Write `root/benchbed.json`: whole or not at all, the same bytes for the same manifest.

    Returns:
        The file written.

    Raises:
        BenchbedError: the root cannot be written to.
    """
    target = root / FILE_NAME
    content: dict[str, Any] = {"schema": SCHEMA, **asdict(manifest)}
    for split, record in zip(content["splits"], manifest.splits, strict=True):
        split["names_sha256"] = record.names_sha256
    try:
        with replacing(target) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchbedError(
            f"{target} cannot be written: {error.strerror or error}; free some space or choose another root"
        ) from error
    return target


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a root, None where it has none.

    Raises:
        BenchbedError: the file cannot be read, is damaged or was written by another version.
    """
    path = root / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise BenchbedError(
            f"{path} cannot be read ({error}); prepare the data set again or remove the file"
        ) from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise BenchbedError(
            f"{path} has schema {schema!r}, this version of benchbed reads {SCHEMA}; prepare the data set again"
        )
    try:
        manifest = _manifest(content)
        wrong = [
            split.name
            for split, data in zip(manifest.splits, content["splits"], strict=True)
            if data["names_sha256"] != split.names_sha256
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchbedError(
            f"{path} is damaged ({type(error).__name__}: {error}); prepare the data set again"
        ) from error
    if wrong:
        raise BenchbedError(
            f"{path}: the listed names of split '{wrong[0]}' do not have the hash written beside them; "
            "the file was edited: prepare the data set again"
        )
    return manifest


def _manifest(content: dict[str, Any]) -> Manifest:
    how = content["preprocessing"]
    return Manifest(
        dataset=str(content["dataset"]),
        preprocessing=Preprocessing(
            int(how["version"]), _size(how["resolution"]), str(how["resize"]), str(how["layout"])
        ),
        splits=tuple(_split(split) for split in content["splits"]),
    )


def _split(data: dict[str, Any]) -> SplitRecord:
    origin = data["origin"]
    return SplitRecord(
        name=str(data["name"]),
        origin=None
        if origin is None
        else ListOrigin(str(origin["file"]), str(origin["sha256"]), tuple(origin["known_as"])),
        listed=tuple(map(str, data["listed"])),
        present=tuple(_clip(clip) for clip in data["present"]),
        missing=tuple(MissingClip(str(one["id"]), str(one["reason"])) for one in data["missing"]),
    )


def _clip(data: dict[str, Any]) -> ClipRecord:
    fps = None if data["fps"] is None else float(data["fps"])
    return ClipRecord(str(data["id"]), int(data["frames"]), _size(data["size"]), fps, str(data["sha256"]))


def _size(value: Any) -> tuple[int, int]:
    height, width = value
    return int(height), int(width)
