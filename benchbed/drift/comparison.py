"""What has moved since the baseline: metric arithmetic, then cases, then means; and at which stage it began."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchbed.drift.baseline import Part
from benchbed.drift.floor import Floor, MethodFloor, case_gaps, count_gaps, gap, stage_gaps
from benchbed.drift.means import MeanChange, mean_change
from benchbed.drift.measurement import Measurement, MethodMeasurement, Scores, SectionMeasurement
from benchbed.errors import BenchbedError
from benchbed.statistics import LEVEL, holm
from benchbed.tracking.stages import FEATURES, METRIC

# What of a comparability key says that two runs are of the same cases; the rest says how they were scored.
SAME_CASES = ("protocol", "dataset", "split", "resolution", "transfer", "precision", "decoder")
# On another processor, or with other libraries, sums in single precision end differently.
ELSEWHERE = 1e-5


@dataclass(frozen=True)
class StageMove:
    """A stage whose summary differs by more than its noise.

    Args:
        stage, name: which.
        cases: ids of the cases in which it does, the largest distance first.
        distance: the largest, as a share of the values' root mean square.
    """

    stage: str
    name: str
    cases: tuple[str, ...]
    distance: float

    @property
    def title(self) -> str:
        """`decoded frames (source)`."""
        return f"{self.stage} ({self.name})" if self.name else self.stage


@dataclass(frozen=True)
class CaseMove:
    """A case whose value differs by more than its noise."""

    case: str
    before: float
    after: float


@dataclass(frozen=True)
class Row:
    """One metric variant of one method, compared.

    Args:
        before, after: the means.
        cases: those that moved, the largest difference first.
        n_cases: how many there are; 0 for set metrics.
        case_tolerance, mean_tolerance: what either may differ by.
        change: difference of the means over paired cases; None for set metrics and where nothing could be paired.
        mean_moved: whether the mean has moved by more than noise, and by the paired test.
        first_stage: where it began; None where nothing moved.
        problem: why it cannot be compared at all, or what else is wrong; empty otherwise.
        skipped: neither side has a value.
    """

    section: str
    method: str
    variant: str
    before: float
    after: float
    cases: tuple[CaseMove, ...] = ()
    n_cases: int = 0
    case_tolerance: float = 0.0
    mean_tolerance: float = 0.0
    change: MeanChange | None = None
    mean_moved: bool = False
    first_stage: StageMove | None = None
    problem: str = ""
    skipped: bool = False

    @property
    def moved(self) -> bool:
        """Whether this row is drift."""
        return bool(self.cases) or self.mean_moved or bool(self.problem)


@dataclass(frozen=True)
class Report:
    """All that a check has found.

    Args:
        arithmetic: names and values (before, after) of the arithmetic that has changed.
        rows: every metric variant of every method.
        stages: per section and method the stages that moved, in the order in which frames pass through them.
        unmatched: sentences on methods and metrics that only one side has; they are findings too.
        notes: sentences that are none.
    """

    arithmetic: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
    rows: tuple[Row, ...]
    stages: dict[tuple[str, str], tuple[StageMove, ...]]
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def moved(self) -> tuple[Row, ...]:
        """The rows that are drift."""
        return tuple(row for row in self.rows if row.moved)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.arithmetic or self.moved or self.unmatched)


def compare(
    part: Part,
    measured: Measurement,
    arithmetic: dict[str, tuple[float, ...]],
    *,
    inconsistent: Sequence[str] = (),
) -> Report:
    """Compare a measurement with the baseline's part for its kind of device.

    Args:
        arithmetic: of the code as it is now, see `benchbed.drift.arithmetic`.
        inconsistent: sentences on stored values that do not follow from the stored frames.

    Raises:
        BenchbedError: the baseline is of other cases (protocol, data set, split, resolution, transfer).
    """
    _require_same_cases(part.measured, measured)
    unmatched: list[str] = list(inconsistent)
    notes: list[str] = []
    rows: list[Row] = []
    stages: dict[tuple[str, str], tuple[StageMove, ...]] = {}
    for name, before in part.measured.sections.items():
        after = measured.sections[name]
        unmatched += _unmatched(name, before, after)
        for method, own in before.methods.items():
            if method not in after.methods:
                continue
            floor = part.floors[name][method]
            moves = stage_moves(own, after.methods[method], floor, before.cases)
            stages[name, method] = moves
            rows += _method_rows(name, method, before, after, floor, moves)
    rows = _with_tested_means(rows)
    for (name, method), moves in stages.items():
        if moves and not any(row.moved for row in rows if (row.section, row.method) == (name, method)):
            notes.append(f"{method} on {name}: {moves[0].title} moved, and no metric with it")
    notes += _provenance_notes(part, measured)
    changed, added = _arithmetic_changes(part, measured, arithmetic)
    return Report(changed, tuple(rows), stages, tuple(unmatched), (*notes, *added))


def _require_same_cases(baseline: Measurement, measured: Measurement) -> None:
    for name, before in baseline.sections.items():
        after = measured.sections.get(name)
        if after is None:
            raise BenchbedError(
                f"the baseline is of {name}, and the run of {', '.join(measured.sections)}; "
                "give a run of the same protocol and data set, or another --baseline"
            )
        shared = next((variant for variant in before.keys if variant in after.keys), None)
        old = before.keys[shared] if shared else {}
        new = after.keys[shared] if shared else {}
        for part in SAME_CASES:
            if old.get(part) != new.get(part):
                raise BenchbedError(
                    f"the baseline does not fit: its {part} is '{old.get(part)}', the run's is '{new.get(part)}'; "
                    "compare like with like, or write a new baseline with --update --reason TEXT"
                )
        if before.cases != after.cases:
            raise BenchbedError(
                f"the baseline does not fit: it has {len(before.cases)} cases of {name}, the run "
                f"{len(after.cases)}, and they are not the same; write a new baseline with --update --reason TEXT"
            )


def _unmatched(name: str, before: SectionMeasurement, after: SectionMeasurement) -> list[str]:
    sentences = []
    for method, own in after.methods.items():
        if method not in before.methods and own.scored:
            sentences.append(f"{method} is not in the baseline of {name}: nothing to compare it with")
    for method, own in before.methods.items():
        if method not in after.methods and own.scored:
            sentences.append(f"{method} is in the baseline of {name} and was not run")
    for variant in after.keys:
        if variant not in before.keys:
            sentences.append(f"{variant} is not in the baseline of {name}: nothing to compare it with")
    for variant in before.keys:
        if variant not in after.keys:
            sentences.append(f"{variant} is in the baseline of {name} and was not measured")
    return sentences


def stage_moves(
    before: MethodMeasurement, after: MethodMeasurement, floor: MethodFloor, cases: Sequence[str]
) -> tuple[StageMove, ...]:
    """The stages whose summaries differ by more than their noise, in the order in which frames pass through them."""
    moves = []
    for stage, own in before.stages.items():
        distances = stage_gaps(own, after.stages.get(stage, ()))
        tolerance = floor.stage_tolerance(stage)
        beyond = [
            (distance, case) for distance, case in zip(distances, cases, strict=True) if distance > tolerance
        ]
        if beyond:
            beyond.sort(key=lambda pair: -pair[0])
            moves.append(StageMove(*stage, tuple(case for _, case in beyond), beyond[0][0]))
    return tuple(moves)


def _method_rows(
    name: str,
    method: str,
    before: SectionMeasurement,
    after: SectionMeasurement,
    floor: MethodFloor,
    moves: Sequence[StageMove],
) -> list[Row]:
    rows = []
    for variant, old in before.methods[method].scores.items():
        new = after.methods[method].scores.get(variant)
        if new is None:
            continue  # said once for all methods
        if old.status != "ok" and new.status != "ok":
            rows.append(Row(name, method, variant, old.mean, new.mean, skipped=True))
            continue
        if old.status != new.status:
            why = f": {new.reason}" if new.reason else ""
            problem = f"was {old.status}, is {new.status}{why}"
            rows.append(Row(name, method, variant, old.mean, new.mean, problem=problem))
            continue
        rows.append(_compare_scores(name, method, variant, before, after, old, new, floor, moves))
    return rows


def _compare_scores(
    name: str,
    method: str,
    variant: str,
    before: SectionMeasurement,
    after: SectionMeasurement,
    old: Scores,
    new: Scores,
    floor: MethodFloor,
    moves: Sequence[StageMove],
) -> Row:
    case_tolerance = floor.case_tolerance(variant, old)
    mean_tolerance = floor.mean_tolerance(variant, old)
    noise = floor.scores.get(variant, Floor())
    counts = count_gaps(old, new) or [0] * len(before.cases)
    beyond = [
        (distance, CaseMove(case, *values))
        for distance, count, case, values in zip(
            case_gaps(old, new), counts, before.cases, _value_pairs(old, new), strict=False
        )
        if distance > case_tolerance or count > noise.count
    ]
    beyond.sort(key=lambda pair: -pair[0])
    change = mean_change(variant, before, old, new)
    difference = gap(old.mean, new.mean) if change is None else abs(change.difference)
    problem = ""
    if before.keys[variant]["evaluators"] != after.keys[variant]["evaluators"]:
        problem = (
            f"measured with another evaluator: {before.keys[variant]['evaluators']} then, "
            f"{after.keys[variant]['evaluators']} now"
        )
    row = Row(
        name,
        method,
        variant,
        old.mean,
        new.mean,
        tuple(move for _, move in beyond),
        len(old.values),
        case_tolerance,
        mean_tolerance,
        change,
        # A set metric has one value and no test: its noise floor alone decides.
        mean_moved=difference > mean_tolerance,
        problem=problem,
    )
    if not row.moved:
        return row
    return _with_first_stage(row, moves, after.evaluators.get(variant, ""))


def _value_pairs(old: Scores, new: Scores) -> list[tuple[float, float]]:
    return list(zip(old.values, new.values, strict=False)) or [(math.nan, math.nan)] * max(
        len(old.values), len(new.values)
    )


def _with_first_stage(row: Row, moves: Sequence[StageMove], evaluators: str) -> Row:
    """The first stage that moved, of those this metric sees: its own evaluators and what comes before them."""
    own = evaluators.split(",")
    seen = [move for move in moves if move.stage != FEATURES or move.name.rpartition(" ")[0] in own]
    cases = tuple(move.case for move in row.cases)
    first = seen[0] if seen else StageMove(METRIC, row.variant, cases, math.nan)
    return replace(row, first_stage=first)


def _with_tested_means(rows: list[Row]) -> list[Row]:
    """Means beyond their noise have moved where the paired test, corrected for all of them, says so too."""
    tested = [
        row for row in rows if row.change is not None and row.mean_moved and not math.isnan(row.change.p)
    ]
    adjusted = dict(
        zip(map(id, tested), holm([row.change.p for row in tested if row.change is not None]), strict=True)
    )
    answer = []
    for row in rows:
        if id(row) in adjusted:
            change = row.change
            systematic = change is not None and adjusted[id(row)] < LEVEL and change.excludes_zero
            row = replace(row, mean_moved=systematic)
        answer.append(row)
    return answer


def _provenance_notes(part: Part, measured: Measurement) -> list[str]:
    """What is known to be other than when the baseline was written: where to look first."""
    notes = []
    then, now = part.provenance, measured.provenance
    for library, version in then.get("libraries", {}).items():
        current = now["environment"]["libraries"].get(library, "not installed")
        if current != version:
            notes.append(f"{library} was {version} and is {current}")
    if then.get("processor") != now["environment"]["processor"]:
        notes.append(f"the processor was {then.get('processor')} and is {now['environment']['processor']}")
    for method, known in then.get("methods", {}).items():
        current = now["methods"].get(method)
        if current is not None and current["fingerprint"] != known["fingerprint"]:
            notes.append(f"code, configuration or weights of {method} are not those of the baseline")
    return notes


def _arithmetic_changes(part: Part, measured: Measurement, now: dict[str, tuple[float, ...]]):
    """Changed values, and notes on new names; exact where processor and libraries are the baseline's."""
    then = part.provenance
    environment = measured.provenance["environment"]
    same = (then.get("processor"), then.get("libraries")) == (
        environment["processor"],
        environment["libraries"],
    )
    changed = []
    for name, old in part.arithmetic.items():
        new = now.get(name, ())
        tolerances = [0.0 if same else ELSEWHERE * max(1.0, abs(value)) for value in old]
        equal = len(old) == len(new) and all(
            gap(a, b) <= tolerance for a, b, tolerance in zip(old, new, tolerances, strict=True)
        )
        if not equal:
            changed.append((name, old, new))
    added = [
        f"the arithmetic of {name} is not in the baseline" for name in now if name not in part.arithmetic
    ]
    return tuple(changed), added
