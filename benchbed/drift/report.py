"""A drift report as text, as JUnit XML and as GitHub annotations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from xml.etree import ElementTree

from benchbed.drift.comparison import Report, Row, StageMove
from benchbed.tracking.stages import STAGES

WORST_CLIPS = 3


def report_text(report: Report) -> str:
    """What moved, by how much, in which clips most, and where it began; then what has no counterpart, then notes."""
    blocks = []
    if report.arithmetic:
        lines = ["metric arithmetic has changed (fixed inputs, no method or network involved):"]
        lines += [f"  {name}: {numbers(old)} -> {numbers(new)}" for name, old, new in report.arithmetic]
        blocks.append("\n".join(lines))
    if report.moved:
        blocks.append(_table(report.moved))
        blocks.append("\n".join(_stage_lines(report)))
    if report.unmatched:
        blocks.append("\n".join(["without a counterpart:", *(f"  {text}" for text in report.unmatched)]))
    if report.notes:
        blocks.append("\n".join(["notes:", *(f"  {text}" for text in report.notes)]))
    blocks.append(summary(report))
    return "\n\n".join(blocks)


def summary(report: Report) -> str:
    """One sentence."""
    compared = [row for row in report.rows if not row.skipped]
    methods = {(row.section, row.method) for row in compared}
    scope = f"{len(compared)} values of {len(methods)} methods and the arithmetic of every metric"
    if report.clean:
        return f"no drift: {scope} are those of the baseline"
    moved = {(row.section, row.method) for row in report.moved}
    parts = []
    if report.arithmetic:
        parts.append(f"{len(report.arithmetic)} pieces of metric arithmetic")
    if report.moved:
        parts.append(
            f"{len(report.moved)} of {len(compared)} values, of {len(moved)} of {len(methods)} methods"
        )
    if report.unmatched:
        parts.append(f"{len(report.unmatched)} without a counterpart")
    first = first_stage(report)
    began = f"; first stage that moved: {first.title}" if first is not None else ""
    return f"DRIFT: {', '.join(parts)}{began}"


def first_stage(report: Report) -> StageMove | None:
    """The earliest stage that moved in any method with a moved value."""
    moved = {(row.section, row.method) for row in report.moved}
    order: list[StageMove] = [
        moves[0] for place, moves in report.stages.items() if place in moved and moves
    ] or [row.first_stage for row in report.moved if row.first_stage is not None]
    return min(order, key=lambda move: STAGES.index(move.stage), default=None)


def _table(rows: Iterable[Row]) -> str:
    header = ("method", "metric", "baseline", "now", "difference", "noise", "cases", "most in", "first stage")
    body = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[index]) for line in body) for index in range(len(header))]
    ruled = [body[0], tuple("-" * width for width in widths), *body[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in ruled
    )


def _cells(row: Row) -> tuple[str, ...]:
    began = row.first_stage.title if row.first_stage is not None else ""
    return (
        row.method,
        row.variant,
        number(row.before),
        number(row.after),
        difference(row),
        f"{max(row.mean_tolerance, 0):.1g}",
        f"{len(row.cases)} of {row.n_cases}" if row.n_cases else "-",
        worst_clips(row) or "-",
        row.problem or began,
    )


def difference(row: Row) -> str:
    """Difference of the means, with the interval of the paired test where there is one."""
    if row.change is None:
        moved = row.after - row.before
        return f"{moved:+.3g}" if math.isfinite(moved) else "-"
    if math.isnan(row.change.low):
        return f"{row.change.difference:+.3g}"
    return f"{row.change.difference:+.3g} [{row.change.low:+.3g}, {row.change.high:+.3g}]"


def worst_clips(row: Row) -> str:
    """The cases that moved most, with their differences."""
    return ", ".join(f"{move.case} ({move.after - move.before:+.2g})" for move in row.cases[:WORST_CLIPS])


def number(value: float) -> str:
    """Six digits; `-` for nothing."""
    return "-" if math.isnan(value) else f"{value:.6g}"


def numbers(values: Iterable[float]) -> str:
    """Several numbers with as many digits as it takes to see a difference."""
    return " ".join(f"{value:.9g}" for value in values) or "absent"


def _stage_lines(report: Report) -> list[str]:
    lines = ["stages that moved, in the order in which frames pass through them:"]
    moved = {(row.section, row.method) for row in report.moved}
    for (section, method), moves in report.stages.items():
        if (section, method) not in moved:
            continue
        passed = ", ".join(
            f"{move.title} by {move.distance:.1g} in {len(move.cases)} cases"
            for move in moves
            if math.isfinite(move.distance)
        )
        lines.append(f"  {method} ({section}): {passed or 'none: the metric itself'}")
    return lines


def row_message(row: Row) -> str:
    """One sentence on a moved row."""
    text = f"{row.variant} of {row.method}: {number(row.before)} -> {number(row.after)} ({difference(row)})"
    if row.problem:
        text += f"; {row.problem}"
    if row.cases:
        text += f"; {len(row.cases)} of {row.n_cases} cases beyond their noise of {row.case_tolerance:.1g}"
        text += f", most in {worst_clips(row)}"
    if row.mean_moved:
        text += f"; the mean moved beyond its noise of {row.mean_tolerance:.1g}"
    if row.first_stage is not None:
        text += f"; first stage that moved: {row.first_stage.title}"
    return text


def junit_xml(report: Report) -> bytes:
    """A test case per method and metric variant, and one per changed arithmetic or missing counterpart."""
    root = ElementTree.Element("testsuites", name="benchbed check")
    sections = list(dict.fromkeys(row.section for row in report.rows))
    for section in sections:
        suite = _Suite(root, section)
        for row in report.rows:
            if row.section == section:
                suite.case(
                    row.method, row.variant, row_message(row) if row.moved else "", skipped=row.skipped
                )
        suite.close()
    suite = _Suite(root, "metric arithmetic")
    for name, old, new in report.arithmetic:
        suite.case("arithmetic", name, f"{name}: {numbers(old)} -> {numbers(new)}")
    if not report.arithmetic:
        suite.case("arithmetic", "all metrics on fixed inputs", "")
    suite.close()
    suite = _Suite(root, "counterparts")
    for text in report.unmatched:
        suite.case("counterparts", text.partition(":")[0], text)
    if not report.unmatched:
        suite.case("counterparts", "every method and metric has one", "")
    suite.close()
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


class _Suite:
    """One `testsuite` element, with its counts."""

    def __init__(self, root: ElementTree.Element, name: str) -> None:
        self._element = ElementTree.SubElement(root, "testsuite", name=_printable(name))
        self._counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}

    def case(self, owner: str, name: str, failure: str, *, skipped: bool = False) -> None:
        case = ElementTree.SubElement(
            self._element, "testcase", classname=_printable(owner), name=_printable(name), time="0"
        )
        self._counts["tests"] += 1
        if failure:
            self._counts["failures"] += 1
            inner = ElementTree.SubElement(case, "failure", message=_printable(failure), type="drift")
            inner.text = _printable(failure)
        elif skipped:
            self._counts["skipped"] += 1
            ElementTree.SubElement(case, "skipped", message="without a value then and now")

    def close(self) -> None:
        for name, count in self._counts.items():
            self._element.set(name, str(count))
        self._element.set("time", "0")


def _printable(text: str) -> str:
    """XML has no place for control characters, not even escaped."""
    return "".join(character if character.isprintable() or character in "\t\n" else "?" for character in text)


def github_annotations(report: Report) -> list[str]:
    """`::error` lines: one for the arithmetic, one per method, one for what has no counterpart (GitHub shows ten)."""
    lines = []
    if report.arithmetic:
        names = ", ".join(name for name, _, _ in report.arithmetic)
        lines.append(_annotation("drift: metric arithmetic", f"changed on fixed inputs: {names}"))
    by_method: dict[tuple[str, str], list[Row]] = {}
    for row in report.moved:
        by_method.setdefault((row.section, row.method), []).append(row)
    for (section, method), rows in by_method.items():
        moves = report.stages.get((section, method), ())
        began = f"first stage that moved: {moves[0].title}\n" if moves else ""
        text = began + "\n".join(row_message(row) for row in rows)
        lines.append(_annotation(f"drift: {method} ({section})", text))
    if report.unmatched:
        lines.append(_annotation("drift: without a counterpart", "\n".join(report.unmatched)))
    return lines


def _annotation(title: str, message: str) -> str:
    """A workflow command; its reserved characters are percent-encoded, in properties two more."""

    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    name = escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={name}::{escaped(message)}"
