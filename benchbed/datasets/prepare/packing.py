"""Finished clips into tar shards, for file systems that do not like many small files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchbed.datasets.prepare.records import FOLDER
from benchbed.datasets.prepare.writers import remove
from benchbed.datasets.standard.manifest import ClipRecord, clip_key
from benchbed.files import replacing

CLIPS_PER_SHARD = 100  # about half a gigabyte of 256 x 256 frames


@dataclass(frozen=True)
class Shard:
    """A shard that was written.

    Args:
        bytes: its size.
        clips: sha256 by clip id.
    """

    bytes: int
    clips: dict[str, str]


def packed_clips(root: Path, split: str) -> dict[str, tuple[Path, str]]:
    """Shard and sha256 by clip id, of all shards that are there as their records have them."""
    found = {}
    for record in sorted((root / FOLDER / "shards" / split).glob("*.json")):
        shard = _read(record)
        path = root / split / f"{record.stem}.tar"
        if shard is not None and path.is_file() and path.stat().st_size == shard.bytes:
            found.update({clip: (path, sha256) for clip, sha256 in shard.clips.items()})
    return found


def _read(record: Path) -> Shard | None:
    try:
        return Shard(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def pack(root: Path, split: str, clips: Sequence[ClipRecord], listed: Sequence[str]) -> None:
    """Bring the shards of a split to exactly these clips: `SPLIT-000000.tar` has those of the first hundred names.

    Clips that wait in the hidden folder are taken from there, others from the shards that hold them. A shard whose
    clips are the same stays untouched. Members are called `CLIP/0000000.png`.

    Args:
        listed: names that the split should have, without suffix; they fix the shard of each clip.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    waiting = root / FOLDER / "cut" / split
    records = root / FOLDER / "shards" / split
    before = packed_clips(root, split)
    slots = {name: index // CLIPS_PER_SHARD for index, name in enumerate(listed)}
    wanted: dict[str, dict[str, str]] = {}
    for clip in clips:
        wanted.setdefault(f"{split}-{slots[clip_key(clip.id)]:06d}", {})[clip.id] = clip.sha256
    written: list[tuple[str, Path]] = []
    for shard, part in wanted.items():
        here = root / split / f"{shard}.tar"
        held = {clip: sha256 for clip, (path, sha256) in before.items() if path == here}
        if held == part and not any((waiting / clip).is_dir() for clip in part):
            continue
        # New shards wait until all are written: they may be made from each other's clips.
        temporary = root / FOLDER / "work" / f"{shard}.tar"
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(temporary, "w") as archive, ExitStack() as stack:
            shards = _Shards(stack)
            for name in sorted(part):
                if (waiting / name).is_dir():
                    _add_folder(archive, waiting / name)
                else:
                    shards.copy(archive, before[name][0], name)
        written.append((shard, temporary))
    for shard, temporary in written:
        target = root / split / f"{shard}.tar"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        content = asdict(Shard(target.stat().st_size, wanted[shard]))
        with replacing(records / f"{shard}.json") as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")
    # Only now, as a shard without its record counts for nothing.
    remove(waiting)
    for record in records.glob("*.json"):
        if record.stem not in wanted:
            (root / split / f"{record.stem}.tar").unlink(missing_ok=True)
            record.unlink()


def remove_shards(root: Path, split: str) -> None:
    """Remove the shards of a split that is prepared in another layout now."""
    pack(root, split, (), ())


def _add_folder(archive: tarfile.TarFile, folder: Path) -> None:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        entry = tarfile.TarInfo(f"{folder.name}/{file.name}")
        entry.size = file.stat().st_size
        with file.open("rb") as stream:
            archive.addfile(entry, stream)


class _Shards:
    """Shards that clips are copied from, each opened and listed once."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[Path, tuple[tarfile.TarFile, dict[str, list[tarfile.TarInfo]]]] = {}

    def copy(self, archive: tarfile.TarFile, shard: Path, clip: str) -> None:
        if shard not in self._open:
            source = self._stack.enter_context(tarfile.open(shard))  # noqa: SIM115
            members: dict[str, list[tarfile.TarInfo]] = {}
            for entry in source:
                members.setdefault(entry.name.split("/", 1)[0], []).append(entry)
            self._open[shard] = source, members
        source, members = self._open[shard]
        for entry in members[clip]:
            archive.addfile(entry, source.extractfile(entry))
