"""Best of references: how one-shot methods are compared with methods that fuse several views of the source.

In a sweep a one-shot method takes the source and then each further view, one at a time, in the source's place. Its score
with `N_ref` references is the best of those 1 + N_ref: per clip for metrics of frames, per data set for metrics of
sets. Source: DiME, Table 1 (scores in parentheses) and its evaluation protocol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchbed.plan import MethodPlan, RunPlan, Section
from benchbed.registry import card
from benchbed.tracking.record import CaseRecord, ScoreRow

Stored = dict[tuple[str, str], list[CaseRecord]]


def is_best_of(section: Section, method: MethodPlan) -> int:
    """How many views a method's row is the best of; 0 where it is no best-of at all."""
    draw = section.cases[0].references
    return 0 if draw is None or method.few_shot else draw.count + 1


def sweeps(plan: RunPlan) -> list[list[Section]]:
    """Sections that differ in the number of references alone, fewest first."""
    families: dict[tuple[str, str, str], list[Section]] = {}
    for section in plan.sections:
        if section.protocol.data.get("sweep", False):
            kind = section.setting.rpartition(" ")[0]
            families.setdefault((section.dataset.name, section.cases[0].transfer, kind), []).append(section)
    return [sorted(family, key=_references) for family in families.values()]


def _references(section: Section) -> int:
    draw = section.cases[0].references
    return 0 if draw is None else draw.count


def best_of_views(plan: RunPlan, stored: Stored) -> Stored:
    """The records with those of one-shot methods in sweeps replaced: every frame metric from its best view so far.

    Costs and notes stay those of the view itself; features of set metrics stay too (see `best_sets`).
    """
    result = dict(stored)
    for family in sweeps(plan):
        for position, section in enumerate(family):
            for method in section.methods:
                if is_best_of(section, method):
                    views = [stored[view.name, method.name] for view in family[: position + 1]]
                    result[section.name, method.name] = _best_records(views)
    return result


def _best_records(views: Sequence[list[CaseRecord]]) -> list[CaseRecord]:
    by_case = [{record.rows[0].case: record for record in view} for view in views]
    return [
        _best_record([found[own.rows[0].case] for found in by_case if own.rows[0].case in found])
        for own in views[-1]
    ]


def _best_record(views: list[CaseRecord]) -> CaseRecord:
    """One case: each row from the view that scores best, under the names of the last view's section.

    Where the last view failed the case has no score with so many: the best of fewer would be another setting's.
    """
    own = views[-1]
    rows: list[ScoreRow] = []
    values = dict(own.frame_values)
    for index, row in enumerate(own.rows):
        if row.status == "failed":
            rows.append(row)
            continue
        sign = 1.0 if card("metric", row.metric).data["direction"] == "lower" else -1.0
        scored = [
            view
            for view in views
            if view.rows[index].status == "ok" and not math.isnan(view.rows[index].value)
        ]
        if not scored:
            rows.append(row)
            continue
        best = min(scored, key=lambda view: sign * view.rows[index].value)
        rows.append(replace(best.rows[index], setting=row.setting, key=row.key))
        values[row.variant] = best.frame_values[row.variant]
    return replace(own, rows=tuple(rows), frame_values=values)


def best_sets(plan: RunPlan, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Aggregated rows with those of one-shot methods' set metrics in sweeps replaced by the best view's row so far."""
    names = ("dataset", "protocol", "transfer", "setting", "method", "variant")
    by_place = {tuple(row[name] for name in names): row for row in rows}
    result = dict(by_place)
    for family in sweeps(plan):
        settings = [section.setting for section in family]
        for place, row in by_place.items():
            if row["reduction"] != "set" or not row["best_of"] or place[3] not in settings:
                continue
            if (row["dataset"], row["protocol"]) != (family[0].dataset.name, family[0].protocol.name):
                continue
            sign = 1.0 if row["direction"] == "lower" else -1.0
            views = [
                by_place[(*place[:3], setting, *place[4:])]
                for setting in settings[: settings.index(place[3]) + 1]
            ]
            good = [view for view in views if view["status"] == "ok" and not math.isnan(view["value"])]
            if good:
                best = min(good, key=lambda view: sign * view["value"])
                result[place] = {**best, **{name: row[name] for name in ("setting", "key", "best_of")}}
    return list(result.values())
