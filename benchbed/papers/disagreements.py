"""Where papers contradict each other or themselves, as far as single cells' notes do not say it."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import Any

from benchbed.papers.printed import CellKey, published_file


def contradictions(key: CellKey) -> tuple[str, ...]:
    """What other papers print for the same method, data set and metric where they disagree; empty mostly."""
    if key.protocol != "reconstruction" or key.variant:
        return ()
    found = []
    for entry in _data()["between"]:
        tables = entry.get("table", {})
        same = (entry["dataset"], entry["method"], entry["metric"]) == (key.dataset, key.method, key.metric)
        if not same or key.paper not in entry["printed"] or key.table != tables.get(key.paper, "1"):
            continue
        others = [
            f"{paper} table {tables.get(paper, '1')} {digits}"
            for paper, digits in entry["printed"].items()
            if paper != key.paper
        ]
        found.append(f"{key.dataset} {key.method} {key.metric} in other papers: {', '.join(others)}")
    return tuple(found)


def causes() -> str:
    """Why papers disagree, as far as it can be named."""
    return " ".join(_data()["causes"].split())


def table_contradictions(paper: str, number: str) -> tuple[str, ...]:
    """Contradictions inside a paper that concern a whole table."""
    return tuple(
        entry["text"] for entry in _data()["within"] if entry["paper"] == paper and number in entry["tables"]
    )


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    return tomllib.loads(published_file("disagreements.toml").read_text(encoding="utf-8"))
