"""Which files below a folder, or inside its tar shards, are clips: told by content and layout; decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchbed.datasets.containers import is_gif, is_image, is_video
from benchbed.datasets.images import DECODING_ERRORS, check_readable, has_alpha
from benchbed.datasets.layouts import CLIP_SUFFIXES, IMAGE_SUFFIXES, ClipFile, Found, sort_out
from benchbed.datasets.shard_clips import sort_members
from benchbed.datasets.shards import StoredFile
from benchbed.datasets.video_io import strip_length
from benchbed.datasets.video_stream import opened_video
from benchbed.errors import ClipError

SHARD_SUFFIX = ".tar"
DEEPEST = 8


@dataclass(frozen=True)
class Scan:
    """What a folder holds: clips sorted by id, and sentences about what was left out."""

    clips: tuple[ClipFile, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """What headers tell: (height, width) of some frames, and whether there is transparency."""

    sizes: tuple[tuple[int, int], ...]
    alpha: bool


def scan(root: Path) -> Scan:
    """All clips below a folder, tar shards included.

    Raises:
        OSError: a folder cannot be listed.
    """
    found = Found()
    _scan_folder(root, root, root.resolve(), found)
    return _sorted(found)


def scan_shard(shard: Path) -> Scan:
    """All clips of one tar shard."""
    found = Found()
    _scan_shard(shard.parent, shard, found)
    return _sorted(found)


def _sorted(found: Found) -> Scan:
    ignored = []
    for names, noun, why in (
        (found.stills, "still image", "a still is no clip"),
        (found.strays, "file", "neither video nor image"),
        (
            found.outside,
            "link",
            "it leads out of the data set's folder or back into itself: copy the files in",
        ),
    ):
        if names:
            ignored.append(f"{_count(len(names), noun)} ignored, {why} ({_some(names)})")
    return Scan(tuple(sorted(found.clips, key=lambda clip: clip.id)), (*ignored, *found.notes))


def _scan_folder(root: Path, folder: Path, inside: Path, found: Found) -> None:
    images: list[StoredFile] = []
    videos: list[StoredFile] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not _stays_inside(entry, inside):
            found.outside.append(_id(root, entry))
        elif entry.is_dir():
            if len(entry.relative_to(root).parts) < DEEPEST:
                _scan_folder(root, entry, inside, found)
        elif entry.suffix.lower() == SHARD_SUFFIX:
            _scan_shard(root, entry, found)
        else:
            kind = _kind(entry)
            if kind == "other":
                found.strays.append(_id(root, entry))
            else:
                (images if kind == "image" else videos).append(entry)
    sort_out(_id(root, folder) if folder != root else "", videos, images, found)


def _stays_inside(link: Path, inside: Path) -> bool:
    """Whether a link leads to something below the data set's folder, and not to a folder it lies in itself."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return not link.is_dir()  # dangling: reading it says what is wrong
    return target.is_relative_to(inside) and not link.parent.resolve().is_relative_to(target)


def _scan_shard(root: Path, shard: Path, found: Found) -> None:
    below = shard.parent.relative_to(root).as_posix()
    prefix = "" if below == "." else f"{below}/"
    try:
        sort_members(shard, prefix, found)
    except OSError as error:
        found.notes.append(f"shard {shard} cannot be read: {error.strerror or error}; its clips are missing")
    except ClipError as error:
        found.notes.append(f"shard {error}; its clips are missing")


def _kind(path: Path) -> str:
    """`image`, `video` or `other`: by content; by suffix where the content is broken, so that it gets named."""
    suffix = path.suffix.lower()
    try:
        head = check_readable(path)
    except ClipError:
        head = b""
    if is_video(head):
        return "video"
    if is_image(head):
        return "image"
    if suffix in CLIP_SUFFIXES:
        return "video"
    return "image" if suffix in IMAGE_SUFFIXES else "other"


def probe(file: ClipFile) -> Probe:
    """Frame sizes of a clip from its headers.

    Raises:
        ClipError: the header cannot be read.
    """
    if file.broken:
        raise ClipError(file.broken)
    if file.is_folder:
        picked = dict.fromkeys((file.files[0], file.files[len(file.files) // 2], file.files[-1]))
        found = [_probe_image(path, as_strip=False) for path in picked]
        return Probe(tuple(s for p in found for s in p.sizes), any(p.alpha for p in found))
    path = file.files[0]
    head = check_readable(path)
    if is_image(head) or is_gif(head):
        return _probe_image(path, as_strip=is_image(head))
    with opened_video(path) as (_, stream):
        return Probe(((stream.height, stream.width),), False)


def _probe_image(path: StoredFile, *, as_strip: bool) -> Probe:
    try:
        with path.open("rb") as stream, Image.open(stream) as image:
            width, height = image.size
            return Probe(
                ((height, height if as_strip and strip_length(width, height) > 1 else width),),
                has_alpha(image),
            )
    except DECODING_ERRORS as error:
        raise ClipError(f"{path} is no readable image") from error


def _id(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
