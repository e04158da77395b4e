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

metric_option = click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric (akd) or one of its variants (akd/euclidean-frames); may be repeated. Default: the protocol's.",
)
evaluator_option = click.option(
    "--evaluator",
    "evaluators",
    multiple=True,
    metavar="METRIC=NAME",
    help="Network to measure a metric with instead of the default one; see `benchbed list evaluators`.",
)
split_option = click.option("--split", default="test", show_default=True)
resolution_option = click.option(
    "--resolution", type=int, help="Frames are square, this many pixels. Default: the dataset's own."
)
domain_option = click.option(
    "--domain",
    type=click.Choice(["face", "body", "robot", "animal", "other"]),
    help="What a folder of videos shows: decides which evaluators apply.",
)
limit_option = click.option(
    "--limit",
    type=int,
    metavar="N",
    help="Only the first N cases: for trying out; the table is marked partial.",
)
pairs_option = click.option(
    "--pairs",
    metavar="N|FILE",
    help="Source and driving pairs of cross-identity cases: how many to draw, or a list (CSV: source,driving).",
)
seed_option = click.option("--seed", type=int, default=0, show_default=True)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs.",
)
fresh_option = click.option(
    "--fresh", is_flag=True, help="Forget what an earlier run of the same command stored."
)
samples_option = click.option(
    "--save-samples",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    metavar="N",
    help="Sample grids of the first N cases.",
)
mlflow_option = click.option(
    "--mlflow",
    "mlflow_uri",
    metavar="URI",
    help="Tracking server. Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db here.",
)
no_mlflow_option = click.option("--no-mlflow", is_flag=True, help="Do not log to MLflow.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")


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


def parse_pairs(text: str | None) -> Path | int | None:
    """A `--pairs` text to a number of pairs or a file.

    Raises:
        click.BadParameter: no pair at all.
    """
    if text is None:
        return None
    if not text.isdigit():
        return Path(text)
    if int(text) < 1:
        raise click.BadParameter("give at least 1 pair, or a file", param_hint="--pairs")
    return int(text)
