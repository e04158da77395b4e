"""Paired comparisons of stored results: which runs may be compared, and what the differences are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from benchbed.errors import BenchbedError
from benchbed.pairing import CaseScore, Scores, SetScore, pair
from benchbed.ranking import rank
from benchbed.statistics import PairedDifference, Verdict, holm, verdict
from benchbed.tracking.runs import StoredRun

if TYPE_CHECKING:
    import pandas as pd

SECTION = ("protocol", "dataset", "transfer", "setting")
ITEM = (*SECTION, "metric", "variant")

Record = dict[str, Any]


@dataclass(frozen=True)
class Margin:
    """A difference that does not matter: `size` in the metric's unit, or in percent of the first method's value."""

    size: float
    percent: bool

    def of(self, baseline: float) -> float:
        """In the metric's unit."""
        return abs(baseline) * self.size / 100 if self.percent else self.size

    def __str__(self) -> str:
        return f"{self.size:g} % of the first value" if self.percent else f"{self.size:g}"


DEFAULT_MARGIN = Margin(1.0, percent=True)


@dataclass(frozen=True)
class Margins:
    """The margin of each metric: its own, or the one for all."""

    general: Margin = DEFAULT_MARGIN
    own: Mapping[str, Margin] = field(default_factory=dict)

    def of(self, metric: str) -> Margin:
        return self.own.get(metric, self.general)


@dataclass(frozen=True)
class Discrepancy:
    """Something in which two results that are to be compared differ, and the metrics it concerns."""

    name: str
    first: str
    second: str
    metrics: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.metrics)}): {self.first} in A, {self.second} in B"


@dataclass(frozen=True)
class Side:
    """What one side of a comparison has of one metric variant.

    Args:
        label: run or method, as the reader knows it.
        record: its row of `aggregate.parquet`.
        scores: frame scores of the run, see `stored_scores`.
    """

    label: str
    record: Record
    scores: Mapping[tuple[str, ...], Mapping[str, CaseScore]] = field(repr=False)

    @property
    def usable(self) -> bool:
        return self.record["status"] == "ok" and not math.isnan(self.record["value"])


@dataclass(frozen=True)
class Comparison:
    """Two methods, or one method in two runs, under one metric variant.

    Args:
        method: the method, or `first -> second`.
        values: of both sides, on the frames that both scored; their own means where they are not comparable.
        frames: frames that both scored.
        difference: second minus first; None where there is no test, and `reason` says why.
        adjusted_p: Holm-corrected over all tests of the command.
        verdict: on the second side; empty where there is no test.
        apart: the two are not comparable and stand side by side only.
    """

    method: str
    first: Side
    second: Side
    values: tuple[float, float]
    frames: int = 0
    difference: PairedDifference | None = None
    adjusted_p: float = math.nan
    margin: float = math.nan
    verdict: Verdict | str = ""
    reason: str = ""
    apart: bool = False

    @property
    def metric(self) -> str:
        return self.first.record["metric"]


def within(
    run: StoredRun, methods: Sequence[str], metrics: Sequence[str], margins: Margins
) -> list[Comparison]:
    """The methods of one run, each with the first of them.

    Raises:
        BenchbedError: fewer than two methods, or one that the run does not have.
    """
    if len(methods) < 2:
        known = ", ".join(dict.fromkeys(record["method"] for record in run.records))
        raise BenchbedError(
            f"one run is compared within itself by two methods or more; name them with --method (it has: {known}), "
            "or give a second run"
        )
    baseline = _items(run, methods[0], metrics)
    scores = stored_scores(run)
    found = [
        _compared(
            f"{methods[0]} -> {method}",
            Side(methods[0], first, scores),
            Side(method, second, scores),
            margins,
        )
        for method in methods[1:]
        for item, second in _items(run, method, metrics).items()
        if (first := baseline.get(item)) is not None
    ]
    return _corrected(found, margins)


