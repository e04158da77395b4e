"""Which files below a folder are clips, told by content and layout; decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchbed.datasets.containers import is_gif, is_image, is_video
from benchbed.datasets.images import DECODING_ERRORS, check_readable, has_alpha
from benchbed.datasets.video_io import HEADER_ERRORS, VIDEO_SUFFIXES, strip_length
from benchbed.errors import ClipError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".gif")
# In a sub-folder, images this wide are strips and narrower ones the frames of one clip (frames of 2:1 exist).
STRIP_IN_SUBFOLDER = 4
DEEPEST = 8


@dataclass(frozen=True)
class ClipFile:
    """One clip on disk.

    Args:
        id: path relative to the split's folder, with `/`.
        files: the clip's one file, or the frames of a folder sorted by name.
        is_folder: whether it is a folder of frames.
    """

    id: str
    files: tuple[Path, ...]
    is_folder: bool


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
    """All clips below a folder.

    Raises:
        OSError: a folder cannot be listed.
    """
    clips: list[ClipFile] = []
    stills: list[str] = []
    strays: list[str] = []
    _scan_folder(root, root, clips, stills, strays)
    ignored = []
    if stills:
        ignored.append(f"{_count(len(stills), 'still image')} ignored, a still is no clip ({_some(stills)})")
    if strays:
        ignored.append(f"{_count(len(strays), 'file')} ignored, neither video nor image ({_some(strays)})")
    return Scan(tuple(sorted(clips, key=lambda clip: clip.id)), tuple(ignored))


def _scan_folder(
    root: Path, folder: Path, clips: list[ClipFile], stills: list[str], strays: list[str]
) -> None:
    images: list[Path] = []
    videos: list[Path] = []
    others: list[str] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if len(entry.relative_to(root).parts) < DEEPEST:
                _scan_folder(root, entry, clips, stills, strays)
            continue
        kind = _kind(entry)
        if kind == "image":
            images.append(entry)
        elif kind == "video":
            videos.append(entry)
        else:
            others.append(_id(root, entry))
    strays += others
    clips += [ClipFile(_id(root, path), (path,), is_folder=False) for path in videos]
    if not images:
        return
    lengths = {path: _strip_length(path) for path in images}
    if folder == root or videos:
        strips = [path for path in images if lengths[path] != 1]
    else:
        strips = images if all(length >= STRIP_IN_SUBFOLDER for length in lengths.values()) else []
    if strips:
        clips += [ClipFile(_id(root, path), (path,), is_folder=False) for path in strips]
        stills += [_id(root, path) for path in images if path not in strips]
    elif folder == root or videos or len(images) == 1:
        stills += [_id(root, path) for path in images]
    else:
        clips.append(ClipFile(_id(root, folder), tuple(images), is_folder=True))


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


def _strip_length(path: Path) -> int:
    """Frames side by side in an image; 0 where its header is broken, so that a broken strip stays a clip."""
    try:
        with Image.open(path) as image:
            return strip_length(*image.size)
    except DECODING_ERRORS:
        return 0


def probe(file: ClipFile) -> Probe:
    """Frame sizes of a clip from its headers.

    Raises:
        ClipError: the header cannot be read.
    """
    if file.is_folder:
        picked = {file.files[0], file.files[len(file.files) // 2], file.files[-1]}
        found = [_probe_image(path, as_strip=False) for path in sorted(picked)]
        return Probe(tuple(s for p in found for s in p.sizes), any(p.alpha for p in found))
    path = file.files[0]
    head = check_readable(path)
    if is_image(head) or is_gif(head):
        return _probe_image(path, as_strip=is_image(head))
    import av

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            return Probe(((stream.height, stream.width),), False)
    except (av.FFmpegError, *HEADER_ERRORS) as error:
        raise ClipError(f"{path} is no readable video") from error


def _probe_image(path: Path, *, as_strip: bool) -> Probe:
    try:
        with Image.open(path) as image:
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
