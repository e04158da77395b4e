"""One report of what was wrong with frames made elsewhere."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchbed.external.matching import Match

if TYPE_CHECKING:
    import pandas as pd

# In the order of the report: how a failed case's reason opens, and what helps.
KINDS = {
    "missing": "--list-expected prints the names that are looked for, --paths takes others",
    "named twice": "keep one, or say which with --paths",
    "wrong size": "add --resize, or open the data set at their size with --resolution",
    "wrong number of frames": "scripts that skip the source frame write one less: if the first is what is missing, "
    "add --first-frame skipped; some gif writers join equal frames",
    "unreadable": "write the files again",
}
OTHERS = "failed"
COMPARED = 500  # names are compared pairwise: beyond so many that costs more than it helps
SHOWN = 10
REPORT = "generated-frames.txt"  # in the run's folder


def frames_report(
    cases: pd.DataFrame, match: Match, notes: Sequence[str], name: str, folder: Path, *, most: int | None
) -> str:
    """How many cases have frames, which have not and why, which files belong to no case, and what changes the numbers.

    Args:
        cases: of the run, as `benchbed.aggregate.cases_frame` gives them.
        match: of files and cases.
        notes: of the run's tables.
        most: lines per kind, None for all.
    """
    wrong = dict(match.refused)
    failed = cases[cases["status"] == "failed"]
    for setting, case, reason in failed[["setting", "case", "reason"]].itertuples(index=False):
        wrong.setdefault((setting, case), reason)
    count = len(cases[["setting", "case"]].drop_duplicates())
    lines = [f"frames of {name} in {folder}: {count - len(wrong)} of {count} cases have frames that fit"]
    by_kind: dict[str, list[str]] = {}
    near = _nearest(match)
    for (setting, case), reason in wrong.items():
        kind = next((kind for kind in KINDS if reason.startswith(f"{kind}: ")), OTHERS)
        text = reason.removeprefix(f"{kind}: ")
        hint = f"; is it '{near[setting, case]}'?" if kind == "missing" and (setting, case) in near else ""
        label = f"{setting}, {case}" if setting else case
        by_kind.setdefault(kind, []).append(f"{label}: {text}{hint}")
    for kind, help_ in {**KINDS, OTHERS: ""}.items():
        lines += _section(kind, by_kind.get(kind, []), most, help_)
    lines += _section("not read", [f"{path}: {why}" for path, why in match.extra.items()], most)
    own = [note.removeprefix(f"{name}: ") for note in notes if note.startswith(f"{name}: ")]
    lines += _section("to be known", own, most)
    return "\n".join(lines) + "\n"


def _section(title: str, entries: list[str], most: int | None, help_: str = "") -> list[str]:
    if not entries:
        return []
    shown = entries if most is None or len(entries) <= most else entries[:most]
    rest = [f"  ... and {len(entries) - len(shown)} more"] if len(shown) < len(entries) else []
    head = f"{title} ({len(entries)}){f', {help_}' if help_ else ''}:"
    return [head, *(f"  {entry}" for entry in shown), *rest]


def _nearest(match: Match) -> dict[tuple[str, str], str]:
    """For cases without files the file with the most similar name, where one is similar at all."""
    spare = {Path(path).name: path for path in list(match.extra)[:COMPARED]}
    absent = [key for key, reason in match.refused.items() if reason.startswith("missing")][:COMPARED]
    found = {}
    for setting, case in absent:
        wanted = match.tables[setting].preferred[setting, case]
        close = difflib.get_close_matches(wanted, list(spare), n=1, cutoff=0.7)
        if close:
            found[setting, case] = spare[close[0]]
    return found
