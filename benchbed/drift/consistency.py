"""Whether a run's values follow from the frames it stored: the arithmetic from frames to cases to means, recomputed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbed.drift.floor import gap
from benchbed.registry import card
from benchbed.scoring import clip_mean

if TYPE_CHECKING:
    import pandas as pd

MEAN = ["method", "dataset", "protocol", "transfer", "setting", "variant"]
CASE = [*MEAN, "case"]
NAMED = 3


def inconsistencies(folder: Path) -> list[str]:
    """Sentences on case values that are not the mean of their frames, and on means that are not that of the cases."""
    import pandas as pd

    cases = pd.read_parquet(folder / "cases.parquet")
    frames = pd.read_parquet(folder / "frames.parquet")
    found = [*_case_values(cases, frames), *_means(cases, pd.read_parquet(folder / "aggregate.parquet"))]
    more = len(found) - NAMED
    return (
        found if more <= 0 else [*found[:NAMED], f"{more} further values do not follow from what is stored"]
    )


def _case_values(cases: pd.DataFrame, frames: pd.DataFrame) -> list[str]:
    stored = dict(zip(cases[CASE].itertuples(index=False, name=None), cases["value"], strict=True))
    found = []
    for name, own in frames.groupby(CASE, sort=False):
        again = clip_mean(own["value"].to_numpy()).value
        if gap(float(stored[name]), again) > 0:
            found.append(
                f"{name[5]} of {name[0]} on {name[6]} is stored as {stored[name]:.9g}, its frames give {again:.9g}"
            )
    return found


def _means(cases: pd.DataFrame, aggregated: pd.DataFrame) -> list[str]:
    found = []
    by_mean = dict(iter(cases.groupby(MEAN, sort=False)))
    row: Any
    for row in aggregated[
        (aggregated["status"] == "ok") & aggregated["value"].map(math.isfinite)
    ].itertuples():
        metric = card("metric", row.metric)
        if metric.data["level"] != "frame":
            continue
        own = by_mean[tuple(getattr(row, name) for name in MEAN)]
        own = own[own["value"].map(math.isfinite) & (own["n"] > 0)]
        reductions = {f"{one['id']}@{one['version']}": one["reduction"] for one in metric.data["variant"]}
        weights = own["n"] if reductions.get(row.variant) == "frames" else own["n"] > 0
        again = math.fsum(own["value"] * weights) / float(weights.sum())
        # Sums in another order differ in the last digits.
        if gap(float(row.value), again) > 1e-12 * abs(again):
            found.append(
                f"{row.variant} of {row.method} is stored as {row.value:.9g}, its cases give {again:.9g}"
            )
    return found