def between(
    first: StoredRun,
    second: StoredRun,
    methods: Sequence[str],
    metrics: Sequence[str],
    margins: Margins,
    *,
    force: bool = False,
) -> list[Comparison]:
    """Methods of two runs: those of equal name, or as they are named.

    Args:
        methods: names, or `OURS=THEIRS` where a method of the first run is compared with another of the second;
            empty for all that both have.

    Raises:
        BenchbedError: no method is in both, or their numbers are not comparable and `force` is not given.
    """
    ours, theirs = (
        list(dict.fromkeys(record["method"] for record in run.records)) for run in (first, second)
    )
    names = list(methods) or [name for name in ours if name in theirs]
    if not names:
        raise BenchbedError(
            f"{first.id} and {second.id} have no method in common (A has {', '.join(ours)}; B has "
            f"{', '.join(theirs)}); name two with --method {ours[0]}={theirs[0]}, or compare methods within one run"
        )
    matched: list[tuple[str, Record, Record, list[Discrepancy]]] = []
    for name in names:
        one, other = method_pair(name)
        method = one if one == other else f"{one} -> {other}"
        wanted, offered = _items(first, one, metrics), _items(second, other, metrics)
        for item, record in wanted.items():
            partner = offered.get(item) or _nearest(
                record, [r for i, r in offered.items() if i not in wanted]
            )
            if partner is not None:
                matched.append((method, record, partner, _discrepancies(first, record, second, partner)))
    if not matched:
        raise BenchbedError(f"{first.id} and {second.id} have no metric in common; nothing to compare")
    differing = _gathered([found for *_, several in matched for found in several])
    if differing and not force:
        listed = "".join(f"\n  {found}" for found in differing)
        equal = list(dict.fromkeys(record["metric"] for _, record, _, several in matched if not several))
        rest = f"what is equal can be compared with --metric {' --metric '.join(equal)}; " if equal else ""
        raise BenchbedError(
            f"A ({first.id}) and B ({second.id}) are not comparable, they differ in:{listed}\n"
            f"{rest}--force shows the numbers side by side, without a test"
        )
    scores = [stored_scores(run) for run in (first, second)]
    found = []
    for method, record, partner, several in matched:
        sides = Side("A", record, scores[0]), Side("B", partner, scores[1])
        found.append(_apart(method, *sides, several) if several else _compared(method, *sides, margins))
    return _corrected(found, margins)


