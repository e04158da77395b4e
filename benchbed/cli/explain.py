"""`benchbed explain`: what a metric's numbers mean, variant by variant."""

from __future__ import annotations

import textwrap

import click

from benchbed.registry import card


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
        default = "  (default: what the field's reference scripts compute)" if variant.get("default") else ""
        click.echo(f"\n{variant['id']}@{variant['version']}{default}")
        for label, text in (
            ("formula", variant["formula"]),
            ("reduction", _REDUCTION[variant["reduction"]]),
            ("missing", variant["missing"]),
            ("8-bit frames", _QUANTISATION[variant["quantisation"]]),
            ("evaluators", ", ".join(variant["needs"]) or "none"),
            ("source", variant["source"]),
            ("used by", ", ".join(variant["used_by"]) or "nobody we know of"),
        ):
            click.echo(textwrap.fill(text, 100, initial_indent=f"  {label:<13}", subsequent_indent=" " * 15))


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
