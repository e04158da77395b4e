"""Why is my number not the paper's? The smallest sets of switches that bring a measured value to the printed one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchbed.papers.layout import Layout
from benchbed.papers.matching import candidates, printed_column
from benchbed.papers.measured import number_text
from benchbed.papers.names import test_videos
from benchbed.papers.printed import PrintedValue
from benchbed.papers.reaggregation import Way, stored_way, ways
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tracking.runs import StoredRun

WORDS = {
    ("mean", "frames"): "mean over frames",
    ("mean", "clips"): "mean over clips",
    ("frame 0", "with"): "with frame 0",
    ("frame 0", "without"): "without frame 0",
    ("missing", "skipped"): "missing frames skipped",
    ("missing", "counted"): "missing frames counted as the worst case",
    ("form", "squared"): "squared distance",
    ("form", "rooted"): "rooted distance",
    ("form", "mean-square"): "mean squared difference",
    ("norm", "coordinate"): "mean of coordinates",
    ("norm", "euclidean"): "Euclidean distance",
    ("lost", "missing"): "lost key points missing",
    ("lost", "counted"): "lost key points counted as the worst case",
    ("quantisation", "none"): "frames not quantised",
    ("quantisation", "round"): "frames rounded to 8 bits",
    ("quantisation", "truncate"): "frames truncated to 8 bits",
}
# What a trait is where a variant does not name it.
UNNAMED = {"lost": "missing", "quantisation": "none", "against": "target"}


@dataclass(frozen=True)
class Switches:
    """What is done otherwise than in the measured variant, and what then comes out."""

    changes: tuple[str, ...]
    value: float

    def __str__(self) -> str:
        return " + ".join(self.changes) or "none"


@dataclass(frozen=True)
class Explanation:
    """Why a measured value is not the printed one.

    Args:
        printed: the value of the paper.
        variant: of the measured value.
        measured: the run's value as it stands.
        fits: the smallest sets of switches that give the printed value within its rounding, all of that size;
            one empty set where it agrees as it stands; none where no set does.
        nearest: the set whose value comes nearest.
        tried: ways to score and average that were tried.
        by_chance: how many of those with as few switches as `fits` would hit the printed digits if their values
            lay anywhere between the smallest and the largest of them.
    """

    printed: PrintedValue
    variant: str
    measured: float
    fits: tuple[Switches, ...]
    nearest: Switches
    tried: int
    by_chance: float

    @property
    def agrees(self) -> bool:
        return bool(self.fits) and not self.fits[0].changes


def explain(printed: PrintedValue, base: Way, found: Sequence[Way], variant: str = "") -> Explanation:
    """Search the ways for the smallest changes of `base` that give the printed value.

    Args:
        printed: with digits.
        base: how the run scored and averaged.
        found: all ways there are (`benchbed.papers.reaggregation.ways`).
        variant: name of the base, for the reader.
    """
    # A set of no switches is the run's own value, to the last bit.
    options = [(Switches((), base.value), 0)]
    for way in found:
        changes = _changes(base, way)
        if changes:
            options.append((Switches(changes, way.value), len(changes)))
    # Printed digits are decimal: a value in the middle between two of them may round either way.
    margin = printed.rounding * (1 + 1e-9)
    fitting = [(one, size) for one, size in options if abs(one.value - printed.value) <= margin]
    smallest = min((size for _, size in fitting), default=max(size for _, size in options))
    nearest = min(options, key=lambda option: (abs(option[0].value - printed.value), option[1]))[0]
    return Explanation(
        printed,
        variant,
        base.value,
        tuple(one for one, size in fitting if size == smallest),
        nearest,
        len(options),
        _by_chance([one.value for one, size in options if size <= smallest], printed.rounding),
    )


def explain_cell(printed: PrintedValue, run: StoredRun) -> Explanation | None:
    """The explanation of one printed value by a run; None where the run has nothing of the kind."""
    column = printed_column(printed.key)
    records = [record for record in candidates(printed.key, run) if record["status"] == "ok"]
    if not printed.digits or column is None or not records:
        return None
    base = next((r for r in records if r["variant"].partition("@")[0] == column.variant), records[0])
    if not math.isfinite(base["value"]):
        return None
    stated = test_videos(printed.key.paper, printed.key.dataset)
    found = ways(records, run, counts=[stated] if stated else [])
    return explain(printed, stored_way(base), found, base["variant"].partition("@")[0])


def explanation_table(layout: Layout, runs: Sequence[StoredRun]) -> Table:
    """A row per explanation of each printed value that a run measured; several where several sets fit."""
    rows = []
    values = {
        value.key: (row, value)
        for row in layout.rows
        for column in layout.columns
        for value in layout.cell(row, column).values
    }
    for run in runs:
        for row, value in values.values():
            explanation = explain_cell(value, run)
            if explanation is not None:
                name = f"{row.label} {value.key.variant if len(row.entries) > 1 else ''}".strip()
                name = f"{name} {value.key.metric}" + (f" ({run.id})" if len(runs) > 1 else "")
                rows += [Row(name, cells, value.key.dataset) for cells in _lines(explanation)]
    notes = [
        "switches: the smallest sets of changes to the variant measured that give the printed digits, all sets of that "
        "size; changes that make no difference on this data are not named",
        "by chance: how many sets of that size or smaller would hit the printed digits by accident; near or above 1 a "
        "fit says little",
    ]
    heads = ("printed", "measured", "variant", "switches", "gives", "tried", "by chance")
    return Table(
        dataset="",
        protocol=layout.paper,
        transfer=layout.number,
        title=f"{layout.paper}, table {layout.number}: why measured and printed values differ",
        columns=tuple(Column(head, head) for head in heads),
        rows=tuple(rows),
        notes=tuple(notes),
        stub="value",
        group_stub="data set",
        verbatim=True,
    )


def _lines(explanation: Explanation) -> list[tuple[Cell, ...]]:
    printed = explanation.printed
    measured = number_text(explanation.measured, printed)
    chance = f"{explanation.by_chance:.2g}"

    def line(switches: str, value: float, by_chance: str) -> tuple[Cell, ...]:
        texts = (
            printed.digits,
            measured,
            explanation.variant,
            switches,
            number_text(value, printed),
            str(explanation.tried),
            by_chance,
        )
        return tuple(Cell(text) for text in texts)

    if explanation.agrees:
        return [line("none needed", explanation.measured, "-")]
    if explanation.fits:
        return [line(str(switches), switches.value, chance) for switches in explanation.fits]
    away = abs(explanation.nearest.value - printed.value)
    text = f"none fits; nearest: {explanation.nearest} ({away:.{printed.decimals + 1}f} away)"
    return [line(text, explanation.nearest.value, "-")]


def _changes(base: Way, way: Way) -> tuple[str, ...]:
    """What a way does otherwise than the base, in a few words per switch."""
    ours, theirs = dict(base.traits), dict(way.traits)
    changed = []
    for name in sorted({*ours, *theirs}):
        old, new = (traits.get(name, UNNAMED.get(name, "unset")) for traits in (ours, theirs))
        if old != new:
            changed.append(_words(name, new))
    return tuple(changed)


def _words(name: str, value: str) -> str:
    if name in ("clips", "variant"):
        return value
    return WORDS.get((name, value), f"{name} {value}")


def _by_chance(values: Sequence[float], rounding: float) -> float:
    spread = max(values) - min(values)
    others = len(values) - 1
    return others * min(1.0, 2 * rounding / spread) if spread > 0 else 0.0
