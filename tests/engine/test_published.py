"""Every printed column names a metric variant and an evaluator that exist."""

from __future__ import annotations

import csv

from benchbed.published import CERTAINTIES, published_columns
from benchbed.registry import card


def test_variants_and_evaluators_of_published_columns_exist() -> None:
    for column in published_columns():
        variants = {variant["id"] for variant in card("metric", column.metric).data["variant"]}
        assert column.variant in variants, column
        assert column.certainty in CERTAINTIES
        if column.evaluator:
            needs = next(
                v for v in card("metric", column.metric).data["variant"] if v["id"] == column.variant
            )["needs"]
            assert card("evaluator", column.evaluator).data["role"] in needs, column


def test_every_printed_number_belongs_to_exactly_one_column(shared) -> None:
    columns = published_columns()
    for path in sorted((shared / "published").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["protocol"] == "user-study":
                    continue
                matching = [
                    column
                    for column in columns
                    if column.paper == row["paper"]
                    and row["table"] in column.tables
                    and row["protocol"] in column.protocols
                    and row["metric"] == column.printed
                    and (not column.datasets or row["dataset"] in column.datasets)
                ]
                assert len(matching) == 1, (row, matching)
