"""What is to be done: lists and metadata against what lies in the folder of originals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.prepare.chunks import Chunk, chunk_of
from benchbed.datasets.prepare.raw import Downloads, find_clips, find_downloads
from benchbed.datasets.prepare.recut import Job
from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.lists import SplitList, describe, origin_of
from benchbed.datasets.standard.manifest import ListOrigin
from benchbed.errors import BenchbedError

LIMITED = "left out by --limit"


@dataclass(frozen=True)
class Absent:
    """A listed clip that cannot be made, and why.

    Args:
        kind: the same for like cases.
        chunk: how it would be cut, where that is known: an earlier call may have had its original.
    """

    split: str
    name: str
    kind: str
    reason: str
    chunk: Chunk | None = None


@dataclass(frozen=True)
class SplitPlan:
    """What a split should have, and the file that says so (None: all that was found)."""

    name: str
    listed: tuple[str, ...]
    origin: ListOrigin | None


@dataclass(frozen=True)
class PreparationPlan:
    """Everything that a preparation will do.

    Args:
        jobs: one per original, in the order of names.
        problems: sentences about lists and originals.
    """

    splits: tuple[SplitPlan, ...]
    jobs: tuple[Job, ...]
    absent: tuple[Absent, ...]
    problems: tuple[str, ...]


@dataclass
class _Draft:
    chunks: dict[tuple[str, str], tuple[ClipFile, Chunk]] = field(default_factory=dict)
    absent: list[Absent] = field(default_factory=list)
    splits: list[SplitPlan] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan_preparation(
    card: StandardCard,
    raw: Path,
    lists: Sequence[SplitList],
    *,
    splits: Collection[str] = (),
    limit: int | None = None,
) -> PreparationPlan:
    """Which clip is made from which original.

    With a metadata table, originals are downloads and clips are cut from them; lists beside it say which of its clips
    are in which split. Without one, originals are the clips themselves; a split that no list names has all that is
    there.

    Args:
        raw: the folder of originals.
        splits: only these; empty for all.
        limit: only so many clips of each split, for trying out.

    Raises:
        BenchbedError: no such folder, several metadata tables, or nothing to be done.
    """
    draft = _Draft()
    for listed in lists:
        draft.problems += [describe(card, listed), *listed.problems]
    tables = [listed for listed in lists if listed.metadata is not None]
    if len(tables) > 1:
        raise BenchbedError(f"{tables[0].file} and {tables[1].file} are both metadata tables; give one")
    named = [listed for listed in lists if listed.metadata is None]
    if tables:
        _from_metadata(draft, card, raw, tables[0], named)
    else:
        _from_clips(draft, card, raw, named)
    return _finish(draft, card, raw, splits, limit)


def _from_metadata(
    draft: _Draft, card: StandardCard, raw: Path, table: SplitList, named: Sequence[SplitList]
) -> None:
    assert table.metadata is not None
    wanted = _by_split(card, named)
    moved = {name for names, _ in wanted.values() for name in names}
    twice = set(table.metadata.names("train")) & set(table.metadata.names("test"))
    downloads = find_downloads(raw)
    draft.problems += downloads.problems
    members: dict[str, dict[str, None]] = {split: {} for split in wanted}
    known = set()
    for row in table.metadata.rows:
        known.add(row.name)
        targets = [split for split, (names, _) in wanted.items() if row.name in names]
        if row.partition not in wanted and (row.name not in moved or row.name in twice):
            targets.append(row.partition)
        for split in targets:
            if row.name in members.setdefault(split, {}):
                continue  # a repeated row: the first one counts
            members[split][row.name] = None
            chunk = replace(chunk_of(row), split=split)
            if row.own_frames and row.name in downloads.whole:  # cut by its name already, not yet by its box
                _place(draft, downloads, row.name, replace(chunk, start=None, end=None))
            else:
                _place(draft, downloads, row.video, chunk)
    for split, (names, origin) in wanted.items():
        for name in sorted(names - known):
            draft.absent.append(
                Absent(split, name, f"not in {table.file}", f"{table.file} does not say how to cut it")
            )
        draft.splits.append(SplitPlan(split, tuple(sorted(names)), origin))
    for split in members.keys() - wanted.keys():
        draft.splits.append(SplitPlan(split, tuple(sorted(members[split])), origin_of(card, table)))


def _place(draft: _Draft, downloads: Downloads, video: str, chunk: Chunk) -> None:
    original = downloads.whole.get(video)
    if original is not None:
        draft.chunks[chunk.split, chunk.name] = (original, chunk)
    elif video in downloads.unfinished:
        reason = f"the download of video {video} is unfinished"
        draft.absent.append(Absent(chunk.split, chunk.name, "unfinished download", reason, chunk))
    else:
        reason = f"video {video} is not among the originals"
        draft.absent.append(Absent(chunk.split, chunk.name, "video not there", reason, chunk))


def _by_split(card: StandardCard, named: Sequence[SplitList]) -> dict[str, tuple[frozenset[str], ListOrigin]]:
    wanted: dict[str, tuple[frozenset[str], ListOrigin]] = {}
    for listed in named:
        for split, names in listed.clips.items():
            if split in wanted:
                raise BenchbedError(
                    f"{wanted[split][1].file} and {listed.file} both list the {split} clips; give one of them"
                )
            wanted[split] = (frozenset(names), origin_of(card, listed))
    return wanted


def _from_clips(draft: _Draft, card: StandardCard, raw: Path, named: Sequence[SplitList]) -> None:
    found = find_clips(raw, stills=card.layouts == ("stills",))
    draft.problems += found.problems
    everything = {name: clip for clips in found.splits.values() for name, clip in clips.items()}
    taken: set[str] = set()
    for split, (names, origin) in _by_split(card, named).items():
        names = _of_persons(draft, card, names, everything, origin)
        taken |= names
        # A list says the split, so a clip is used wherever it lies.
        clips = everything | found.splits.get(split, {})
        for name in names:
            if name in clips:
                draft.chunks[split, name] = (clips[name], Chunk(split, name))
            else:
                reason = "no clip of that name is among the originals"
                draft.absent.append(Absent(split, name, "clip not there", reason, Chunk(split, name)))
        draft.splits.append(SplitPlan(split, tuple(sorted(names)), origin))
    stated = {split.name for split in draft.splits}
    for folder, clips in found.splits.items():
        rest = {name: clip for name, clip in clips.items() if name not in taken}
        split = folder or ("train" if "test" in stated else "test")
        if split in stated or split not in card.splits or not rest:
            continue
        for name, clip in rest.items():
            draft.chunks[split, name] = (clip, Chunk(split, name))
        draft.splits.append(SplitPlan(split, tuple(sorted(rest)), None))


def _of_persons(
    draft: _Draft,
    card: StandardCard,
    names: frozenset[str],
    everything: dict[str, ClipFile],
    origin: ListOrigin,
) -> frozenset[str]:
    """The clips that are meant, where a list names persons and not clips."""
    if names & everything.keys():
        return names
    theirs = {name for name in everything if card.identity_of(name) in names}
    if not theirs:
        return names
    absent = names - {card.identity_of(name) for name in theirs}
    draft.problems.append(
        f"{origin.file} names persons: their {len(theirs)} clips are taken"
        + (f"; no clip is there of {len(absent)} of {len(names)} persons" if absent else "")
    )
    return frozenset(theirs)


def _finish(
    draft: _Draft, card: StandardCard, raw: Path, splits: Collection[str], limit: int | None
) -> PreparationPlan:
    kept = sorted((one for one in draft.splits if not splits or one.name in splits), key=lambda one: one.name)
    if not kept or not any(split.listed for split in kept):
        wanted = f"no {' or '.join(splits)} clip" if splits else "no clip"
        raise BenchbedError(
            f"{raw} and the lists given hold {wanted} of {card.name}; {card.obtain.rstrip('.')}, and give the "
            "folder with --from"
        )
    absent = [one for one in draft.absent if one.split in {split.name for split in kept}]
    jobs: dict[ClipFile, list[Chunk]] = {}
    for split in kept:
        present = [name for name in split.listed if (split.name, name) in draft.chunks]
        for index, name in enumerate(present):
            if limit is not None and index >= limit:
                absent.append(Absent(split.name, name, LIMITED, LIMITED))
                continue
            original, chunk = draft.chunks[split.name, name]
            jobs.setdefault(original, []).append(chunk)
    ordered = sorted(jobs.items(), key=lambda item: item[0].id)
    return PreparationPlan(
        tuple(kept),
        tuple(Job(original, tuple(chunks)) for original, chunks in ordered),
        tuple(sorted(absent, key=lambda one: (one.split, one.name))),
        tuple(draft.problems),
    )
