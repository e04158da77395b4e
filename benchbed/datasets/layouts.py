"""What counts as a clip: the layouts that one folder of files, on disk or in a shard, may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from PIL import Image

from benchbed.datasets.images import DECODING_ERRORS
from benchbed.datasets.shards import StoredFile
from benchbed.datasets.video_io import VIDEO_SUFFIXES, strip_length

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".gif")
# In a sub-folder, images this wide are strips and narrower ones the frames of one clip (frames of 2:1 exist).
STRIP_IN_SUBFOLDER = 4


@dataclass(frozen=True)
class ClipFile:
    """One clip on disk.

    Args:
        id: path relative to the split's folder, with `/`; inside a shard the path of its files.
        files: the clip's one file, or the frames of a folder sorted by name.
        is_folder: whether it is a folder of frames.
        broken: why it cannot be read, known without reading it; empty for others.
    """

    id: str
    files: tuple[StoredFile, ...]
    is_folder: bool
    broken: str = ""


@dataclass
class Found:
    """What a scan collects.

    Args:
        clips: in any order.
        stills, strays, outside: paths of images that are no clips, of other files, of links that lead out.
        notes: whole sentences.
    """

    clips: list[ClipFile] = field(default_factory=list)
    stills: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def clip_name(file_id: str) -> str:
    """A clip's id in every layout: its path without the suffix of a video or image.

    Folders of frames are often called `NAME.mp4`. Ids of published videos hold dots: no other suffix is cut off.
    """
    path = PurePosixPath(file_id)
    known = path.suffix.lower() in (*CLIP_SUFFIXES, *IMAGE_SUFFIXES)
    return str(path.with_suffix("")) if known else file_id


def without_doubles(clips: Iterable[ClipFile]) -> list[ClipFile]:
    """The clips sorted by name, so in the same order in every layout; those that share one become one broken clip."""
    by_name: dict[str, list[ClipFile]] = {}
    for clip in sorted(clips, key=lambda clip: (clip_name(clip.id), clip.id)):
        by_name.setdefault(clip_name(clip.id), []).append(clip)
    kept = []
    for name, same in by_name.items():
        if len(same) == 1:
            kept += same
            continue
        places = " and ".join(_place(clip) for clip in same[:3])
        kept.append(
            replace(same[0], broken=f"clip '{name}' is there {len(same)} times: {places}; keep one of them")
        )
    return kept


def _place(clip: ClipFile) -> str:
    if not clip.files:
        return clip.id
    return f"{clip.files[0]}{', ...' if clip.is_folder else ''}"


def sort_out(folder: str, videos: Sequence[StoredFile], images: Sequence[StoredFile], found: Found) -> None:
    """Tell the clips among the files of one folder, on disk or in a shard.

    Args:
        folder: its path below the root; empty for the root itself.
        videos, images: its files by kind, sorted by name.
        found: gets the clips and stills.
    """

    def path(file: StoredFile) -> str:
        return f"{folder}/{file.name}" if folder else file.name

    found.clips += [ClipFile(path(file), (file,), is_folder=False) for file in videos]
    if not images:
        return
    strips: list[StoredFile] = []
    if not folder or videos:
        strips = [file for file in images if _strip_length(file) != 1]
    elif all(_strip_length(file) >= STRIP_IN_SUBFOLDER for file in images):
        strips = list(images)
    if strips:
        found.clips += [ClipFile(path(file), (file,), is_folder=False) for file in strips]
        found.stills += [path(file) for file in images if file not in strips]
    elif not folder or videos or len(images) == 1:
        found.stills += [path(file) for file in images]
    else:
        found.clips.append(ClipFile(folder, tuple(images), is_folder=True))


def _strip_length(path: StoredFile) -> int:
    """Frames side by side in an image; 0 where its header is broken, so that a broken strip stays a clip."""
    try:
        with path.open("rb") as stream, Image.open(stream) as image:
            return strip_length(*image.size)
    except DECODING_ERRORS:
        return 0
