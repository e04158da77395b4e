"""Which members of a tar shard are clips: `KEY.mp4`, `KEY.FRAME.png` or `KEY/0000000.png`."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from benchbed.datasets.layouts import CLIP_SUFFIXES, IMAGE_SUFFIXES, ClipFile, Found, sort_out
from benchbed.datasets.shards import ShardIndex, TarMember, read_index

# WebDataset cuts keys at the first dot; names of published clips hold dots, so the frame number is what comes last.
NUMBERED = re.compile(r"(?P<key>.+)\.(?P<frame>\d+)\.[^.]+")


def sort_members(shard: Path, prefix: str, found: Found) -> None:
    """Add a shard's clips to what a scan found; members are told by suffix, as reading them all would take long.

    Args:
        shard: the tar file.
        prefix: of the clip ids: the folder the shard lies in, with `/`, or nothing. The shard's own name is no part
            of an id, so that clips can be sharded anew.
        found: gets clips, stills, strays and sentences about members that are not read.

    Raises:
        ClipError: no readable tar archive.
        OSError: the file cannot be read.
    """
    index = read_index(shard)
    numbered: dict[str, list[tuple[int, TarMember]]] = {}
    folders: dict[str, tuple[list[TarMember], list[TarMember]]] = {}
    for member in index.members:
        path = PurePosixPath(member.path)
        suffix = path.suffix.lower()
        match = NUMBERED.fullmatch(path.name)
        if path.name.startswith("."):
            continue
        if suffix in IMAGE_SUFFIXES and match:
            key = str(path.with_name(match["key"]))
            numbered.setdefault(prefix + key, []).append((int(match["frame"]), member))
        elif suffix in IMAGE_SUFFIXES or suffix in CLIP_SUFFIXES:
            below = "" if str(path.parent) == "." else str(path.parent)
            videos, images = folders.setdefault((prefix + below).rstrip("/"), ([], []))
            (images if suffix in IMAGE_SUFFIXES else videos).append(member)
        else:
            found.strays.append(f"{shard.name}:{member.path}")
    first = len(found.clips)
    for key, frames in numbered.items():
        ordered = sorted(frames, key=lambda frame: frame[0])
        numbers = [number for number, _ in ordered]
        twice = next((n for n, following in pairwise(numbers) if n == following), None)
        broken = (
            "" if twice is None else f"clip '{key}' has frame {twice} twice in {shard}; write the shard anew"
        )
        found.clips.append(ClipFile(key, tuple(member for _, member in ordered), True, broken))
    for folder, (videos, images) in folders.items():
        by_name = {
            member.path: member for member in images
        }  # a later member replaces an earlier one, as in tar
        sort_out(folder, videos, [by_name[name] for name in sorted(by_name)], found)
    found.notes += index.refused
    if index.cut:
        found.notes.append(f"{index.cut}; clips behind that are missing: replace the shard")
        found.clips[first:] = _with_the_cut_one(found.clips[first:], index, prefix)


def _with_the_cut_one(clips: list[ClipFile], index: ShardIndex, prefix: str) -> list[ClipFile]:
    """The clips of a cut-off shard; the one that the end goes through, or may go through, cannot be read."""
    path = PurePosixPath(index.cut_member)
    suffix = path.suffix.lower()
    if suffix in CLIP_SUFFIXES or suffix in IMAGE_SUFFIXES:
        match = NUMBERED.fullmatch(path.name) if suffix in IMAGE_SUFFIXES else None
        in_folder = suffix in IMAGE_SUFFIXES and str(path.parent) != "."
        lost = prefix + str(path.with_name(match["key"]) if match else path.parent if in_folder else path)
        reason = f"clip '{lost}' is truncated: {index.cut}; replace the shard"
        return [*(clip for clip in clips if clip.id != lost), ClipFile(lost, (), False, reason)]
    last = index.members[-1] if index.members else None
    return [
        replace(clip, broken=f"clip '{clip.id}' may lack frames: {index.cut}; replace the shard")
        if clip.is_folder and last in clip.files
        else clip
        for clip in clips
    ]