def ranked_together(aggregate: pd.DataFrame, runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Rows of several runs ranked as one table.

    Args:
        aggregate: the runs' aggregates below each other, with the runs' ids in the column `run`.

    Returns:
        Without `best_set` where a run of an older version does not hold what the paired tests need.
    """
    if not all(_holds_paired(record) for run in runs for record in run.records):
        return aggregate.drop(columns=["best_set", "resolvable"], errors="ignore")
    scores = {run.id: stored_scores(run) for run in runs}
    return rank(aggregate, lambda row: _scores(Side(row["run"], row, scores[row["run"]])))


def method_pair(name: str) -> tuple[str, str]:
    """The methods of A and of B that `OURS=THEIRS` or a single name stands for."""
    one, separator, other = name.partition("=")
    return one, other if separator else one


def circumstances(first: StoredRun, second: StoredRun, methods: Sequence[str]) -> list[str]:
    """What else differs between two runs: not in the numbers' keys, but worth knowing.

    Args:
        methods: those that have one name in both.
    """
    told = []
    for name, place in (
        ("device", ("device",)),
        ("benchbed", ("environment", "benchbed")),
        ("commit", ("environment", "git", "commit")),
    ):
        ours, theirs = (_inside(run.provenance, place) for run in (first, second))
        if ours != theirs:
            told.append(f"{name}: {_short(ours)} in A, {_short(theirs)} in B")
    changed = [
        method
        for method in methods
        if _inside(first.provenance, ("methods", method, "fingerprint"))
        != _inside(second.provenance, ("methods", method, "fingerprint"))
    ]
    if changed:
        told.append(f"code, configuration or weights differ: {', '.join(changed)}")
    return told


def _items(run: StoredRun, method: str, metrics: Sequence[str]) -> dict[tuple[str, ...], Record]:
    """The rows of a method, by what they measure; those of the metrics named, or all.

    Raises:
        BenchbedError: the run has no such method, or a metric that was named is not in it.
    """
    own = [record for record in run.records if record["method"] == method]
    if not own:
        known = ", ".join(dict.fromkeys(record["method"] for record in run.records))
        raise BenchbedError(f"run {run.id} has no method '{method}'; it has: {known}")
    for name in metrics:
        if not any(_named(record, name) for record in own):
            known = ", ".join(dict.fromkeys(record["metric"] for record in own))
            raise BenchbedError(f"run {run.id} has no metric '{name}' of {method}; it has: {known}")
    return {
        tuple(str(record[name]) for name in ITEM): record
        for record in own
        if not metrics or any(_named(record, name) for name in metrics)
    }


def _named(record: Record, name: str) -> bool:
    return name in (record["metric"], record["variant"], record["variant"].partition("@")[0])


def _nearest(record: Record, offered: list[Record]) -> Record | None:
    """Of another run, what comes closest to the same measurement: the metric at least is the same."""
    same = [other for other in offered if other["metric"] == record["metric"]]
    return max(same, key=lambda other: sum(other[name] == record[name] for name in ITEM), default=None)


def _discrepancies(first: StoredRun, ours: Record, second: StoredRun, theirs: Record) -> list[Discrepancy]:
    """All in which two numbers differ that should be equal for a comparison."""
    metrics = (ours["metric"],)
    found = [
        Discrepancy(name, str(ours[name]) or "none", str(theirs[name]) or "none", metrics)
        for name in ("setting",)
        if ours[name] != theirs[name]
    ]
    keys = [_key(first, ours), _key(second, theirs)]
    for name in dict.fromkeys(name for key in keys for name in key):
        values = [str(key.get(name, "not recorded")) for key in keys]
        if values[0] != values[1]:
            if name == "dataset":
                values = [
                    f"{record['dataset']} {value}"
                    for record, value in zip((ours, theirs), values, strict=True)
                ]
            found.append(Discrepancy(name, _short(values[0]), _short(values[1]), metrics))
    # Other data has other cases: said once.
    if not {"dataset", "split", "protocol"} & {each.name for each in found}:
        cases = [_cases(run, record) for run, record in ((first, ours), (second, theirs))]
        if cases[0] != cases[1]:
            texts = [f"{len(own)} ({len(own - other)} of its own)" for own, other in (cases, reversed(cases))]
            found.append(Discrepancy("cases", texts[0], texts[1], metrics))
    return found


def _key(run: StoredRun, record: Record) -> Record:
    """The comparability key in full; a value without failed cases has a digest of its own behind it."""
    digest = record["key"].partition("-")[0]
    keys = run.provenance.get("keys", {})
    if digest not in keys:
        raise BenchbedError(
            f"run.json of {run.id} does not say what its {record['metric']} was measured with; run the command again"
        )
    return keys[digest]


def _cases(run: StoredRun, record: Record) -> frozenset[str]:
    cases = run.cases
    same = cases["method"] == record["method"]
    for name in SECTION:
        same &= cases[name] == record[name]
    return frozenset(cases.loc[same, "case"])


def _gathered(found: list[Discrepancy]) -> list[Discrepancy]:
    """Equal discrepancies of several metrics as one."""
    metrics: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        names = metrics.setdefault((each.name, each.first, each.second), [])
        names += [name for name in each.metrics if name not in names]
    return [Discrepancy(*what, tuple(names)) for what, names in metrics.items()]


def _short(value: object) -> str:
    """Fingerprints at a length that can be read and told apart."""
    parts = str(value).replace(",", ":,:").replace(" ", ": :").split(":")
    text = ":".join(part[:12] if len(part) >= 40 and part.isalnum() else part for part in parts)
    return text.replace(":,:", ", ").replace(": :", " ") or "none"


def _inside(data: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _apart(method: str, first: Side, second: Side, several: list[Discrepancy]) -> Comparison:
    reason = "; ".join(f"{found.name}: {found.first} in A, {found.second} in B" for found in several)
    values = (first.record["value"], second.record["value"])
    return Comparison(method, first, second, values, reason=f"not comparable, {reason}", apart=True)


def _compared(method: str, first: Side, second: Side, margins: Margins) -> Comparison:
    """One paired difference; p not yet corrected."""
    values = (first.record["value"], second.record["value"])
    for side in (first, second):
        if not side.usable:
            why = side.record["reason"] or "no value"
            return Comparison(method, first, second, values, reason=f"{side.label}: {why}")
    if not (_holds_paired(first.record) and _holds_paired(second.record)):
        why = "stored by an older version, run the command again"
        return Comparison(method, first, second, values, reason=why)
    reduction = first.record["reduction"]
    if reduction == "set" and first.record["key"] != second.record["key"]:
        why = "other cases failed on one side than on the other, and a set metric has no values by case"
        return Comparison(method, first, second, values, reason=why)
    paired = pair(_scores(first), _scores(second), reduction=reduction)
    if paired.difference is None or math.isnan(paired.difference.p):
        why = (
            "this variant has no interval, so no test"
            if reduction == "set"
            else "no frame was scored on both sides"
            if not paired.frames
            else "one identity takes part in every case, so no test"
        )
        return Comparison(method, first, second, values, paired.frames, reason=why)
    margin = margins.of(first.record["metric"]).of(paired.first)
    return Comparison(
        method, first, second, (paired.first, paired.second), paired.frames, paired.difference, margin=margin
    )


def _holds_paired(record: Record) -> bool:
    """Whether a run was stored with what paired tests need; older ones were not."""
    return isinstance(record.get("reduction"), str) and record.get("influences") is not None


def _corrected(found: list[Comparison], margins: Margins) -> list[Comparison]:
    """With Holm's correction over all tests, and the verdicts that follow from it.

    Raises:
        BenchbedError: a margin was given for a metric that is not compared.
    """
    for metric in margins.own:
        if not any(each.metric == metric for each in found):
            raise BenchbedError(
                f"--margin {metric}=... is for a metric that is not compared here; leave it out"
            )
    adjusted = holm([math.nan if each.difference is None else each.difference.p for each in found])
    return [
        each
        if each.difference is None
        else replace(
            each,
            adjusted_p=p,
            verdict=verdict(each.difference, p, direction=each.first.record["direction"], margin=each.margin),
        )
        for each, p in zip(found, adjusted, strict=True)
    ]


def _scores(side: Side) -> Scores:
    """What a side's value was computed from, as its run stored it."""
    record = side.record
    if record["reduction"] == "set":
        return SetScore(record["value"], tuple(record["influences"]), int(record["n_identities"]))
    return side.scores.get(tuple(str(record[name]) for name in ("method", *SECTION, "variant")), {})


def stored_scores(run: StoredRun) -> dict[tuple[str, ...], dict[str, CaseScore]]:
    """Frame scores of a run by method, section and variant, then by case."""
    names = ["method", *SECTION, "variant"]
    good = run.cases[run.cases["status"] == "ok"]
    columns = [*names, "case", "identity", "driving_identity"]
    identities = {
        tuple(map(str, key)): (str(identity), str(driving))
        for *key, identity, driving in good[columns].itertuples(index=False, name=None)
    }
    scores: dict[tuple[str, ...], dict[str, CaseScore]] = {}
    for group, rows in run.frames.groupby([*names, "case"], sort=False):
        key = tuple(map(str, group))
        if key in identities:
            values = rows.sort_values("frame")["value"].to_numpy(float)
            scores.setdefault(key[:-1], {})[key[-1]] = CaseScore(*identities[key], values)
    return scores
