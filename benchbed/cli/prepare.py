"""`benchbed data prepare`: from originals to a root that papers would recognise."""

from __future__ import annotations

from pathlib import Path

import click

from benchbed.cli.options import quiet_option

FORMATS = ("png", "mp4", "tar", "strip")  # as in `benchbed.datasets.prepare.writers`, not imported for --help


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--from",
    "raw",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="RAW",
    help="Folder of originals: downloads called VIDEO_ID.mp4, or the clips as the data set is given out.",
)
@click.option(
    "--to",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="ROOT",
    help="Folder to write to.",
)
@click.option(
    "--list",
    "lists",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Metadata CSV that says how to cut, or list of the clips of a split; may be repeated. See `benchbed data list`.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(FORMATS),
    help="png: a folder of frames per clip, as the field measures (default); strip: frames side by side; tar: shards "
    "of 100 clips; mp4: H.264, lossy, which changes key-point metrics noticeably: not for numbers.",
)
@click.option("--resolution", type=int, help="Frames are square, this many pixels. Default: the data set's.")
@click.option(
    "--split",
    "splits",
    type=click.Choice(["train", "test"]),
    multiple=True,
    help="Only this one; default all.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Originals at a time.  [default: one per core]"
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only N clips of each split: for trying out."
)
@quiet_option
def prepare(name, raw, root, lists, layout, resolution, splits, workers, limit, quiet) -> int:
    """Cut and resize the originals of NAME as the field does, into a root that `--dataset ROOT` opens.

    The same command, run again, makes what is missing and nothing else. What stays missing is in ROOT/missing.csv.
    Exit status 1 when a clip failed though its original is there.
    """
    from benchbed.datasets.standard.card import standard_card

    card = standard_card(name)
    from benchbed.datasets.prepare.preparation import prepare as carry_out

    report = carry_out(
        card,
        raw,
        root,
        lists=lists,
        layout=layout,
        resolution=resolution,
        splits=splits,
        workers=workers,
        limit=limit,
        quiet=quiet,
    )
    for line in report.lines:
        click.echo(line)
    click.echo(
        f"{root}: {report.made} clips made now, {report.kept} were there; {card.name} as --dataset {root}"
    )
    if any(split.missing for split in report.splits):
        click.echo(f"what is missing, clip by clip: {root / 'missing.csv'}")
    return 1 if report.failed else 0
