"""What a preparation made, what is missing and why: for the terminal, for `missing.csv` and for the manifest."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchbed.datasets.prepare.plan import Absent, SplitPlan
from benchbed.datasets.prepare.records import Finished
from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.dataset import counts_by_papers
from benchbed.datasets.standard.manifest import MissingClip, SplitRecord
from benchbed.errors import BenchbedError
from benchbed.files import replacing

MISSING_FILE = "missing.csv"
# Kinds that say nothing against the machine or the files: deleted videos, clips of no interest.
EXPECTED = ("video not there", "clip not there", "left out by --limit")


@dataclass(frozen=True)
class Report:
    """The end of a preparation.

    Args:
        made: clips written now; `kept`: finished by an earlier call.
        splits: with what is there and what is missing.
        lines: sentences for the reader, splits first.
        failed: whether a clip failed for another reason than that its original is not there.
    """

    made: int
    kept: int
    splits: tuple[SplitRecord, ...]
    lines: tuple[str, ...]
    failed: bool


def build_report(
    card: StandardCard,
    splits: Sequence[SplitPlan],
    finished: dict[tuple[str, str], Finished],
    absent: Sequence[Absent],
    *,
    made: int,
    problems: Sequence[str],
) -> Report:
    """Put outcomes together.

    Args:
        card: of the data set.
        finished: by split and clip name.
        made: how many of them were written now.
        problems: sentences about lists and originals, passed on.
    """
    records, lines = [], []
    for split in splits:
        here = {name: finished[split.name, name] for name in split.listed if (split.name, name) in finished}
        gone = [one for one in absent if one.split == split.name]
        records.append(
            SplitRecord(
                name=split.name,
                origin=split.origin,
                listed=split.listed,
                present=tuple(sorted((one.clip for one in here.values()), key=lambda clip: clip.id)),
                missing=tuple(MissingClip(one.name, one.kind) for one in gone),
            )
        )
        lines.append(f"{_count(card, split, set(here))}{_reasons(gone)}")
        notes = Counter(note for one in here.values() for note in one.notes)
        lines += [f"{count} {split.name} clips are {note}" for note, count in sorted(notes.items())]
    return Report(
        made=made,
        kept=len(finished) - made,
        splits=tuple(records),
        lines=(*lines, *problems),
        failed=any(one.kind not in EXPECTED for one in absent),
    )


def _count(card: StandardCard, split: SplitPlan, here: set[str]) -> str:
    """`471 of 495 test clips`: by the list, or where there is none by what papers state."""
    expected, basis = len(split.listed), ""
    if split.origin is None:
        stated, basis = counts_by_papers(card, split.name, here)
        expected, basis = max(expected, stated or 0), f" ({basis})"
    return f"{len(here)} of {expected} {split.name} clips{basis}"


def _reasons(gone: Sequence[Absent]) -> str:
    """`; 24 missing: 20 (video not there), 4 (truncated video)`, or nothing."""
    if not gone:
        return ""
    counts = Counter(one.kind for one in gone)
    listed = ", ".join(f"{count} ({kind})" for kind, count in counts.most_common())
    return f"; {len(gone)} missing: {listed}"


def write_missing(root: Path, absent: Sequence[Absent]) -> Path:
    """Write `root/missing.csv` (`split,clip,kind,reason`): a row per clip that is missing, none where all are there.

    Raises:
        BenchbedError: the file cannot be written.
    """
    target = root / MISSING_FILE
    try:
        with replacing(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(("split", "clip", "kind", "reason"))
            writer.writerows((one.split, one.name, one.kind, one.reason) for one in absent)
    except OSError as error:
        raise BenchbedError(
            f"{target} cannot be written: {error.strerror or error}; free some space"
        ) from error
    return target
