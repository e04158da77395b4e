"""`benchbed list`: what is installed, read from the cards alone."""

from __future__ import annotations

import json

import click

from benchbed.registry import Card, cards, registry

KINDS = {
    "methods": "method",
    "metrics": "metric",
    "protocols": "protocol",
    "datasets": "dataset",
    "evaluators": "evaluator",
}


@click.command("list")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable: the cards as they are.")
@click.option("-v", "--verbose", is_flag=True, help="More of each card.")
def list_command(kind: str, as_json: bool, verbose: bool) -> None:
    """List methods, metrics, protocols, datasets or evaluators."""
    found = cards(KINDS[kind])
    if as_json:
        click.echo(json.dumps([{**card.data, **_measured(card)} for card in found], indent=1))
        return
    rows = [(card.name, *_columns(card)) for card in found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] if rows else []
    for card, row in zip(found, rows, strict=True):
        click.echo(
            "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip()
        )
        lines = [_state(card)] if card.kind == "evaluator" else []
        for line in [*lines, *(_details(card) if verbose else [])]:
            click.echo(f"    {line}")
    for problem in registry().problems:
        click.echo(f"warning: {problem}", err=True)


def _columns(card: Card) -> tuple[str, ...]:
    data = card.data
    if card.kind == "method":
        return (
            str(data.get("year", "")),
            data.get("role", "method"),
            ", ".join(data["transfer"]),
            data["title"],
        )
    if card.kind == "metric":
        default = next(v["id"] for v in data["variant"] if v.get("default"))
        return (
            {"lower": "↓", "higher": "↑"}[data["direction"]],
            data["level"],
            data["unit"],
            default,
            data["title"],
        )
    if card.kind == "protocol":
        return (f"v{data['version']}", data["title"])
    if card.kind == "dataset":
        return (data["domain"], "/".join(data["splits"]), f"{data['default_resolution']} px", data["title"])
    return (data["role"], "; ".join(_service(table) for table in data["serves"]), data["title"])


def _service(table: dict) -> str:
    """`akd mkr on face, default, as published`: what an evaluator is for."""
    places = table["domains"] if "*" in table["datasets"] else table["datasets"]
    where = "" if places == ["*"] else f" on {' '.join(places)}"
    default = ", default" if table["default"] else ""
    return f"{' '.join(table['metrics'])}{where}{default}{', as published' if table['canonical'] else ' †'}"


def _state(card: Card) -> str:
    """Measured figures of bundled weights, or whether the weights are here."""
    figures = _measured(card)
    if figures:
        return "measured: " + ", ".join(
            f"{name.removeprefix('measured.')} {value}" for name, value in figures.items()
        )
    from benchbed.measuring import missing_weights

    missing = missing_weights(card)
    return f"weights missing: benchbed weights pull {' '.join(missing)}" if missing else "weights present"


def _measured(card: Card) -> dict[str, str]:
    if card.kind != "evaluator":
        return {}
    from benchbed.weights import read_metadata

    figures: dict[str, str] = {}
    for name in card.data["weights"]:
        path = card.folder / "weights" / name
        if name.endswith(".safetensors") and path.is_file():
            figures |= {
                key: value for key, value in read_metadata(path).items() if key.startswith("measured.")
            }
    return figures


LABELS = {"parameters_millions": "parameters (millions, first configuration)", "files": "released files"}


def _details(card: Card) -> list[str]:
    skipped = {"kind", "name", "title", "entry", "order", "variant", "training"}
    lines = [
        f"{LABELS.get(key, key)}: {_text(value)}" for key, value in card.data.items() if key not in skipped
    ]
    for variant in card.data.get("variant", []):
        lines.append(f"{variant['id']}@{variant['version']}: {variant['formula']}")
    return lines


def _text(value: object) -> str:
    if isinstance(value, list):
        between = " | " if any(isinstance(item, dict) for item in value) else ", "
        return between.join(map(_text, value))
    if isinstance(value, dict):
        return "; ".join(f"{key} {_text(item)}" for key, item in value.items())
    return " ".join(str(value).split())
