"""`benchbed explain`: what a metric's numbers mean, variant by variant."""

from __future__ import annotations

import textwrap

import click

from benchbed.published import published_columns
from benchbed.registry import Card, card, cards


@click.command("explain")
@click.argument("metric")
def explain_command(metric: str) -> None:
    """Print formula, variants, missing-data rule, source and users of METRIC (a name, or a variant id)."""
    name, _, _ = metric.lower().partition("/")
    found = card("metric", name)
    data = found.data
    arrow = {"lower": "lower is better", "higher": "higher is better"}[data["direction"]]
    click.echo(f"{data['title']} ({found.name}): {data['unit']}, {arrow}, defined on {data['level']}s")
    if data.get("about"):
        click.echo(textwrap.fill(data["about"], 100))
    for variant in data["variant"]:
        if "/" in metric and metric.split("@")[0] != variant["id"]:
            continue
        default = "  (default)" if variant.get("default") else ""
        click.echo(f"\n{variant['id']}@{variant['version']}{default}")
        for label, text in (
            ("formula", variant["formula"]),
            ("reduction", _REDUCTION[variant["reduction"]]),
            ("missing", variant["missing"]),
            ("8-bit frames", _QUANTISATION[variant["quantisation"]]),
            ("needs", _needs(variant)),
            ("source", variant["source"]),
            ("used by", ", ".join(variant["used_by"]) or "nobody we know of"),
        ):
            click.echo(textwrap.fill(text, 100, initial_indent=f"  {label:<13}", subsequent_indent=" " * 15))

    _evaluators(found)
    _published(found, metric)


def _needs(variant: dict) -> str:
    named = variant.get("evaluators", {})
    return (
        ", ".join(f"{role} ({named[role]})" if role in named else role for role in variant["needs"]) or "none"
    )


def _evaluators(metric: Card) -> None:
    """Who can measure the metric, where, and whether published numbers come from it."""
    lines = []
    for evaluator in cards("evaluator"):
        for table in evaluator.data["serves"]:
            if {"*", metric.name} & set(table["metrics"]):
                places = table["domains"] if "*" in table["datasets"] else table["datasets"]
                where = "everything" if places == ["*"] else ", ".join(places)
                traits = ["default"] if table["default"] else []
                traits += ["as published" if table["canonical"] else "† not as published"]
                papers = f"; used by {', '.join(table['papers'])}" if table["papers"] else ""
                lines.append(f"{evaluator.name} on {where} ({', '.join(traits)}{papers})")
    if lines and any(variant["needs"] for variant in metric.data["variant"]):
        click.echo("\nevaluators")
        for line in lines:
            click.echo(textwrap.fill(line, 100, initial_indent="  ", subsequent_indent=" " * 4))


def _published(metric: Card, asked: str) -> None:
    """Which variant and evaluator each published column used."""
    columns = [column for column in published_columns() if column.metric == metric.name]
    if "/" in asked:
        columns = [column for column in columns if column.variant == asked.split("@")[0]]
    if columns:
        click.echo("\npublished columns")
    for column in columns:
        click.echo(textwrap.fill(str(column), 100, initial_indent="  ", subsequent_indent=" " * 4))


_REDUCTION = {
    "frames": "mean over all frames of all clips: long clips weigh more",
    "clips": "mean over clips of each clip's mean over its frames",
    "set": "one value for all frames of all clips",
}
_QUANTISATION = {
    "none": "no: floating-point frames are scored",
    "round": "yes: generated frames are rounded to 8 bits before anything is measured",
    "truncate": "yes: generated frames are truncated to 8 bits, as the reference scripts save them",
}
