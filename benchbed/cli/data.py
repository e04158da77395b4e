"""`benchbed data`: look at datasets."""

from __future__ import annotations

from pathlib import Path

import click

from benchbed.errors import BenchbedError
from benchbed.files import replacing


@click.group()
def data() -> None:
    """Look at datasets."""


@data.command()
@click.argument("dataset_name", metavar="DATASET")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="PNG file to write.",
)
@click.option("--split", default="test", show_default=True)
@click.option("--resolution", type=click.IntRange(min=8), help="Frame side in pixels.")
@click.option("--clips", type=click.IntRange(min=1), default=8, show_default=True, help="Rows.")
@click.option("--frames", type=click.IntRange(min=1), default=8, show_default=True, help="Frames per row.")
def preview(
    dataset_name: str, output: Path, split: str, resolution: int | None, clips: int, frames: int
) -> None:
    """Draw a contact sheet of DATASET (a name or a path): one row per clip."""
    from benchbed.datasets.catalog import open_dataset
    from benchbed.datasets.preview import contact_sheet

    dataset = open_dataset(dataset_name, resolution=resolution)
    image = contact_sheet(dataset, split=split, clips=clips, frames=frames)
    try:
        with replacing(output) as temporary:
            image.save(temporary, format="PNG")
    except OSError as error:
        raise BenchbedError(
            f"{output} cannot be written: {error.strerror or error}; choose another file"
        ) from error
    for note in dataset.notes:
        click.echo(f"{dataset.name}: {note}", err=True)
    click.echo(f"{output} written: {dataset.name}, split {split}, fingerprint {dataset.fingerprint[:12]}")
