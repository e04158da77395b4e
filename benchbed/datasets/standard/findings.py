"""What a verification can find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# In the order of the report.
KINDS = {
    "undecodable": "cannot be decoded",
    "changed": "changed since prepared",
    "missing": "missing",
    "extra": "not in the list",
    "twice": "there twice",
    "size": "frame size",
    "frames": "number of frames",
    "rate": "frame rate",
    "count": "number of clips",
    "pairs": "pairs",
    "leak": "in train and test",
    "unusual": "to know",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, or that a reader has to know.

    Args:
        split: where.
        clip: its name (for a leak: the identity), empty for a finding about the whole split.
        kind: one of `KINDS`.
        text: a sentence without its full stop.
        deviation: whether the split is thereby not the one it should be; False for remarks.
    """

    split: str
    clip: str
    kind: str
    text: str
    deviation: bool = True


@dataclass(frozen=True)
class SplitVerdict:
    """One split as it was found.

    Args:
        name: `train` or `test`.
        present: clips that belong to it and can be decoded.
        expected: clips it should have, None where no list says.
        frames: decoded, in all clips of its folder.
        names_sha256: over the names in its folder, see `manifest.names_sha256`.
        basis: by what it was checked, sentences.
    """

    name: str
    present: int
    expected: int | None
    frames: int
    names_sha256: str
    basis: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """All that was found about a root."""

    dataset: str
    root: Path
    splits: tuple[SplitVerdict, ...]
    findings: tuple[Finding, ...]

    @property
    def deviations(self) -> tuple[Finding, ...]:
        """The findings by which the root is not the split it should be."""
        return tuple(finding for finding in self.findings if finding.deviation)
