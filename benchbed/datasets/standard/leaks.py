"""Who and what is in both splits: identities, clips, and equal files under different names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.decoding import ClipCheck
from benchbed.datasets.standard.findings import Finding
from benchbed.datasets.standard.manifest import clip_key

NAMED = 3


def leaks(card: StandardCard, checks: Mapping[str, Sequence[ClipCheck]]) -> Iterator[Finding]:
    """Everything that train and test share.

    A leak that the published list itself has, or that nobody has promised not to be there, is a remark.

    Args:
        checks: the clips of each split.
    """
    train, test = checks.get("train", ()), checks.get("test", ())
    if card.identity != "clip":
        yield from _identities(card, train, test)
    else:
        yield from _names(train, test)
    yield from _equal_files(card, train, test)


def _identities(
    card: StandardCard, train: Sequence[ClipCheck], test: Sequence[ClipCheck]
) -> Iterator[Finding]:
    by_split: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for found, checks in zip(by_split, (train, test), strict=True):
        for clip in checks:
            found.setdefault(card.identity_of(clip.id), []).append(clip_key(clip.id))
    for identity in sorted(by_split[0].keys() & by_split[1].keys()):
        own = [clips[identity] for clips in by_split]
        same = sorted(set(own[0]) & set(own[1]))
        shared = f"; the same clips in both: {_some(same)}" if same else ""
        known = identity in card.known_leaks
        told = " (the published list has it so)" if known else ""
        text = f"identity {identity} has {len(own[0])} train and {len(own[1])} test clips{shared}{told}"
        yield Finding("test", identity, "leak", text, deviation=card.disjoint and not known)


def _names(train: Sequence[ClipCheck], test: Sequence[ClipCheck]) -> Iterator[Finding]:
    for name in sorted({clip_key(clip.id) for clip in train} & {clip_key(clip.id) for clip in test}):
        yield Finding("test", name, "leak", f"clip {name} is in train and in test")


def _equal_files(
    card: StandardCard, train: Sequence[ClipCheck], test: Sequence[ClipCheck]
) -> Iterator[Finding]:
    """Clips of equal bytes: under two names in one split a remark, in both splits a leak."""
    first: dict[str, tuple[str, str]] = {}
    for split, clips in (("train", train), ("test", test)):
        for clip in clips:
            if not clip.sha256:
                continue
            name = clip_key(clip.id)
            before = first.setdefault(clip.sha256, (split, name))
            if before[1] == name:
                continue
            crosses = before[0] != split
            known = card.identity_of(clip.id) in card.known_leaks
            yield Finding(
                split,
                name,
                "leak" if crosses else "twice",
                f"clip {name} has the same bytes as {before[1]} of {before[0]}",
                deviation=crosses and not known,
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} others" if len(names) > NAMED else "")
