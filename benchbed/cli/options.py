"""Options that several commands share, and the texts they are parsed from."""

from __future__ import annotations

from pathlib import Path

import click

device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    default="fp32",
    show_default=True,
    help="Of the methods; evaluators stay fp32.",
)
transfer_option = click.option(
    "--transfer", type=click.Choice(["absolute", "relative"]), default="absolute", show_default=True
)
alpha_option = click.option(
    "--alpha",
    type=click.Choice(["drop", "white"]),
    help="Transparent pixels of a folder's images: drop the channel (the default, as the field's loaders do), or composite on white.",
)


def parse_assignments(values: tuple[str, ...], option: str, form: str = "METHOD=VALUE") -> dict[str, str]:
    """`NAME=VALUE` texts to a dictionary; `form` is what the sentence asks for.

    Raises:
        click.BadParameter: a text without `=`.
    """
    pairs = {}
    for value in values:
        name, separator, right = value.partition("=")
        if not separator or not name or not right:
            raise click.BadParameter(f"{option} wants {form}, got '{value}'")
        pairs[name] = right
    return pairs


def parse_checkpoints(values: tuple[str, ...]) -> dict[str, Path]:
    """`--checkpoint METHOD=FILE` texts to paths."""
    return {
        name: Path(value).expanduser() for name, value in parse_assignments(values, "--checkpoint").items()
    }
