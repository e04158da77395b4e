"""What the cards say, for people and for programs: counts by paper, lists, how to get the data, what is here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchbed.datasets.standard.card import DATA_FOLDER, KnownFile, StandardCard, data_root
from benchbed.datasets.standard.manifest import read_manifest
from benchbed.errors import BenchbedError

WIDTH = 100


def card_table(card: StandardCard) -> dict[str, Any]:
    """A card and its place on this machine, as JSON has it."""
    root = data_root(card.name)
    return {**asdict(card), "root": str(root) if root else None, "present": presence(card)}


def presence(card: StandardCard) -> str:
    """Whether the data is below `$BENCHBED_DATA`, and how much of it."""
    root = data_root(card.name)
    if root is None:
        return f"not in ${DATA_FOLDER}"
    return described_root(root)


def described_root(root: Path) -> str:
    """What a root's manifest says it holds; decodes and lists nothing."""
    try:
        manifest = read_manifest(root)
    except BenchbedError as error:
        return f"{root}: {error}"
    if manifest is None:
        return f"{root}: no manifest, so nobody knows whether it is whole; see `benchbed data verify`"
    splits = ", ".join(
        f"{split.name} {len(split.present)} of {len(split.listed)}" for split in manifest.splits
    )
    return f"{root}: prepared, {splits}"


def short_lines(card: StandardCard) -> Iterator[str]:
    """A card in a few lines: counts by source and where the data is."""
    yield f"{card.name:<17} {card.domain:<7} {card.resolution} px  {card.title}"
    stated = [f"{count.paper} {_count(count.train)} / {_count(count.test)}" for count in card.counts]
    lists = [
        f"{file.name} {_count(file.counts.get('train'))} / {_count(file.counts.get('test'))}"
        for file in card.files
        if file.kind in ("metadata", "list")
    ]
    yield f"    train / test clips: {'; '.join([*stated, *lists]) or 'stated by nobody'}"
    yield f"    data: {presence(card)}"


def long_lines(card: StandardCard) -> Iterator[str]:
    """All of a card."""
    yield f"{card.title} ({card.name})"
    yield from _field("domain", card.domain)
    yield from _field("frames", _sizes(card.resolutions, card.resolution))
    if card.frame_rates:
        yield from _field("frame rates", ", ".join(f"{rate:g}" for rate in card.frame_rates))
    if card.lengths is not None:
        low, high = card.lengths
        yield from _field("clip lengths", f"{low} frames" if low == high else f"{low} to {high} frames")
    yield from _field("splits", ", ".join(card.splits))
    yield from _field("identity", IDENTITIES[card.identity])
    yield from _field("alpha", "dropped" if card.alpha == "drop" else "composited on white")
    yield from _field("layouts", ", ".join(card.layouts))
    yield from _field("evaluators", ", ".join(card.evaluators))
    yield from _field("metrics", ", ".join(card.metrics))
    yield from _field("obtain", card.obtain)
    yield from _field("licence", card.licence)
    yield from _field("citation", card.citation)
    if card.note:
        yield from _field("note", card.note)
    yield from _field("data", presence(card))
    yield "\nclips that papers state (train / test)"
    for count in card.counts:
        note = f"  {count.note}" if count.note else ""
        yield f"  {count.paper:<10}{_count(count.train):>6} / {_count(count.test)}{note}"
    if not card.counts:
        yield "  none"
    yield "\nmetadata, lists and pair lists that were used (not shipped; `verify` and `prepare` recognise them)"
    for file in card.files:
        yield from _file_lines(file)
    if not card.files:
        yield "  none is published"


IDENTITIES = {
    "before-hash": "the name up to the first #",
    "before-underscore": "the name up to the first _",
    "dancer": "the field dNN of the name (the dancer)",
    "clip": "names tell none: every clip is its own identity",
}


def _field(label: str, text: str) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {label:<14}", subsequent_indent=" " * 16)


def _file_lines(file: KnownFile) -> Iterator[str]:
    counts = ", ".join(f"{split} {count}" for split, count in file.counts.items())
    yield f"  {file.name}: {file.kind}, {file.rows} rows{f' ({counts})' if counts else ''}; {file.origin}"
    if file.columns:
        yield f"    columns  {','.join(file.columns)}"
    for digest in file.sha256:
        yield f"    sha256   {digest}"
    if file.used_by:
        yield f"    used by  {', '.join(file.used_by)}"
    if file.note:
        yield from textwrap.wrap(file.note, WIDTH, initial_indent="    note     ", subsequent_indent=" " * 13)


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _sizes(resolutions: Sequence[int], usual: int) -> str:
    others = [str(size) for size in resolutions if size != usual]
    return f"{usual}x{usual} pixels" + (f" (also {', '.join(others)})" if others else "")
