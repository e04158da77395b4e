"""`benchbed data`: the field's data sets and what is here of them."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchbed.cli.prepare import prepare
from benchbed.errors import BenchbedError
from benchbed.files import replacing

if TYPE_CHECKING:
    from benchbed.datasets.standard.card import StandardCard
    from benchbed.datasets.standard.manifest import Manifest


@click.group()
def data() -> None:
    """Standard data sets: what papers say of them, whether a root is what it should be."""


data.add_command(prepare)


@data.command("list")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable: the whole cards.")
def list_command(name: str | None, as_json: bool) -> None:
    """List the standard data sets with the clips each paper states; with NAME, all that its card says."""
    from benchbed.datasets.standard.card import standard_card, standard_cards
    from benchbed.datasets.standard.overview import card_table, long_lines, short_lines

    chosen = [standard_card(name)] if name else standard_cards()
    if as_json:
        click.echo(json.dumps([card_table(card) for card in chosen], indent=1))
        return
    for card in chosen:
        for line in long_lines(card) if name else short_lines(card):
            click.echo(line)


@data.command()
@click.argument("root")
@click.option("--dataset", "name", help="Which data set it should be; a prepared root says so itself.")
@click.option(
    "--list",
    "lists",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Metadata CSV, list of clips or list of pairs that the root should follow; may be given again.",
)
@click.option("--resolution", type=click.IntRange(min=8), help="Side that frames should have, pixels.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Decoding processes.  [default: one per core, at most 8]"
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--quiet", is_flag=True, help="No progress.")
def verify(
    root: str,
    name: str | None,
    lists: tuple[Path, ...],
    resolution: int | None,
    workers: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Decode all of ROOT and name everything in which it is not the split it should be.

    ROOT is a prepared root, any folder of clips with --dataset NAME, NAME=PATH, or a NAME below $BENCHBED_DATA.
    Exit status 1 where there are deviations.
    """
    from benchbed.datasets.standard.lists import is_pair_list, read_split_list
    from benchbed.datasets.standard.report import verification_lines, verification_table
    from benchbed.datasets.standard.verify import verify_root
    from benchbed.pair_lists import read_pair_list
    from benchbed.tracking.progress import Progress

    card, folder, manifest = _root(root, name)
    pairs = [read_pair_list(path) for path in lists if is_pair_list(path)]
    read = [read_split_list(path) for path in lists if not is_pair_list(path)]
    shown: list[Progress] = []

    def report(done: int, total: int, clip: str) -> None:
        if not shown:
            shown.append(stack.enter_context(Progress(total, quiet=quiet)))
        shown[0].advance(clip)

    with ExitStack() as stack:
        found = verify_root(
            card,
            folder,
            manifest,
            read,
            pairs,
            resolution=resolution,
            workers=workers or min(os.cpu_count() or 1, 8),
            progress=report,
        )
    if as_json:
        click.echo(json.dumps(verification_table(found), indent=1))
    else:
        for listed in read:
            for problem in listed.problems:
                click.echo(problem)
        for line in verification_lines(found):
            click.echo(line)
    return 1 if found.deviations else 0


def _root(given: str, name: str | None) -> tuple[StandardCard, Path, Manifest | None]:
    """The card, folder and manifest that are meant.

    Raises:
        BenchbedError: no such folder, or nobody says which data set it is.
    """
    from benchbed.datasets.catalog import standard_of
    from benchbed.datasets.standard.card import DATA_FOLDER, data_root, standard_card
    from benchbed.datasets.standard.manifest import read_manifest

    known, folder = standard_of(given) or (None, None)
    if folder is None:  # of a name alone, the data folder's; where that has none, a folder of that name
        folder = (data_root(known) if known and not name else None) or Path(given).expanduser()
    if not folder.is_dir():
        elsewhere = f", nor ${DATA_FOLDER}/{known}" if known and folder == Path(known) else ""
        raise BenchbedError(f"root '{folder}' is no folder{elsewhere}; give the folder with train and test")
    manifest = read_manifest(folder)
    said = name or (manifest.dataset if manifest is not None else known)
    if said is None:
        raise BenchbedError(
            f"{folder} has no manifest that says which data set it is: add --dataset NAME (see `benchbed data list`)"
        )
    if manifest is not None and manifest.dataset != said:
        raise BenchbedError(f"{folder} was prepared as {manifest.dataset}, not as {said}")
    return standard_card(said), folder, manifest


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

    dataset = open_dataset(dataset_name, resolution=resolution, split=split)
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
