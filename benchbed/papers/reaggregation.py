"""One metric of a run averaged in every known way from its stored per-frame rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchbed.registry import card, load_entry
from benchbed.tracking.runs import StoredRun

# Sizes that people cut test sets to; the number of videos a paper states is added.
ROUND_COUNTS = (10, 20, 50, 100, 200, 500, 1000)
ALL_CLIPS = "all clips"
WHOLE_CLIPS = "only clips without missing frames"


@dataclass(frozen=True)
class Way:
    """One way to score and average, and what comes out.

    Args:
        traits: name to value, sorted: how frames were scored (`form`, `quantisation`, ...) and averaged (`mean`,
            `frame 0`, `missing`, `clips`).
        value: what it gives.
    """

    traits: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True)
class Series:
    """Per-frame scores of one stored (or derived) variant.

    Args:
        traits: how frames were scored.
        clips: a float64 array per clip in the order of the run; NaN where a frame is missing.
        holds_first: whether frame 0 is among them.
        worst: what a missing frame cannot exceed, None where there is no bound.
    """

    traits: dict[str, str]
    clips: tuple[np.ndarray, ...]
    holds_first: bool
    worst: float | None


def stored_way(record: dict[str, Any]) -> Way:
    """The way of a record itself: its variant's traits and its value."""
    variant = _variant(record)
    if _level(record) == "set":
        return Way((("variant", variant["id"]),), float(record["value"]))
    traits = {
        **_scoring_traits(variant, record),
        "mean": variant["reduction"],
        "frame 0": "without" if _skips_first(variant) else "with",
        "missing": "skipped",
        "clips": ALL_CLIPS,
    }
    return Way(tuple(sorted(traits.items())), float(record["value"]))


def ways(records: Sequence[dict[str, Any]], run: StoredRun, counts: Sequence[int] = ()) -> list[Way]:
    """Every way that the run's stored rows allow, once each.

    Args:
        records: aggregated records of one metric, method, data set and protocol.
        counts: numbers of clips to cut the test set to, beside round ones.

    Returns:
        For a set metric, which has no value on a frame, the stored variants alone.
    """
    scored = [record for record in records if record["status"] == "ok"]
    found: dict[tuple[tuple[str, str], ...], Way] = {}
    for record in scored:
        if _level(record) == "set":
            way = stored_way(record)
            found.setdefault(way.traits, way)
    series = [one for record in scored if _level(record) == "frame" for one in _with_derived(record, run)]
    for one in series:
        for traits, value in _averages(one, counts):
            way = Way(tuple(sorted({**one.traits, **traits}.items())), value)
            if math.isfinite(value):
                found.setdefault(way.traits, way)
    return list(found.values())


def _averages(series: Series, counts: Sequence[int]) -> Iterator[tuple[dict[str, str], float]]:
    """Mean over frames or clips, with or without frame 0, missing skipped or counted, all clips or some."""
    firsts = ["with", "without"] if series.holds_first else ["without"]
    gaps = any(np.isnan(clip).any() for clip in series.clips)
    missing = ["skipped", "counted"] if gaps and series.worst is not None else ["skipped"]
    for first, rule, (subset, chosen), mean in itertools.product(
        firsts, missing, _subsets(series.clips, counts), ("frames", "clips")
    ):
        clips = [clip[1:] if first == "without" and series.holds_first else clip for clip in chosen]
        if rule == "counted":
            clips = [np.where(np.isnan(clip), series.worst, clip) for clip in clips]
        traits = {"mean": mean, "frame 0": first, "missing": rule, "clips": subset}
        yield traits, mean_of(clips, mean)


def mean_of(clips: Sequence[np.ndarray], mean: str) -> float:
    """Mean over all finite frames (`frames`), or over clips of their means (`clips`); NaN where there is none.

    The rule of `benchbed.aggregate`: frames that are NaN or infinite do not count, nor do clips without others.
    """
    finite = [clip[np.isfinite(clip)] for clip in clips]
    finite = [clip for clip in finite if clip.size]
    if not finite:
        return math.nan
    if mean == "frames":
        return float(np.concatenate(finite).mean())
    return float(np.mean([clip.mean() for clip in finite]))


def _subsets(
    clips: tuple[np.ndarray, ...], counts: Sequence[int]
) -> list[tuple[str, tuple[np.ndarray, ...]]]:
    subsets = [(ALL_CLIPS, clips)]
    whole = tuple(clip for clip in clips if not np.isnan(clip).any())
    if 0 < len(whole) < len(clips):
        subsets.append((WHOLE_CLIPS, whole))
    for count in sorted({*ROUND_COUNTS, *counts}):
        if count < len(clips):
            subsets.append((f"only the first {count} clips", clips[:count]))
    return subsets


def _with_derived(record: dict[str, Any], run: StoredRun) -> list[Series]:
    """The stored scores, and for AED the squared ones of rooted scores and the other way round."""
    own = _series(record, run)
    if own is None:
        return []
    form = own.traits.get("form")
    if form not in ("squared", "rooted"):
        return [own]
    other, change = ("rooted", np.sqrt) if form == "squared" else ("squared", np.square)
    derived = Series(
        {**own.traits, "form": other}, tuple(change(clip) for clip in own.clips), own.holds_first, own.worst
    )
    return [own, derived]


def _series(record: dict[str, Any], run: StoredRun) -> Series | None:
    frames = run.frames
    same = frames["variant"] == record["variant"]
    for name in ("method", "dataset", "protocol", "setting", "transfer"):
        if name in frames.columns:
            same &= frames[name] == record[name]
    rows = frames[same]
    # Cases of several transfers or settings under one name cannot be told apart: no series rather than a wrong one.
    if rows.empty or rows.duplicated(["case", "frame"]).any():
        return None
    variant = _variant(record)
    clips = tuple(
        group.sort_values("frame")["value"].to_numpy(float) for _, group in rows.groupby("case", sort=False)
    )
    worst = None
    if any(np.isnan(clip).any() for clip in clips):
        width, height = (int(side) for side in str(record["resolution"]).split("x"))
        scorer = load_entry(variant["entry"], owner=f"metric variant '{variant['id']}'")
        worst = scorer(**variant.get("params", {})).worst((height, width))
    return Series(_scoring_traits(variant, record), clips, not _skips_first(variant), worst)


def _scoring_traits(variant: dict[str, Any], record: dict[str, Any]) -> dict[str, str]:
    traits = {name: str(value) for name, value in variant.get("params", {}).items()}
    if variant["quantisation"] != "none":
        traits["quantisation"] = variant["quantisation"]
    if variant.get("against", "target") != "target":
        traits["against"] = variant["against"]
    if isinstance(record["evaluator"], str) and record["evaluator"]:
        traits["evaluator"] = record["evaluator"]
    # Another entry is another formula under the same name (AED of identities or of expressions).
    traits["formula"] = variant["entry"].partition(":")[2]
    return traits


def _variant(record: dict[str, Any]) -> dict[str, Any]:
    name = str(record["variant"]).partition("@")[0]
    return next(one for one in card("metric", record["metric"]).data["variant"] if one["id"] == name)


def _level(record: dict[str, Any]) -> str:
    return str(card("metric", record["metric"]).data["level"])


def _skips_first(variant: dict[str, Any]) -> bool:
    return bool(variant.get("frames", "all") == "after-first")
