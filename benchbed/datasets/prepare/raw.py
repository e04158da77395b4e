"""What lies in a folder of originals: downloads by their video id, clips by their name, still images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchbed.datasets.clip_files import scan
from benchbed.datasets.layouts import IMAGE_SUFFIXES, ClipFile
from benchbed.datasets.standard.manifest import clip_key
from benchbed.datasets.video_io import VIDEO_SUFFIXES
from benchbed.errors import BenchbedError

UNFINISHED = (".part", ".ytdl", ".crdownload", ".tmp")
# yt-dlp calls a file `TITLE [ID].mp4` unless it is told otherwise.
TITLED = re.compile(r".*\[([^\[\]]+)\]$")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Downloads:
    """Originals by video id.

    Args:
        whole: one file each.
        unfinished: ids of which there is only the beginning of a download.
        problems: a sentence for everything that was not used.
    """

    whole: dict[str, ClipFile]
    unfinished: frozenset[str]
    problems: tuple[str, ...]


def find_downloads(raw: Path) -> Downloads:
    """Video files at any depth, `ID.mp4` or `TITLE [ID].mp4`; where an id has several, mp4 and then the shortest path.

    Raises:
        BenchbedError: the folder does not exist or cannot be listed.
    """
    candidates: dict[str, list[Path]] = {}
    unfinished = set()
    for path in _files(raw):
        if path.suffix.lower() in UNFINISHED:
            unfinished.add(_video_id(Path(path.stem)))
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            candidates.setdefault(_video_id(path), []).append(path)
    whole, problems = {}, []
    for video, paths in candidates.items():
        first, *others = sorted(
            paths, key=lambda path: (VIDEO_SUFFIXES.index(path.suffix.lower()), len(path.parts), str(path))
        )
        whole[video] = ClipFile(first.relative_to(raw).as_posix(), (first,), is_folder=False)
        if others:
            problems.append(f"{video} is there {len(paths)} times; {whole[video].id} is used")
    return Downloads(whole, frozenset(unfinished - set(whole)), tuple(problems))


def _video_id(path: Path) -> str:
    stem = path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name
    titled = TITLED.match(stem)
    return titled.group(1) if titled else stem


def _files(raw: Path) -> Iterator[Path]:
    require_folder(raw)
    for folder, folders, names in os.walk(raw):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(folder, name)


def require_folder(raw: Path) -> None:
    """Raises: BenchbedError where there is no such folder."""
    if not raw.is_dir():
        raise BenchbedError(f"--from '{raw}' is no folder; give the folder with the originals")


@dataclass(frozen=True)
class Found:
    """Clips of a data set that is given out as clips.

    Args:
        splits: clips by split and name (without folder and suffix); all under an empty split where the folder does
            not tell them apart.
        problems: a sentence for everything that was not used.
    """

    splits: dict[str, dict[str, ClipFile]]
    problems: tuple[str, ...]


def find_clips(raw: Path, *, stills: bool = False) -> Found:
    """Clips below `raw/train` and `raw/test`, or below `raw`, in every layout that folders of videos may have.

    Args:
        stills: every image is a clip of one frame, and nothing else is one.

    Raises:
        BenchbedError: the folder does not exist or cannot be listed.
    """
    require_folder(raw)
    folders = {split: raw / split for split in SPLITS if (raw / split).is_dir()} or {"": raw}
    splits: dict[str, dict[str, ClipFile]] = {}
    problems: list[str] = []
    for split, folder in folders.items():
        if stills:
            images = [path for path in _files(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
            # A folder of one image reads as that image, whatever its shape; a file might be taken for a strip.
            clips = [
                ClipFile(path.relative_to(folder).as_posix(), (path,), is_folder=True) for path in images
            ]
        else:
            try:
                found = scan(folder)
            except OSError as error:
                raise BenchbedError(
                    f"{error.filename or folder} cannot be listed: {error.strerror}"
                ) from error
            clips = list(found.clips)
            problems += found.ignored
        named: dict[str, ClipFile] = {}
        for clip in clips:
            name = clip_key(clip.id)
            if name in named:
                problems.append(
                    f"'{name}' is there twice, as {named[name].id} and {clip.id}; the first is used"
                )
            named.setdefault(name, clip)
        splits[split] = named
    return Found(splits, tuple(problems))
