"""Which methods cannot be told from the best of their column, and what differences a column can resolve."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchbed.pairing import Scores, pair
from benchbed.statistics import holm, resolvable_difference

if TYPE_CHECKING:
    import pandas as pd

# The ceiling shows what a metric can reach; it competes with nobody.
UNRANKED = frozenset({"oracle"})
# Rows that are equal in all of these stand in one column and may be ranked together.
COLUMN = ("dataset", "protocol", "transfer", "setting", "metric", "variant", "key", "partial")

Row = dict[str, Any]


def rank(aggregate: pd.DataFrame, scores: Callable[[Row], Scores | None]) -> pd.DataFrame:
    """The aggregate with `best_set` and `resolvable` filled in.

    `best_set`: the best value of its column, or not separable from it: the paired test at the level of
    identities, Holm-corrected within the column, finds no difference (or there is none to make). `resolvable`: the
    smallest true difference from the best that this test would find in 80 % of all repetitions; NaN for the
    best itself and where no test can be made.

    Args:
        aggregate: a row per method and metric variant, see `benchbed.aggregate.aggregate`.
        scores: what a row's value was computed from; None where that is not known.
    """
    rows: list[Row] = [
        {str(key): value for key, value in row.items()} for row in aggregate.to_dict("records")
    ]
    columns: dict[tuple[Any, ...], list[int]] = {}
    for position, row in enumerate(rows):
        if row["status"] == "ok" and row["method"] not in UNRANKED and not math.isnan(row["value"]):
            columns.setdefault(tuple(row.get(name, "") for name in COLUMN), []).append(position)
    best_set = [False] * len(rows)
    resolvable = [math.nan] * len(rows)
    for positions in columns.values():
        found = _column([rows[position] for position in positions], scores)
        for position, (in_set, smallest) in zip(positions, found, strict=True):
            best_set[position], resolvable[position] = in_set, smallest
    return aggregate.assign(best_set=best_set, resolvable=resolvable)


def _column(rows: list[Row], scores: Callable[[Row], Scores | None]) -> list[tuple[bool, float]]:
    """Per row of one column: whether it is in the best set, and what difference from the best it would show."""
    sign = 1.0 if rows[0]["direction"] == "lower" else -1.0
    best = min(rows, key=lambda row: sign * row["value"])
    reference = scores(best) if len(rows) > 1 else None
    differences = []
    for row in rows:
        own = None if row is best or reference is None else scores(row)
        paired = (
            None if own is None or reference is None else pair(reference, own, reduction=row["reduction"])
        )
        differences.append(None if paired is None else paired.difference)
    adjusted = holm([math.nan if found is None else found.p for found in differences])
    answers = []
    for row, found, p in zip(rows, differences, adjusted, strict=True):
        if row is best or row["value"] == best["value"]:
            in_set = True
        else:
            # Without a test (one identity, a metric without intervals) the number alone decides.
            in_set = found is not None and not math.isnan(p) and not found.separates(p)
        smallest = (
            math.nan
            if found is None
            else resolvable_difference(found.error, found.freedom, test=found.method)
        )
        answers.append((in_set, smallest))
    return answers
