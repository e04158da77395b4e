"""A verification in words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from benchbed.datasets.standard.findings import KINDS, Finding, SplitVerdict, Verification


def verification_lines(found: Verification) -> Iterator[str]:
    """Splits, then every deviation by name, then remarks, then the verdict."""
    yield f"{found.dataset}: {found.root}"
    for split in found.splits:
        yield f"  {_summary(split)}"
        for sentence in split.basis:
            yield f"    {sentence}"
    yield from _groups([finding for finding in found.findings if finding.deviation], "")
    yield from _groups([finding for finding in found.findings if not finding.deviation], "remark: ")
    yield _verdict(found)


def verification_table(found: Verification) -> dict[str, Any]:
    """The same as JSON has it."""
    table = asdict(found)
    table["root"] = str(found.root)
    table["deviations"] = len(found.deviations)
    return table


def _summary(split: SplitVerdict) -> str:
    expected = f" of {split.expected}" if split.expected is not None else ""
    return (
        f"{split.name}: n = {split.present}{expected} clips, {split.frames} frames decoded, names sha256 "
        f"{split.names_sha256[:12]}..."
    )


def _groups(findings: list[Finding], prefix: str) -> Iterator[str]:
    def group(finding: Finding) -> tuple[str, str]:
        return finding.kind, finding.split

    for (kind, split), members in groupby(findings, key=group):
        named = list(members)
        yield f"{prefix}{split}, {KINDS[kind]}: {len(named)}"
        for finding in named:
            yield f"  {finding.clip}: {finding.text}" if finding.clip else f"  {finding.text}"


def _verdict(found: Verification) -> str:
    count = len(found.deviations)
    if not count:
        return "no deviation"
    return f"{count} deviation{'' if count == 1 else 's'}"
