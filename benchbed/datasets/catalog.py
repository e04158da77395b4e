"""Datasets by registered name, by name and path, or by path."""

from __future__ import annotations

from pathlib import Path

from benchbed.datasets.standard.card import is_standard
from benchbed.datasets.standard.manifest import FILE_NAME, read_manifest
from benchbed.datasets.table import is_table
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset
from benchbed.registry import cards, unknown_name


def open_dataset(
    given: str,
    *,
    resolution: int | None = None,
    domain: str | None = None,
    alpha: str | None = None,
    split: str | None = None,
) -> Dataset:
    """Open a registered dataset, a standard one from its root, or any folder of videos.

    Args:
        given: a registered name (`puppets`; `voxceleb` lies in `$BENCHBED_DATA/voxceleb`), a prepared root,
            `voxceleb=PATH` for a root that other tools cut, or any path. A name wins over a folder of the same
            name; write `./puppets` for the folder.
        resolution: frames are square, this many pixels; None takes the dataset's own default.
        domain: for folders: `face`, `body`, `robot`, `animal`; decides which evaluators apply.
        alpha: for folders: `drop` the fourth channel as the field's loaders do, or composite on `white`.
        split: the one that will be used, where that is known: standard data sets then leave the others alone.

    Raises:
        BenchbedError: neither a name nor a path; or an option that the dataset does not take.
    """
    known = {card.name: card for card in cards("dataset")}
    named = standard_of(given)
    if named is not None or given in known:
        name = named[0] if named is not None else given
        if domain is not None or alpha is not None:
            folder = f": write ./{name} for the one of that name here" if Path(given).is_dir() else ""
            raise BenchbedError(
                f"dataset '{name}' fixes its domain and alpha; those options are for folders{folder}"
            )
        if named is not None:
            return known[name].load()(name, named[1], resolution=resolution, split=split)
        card = known[given]
        size = resolution if resolution is not None else card.data["default_resolution"]
        return card.load()(resolution=size)
    path = Path(given).expanduser()
    if is_table(path):
        from benchbed.datasets.table_clips import open_table

        return open_table(path, resolution=resolution, domain=domain, alpha=alpha or "drop")
    if path.exists():
        from benchbed.datasets.video_folder import open_folder

        return open_folder(path, resolution=resolution, domain=domain or "other", alpha=alpha or "drop")
    if "/" in given or given.startswith("."):
        raise BenchbedError(
            f"dataset path '{given}' does not exist; give a folder of videos or a registered name"
        )
    raise BenchbedError(unknown_name("dataset", given, list(known)) + ", or a path to a folder of videos")


def standard_of(given: str) -> tuple[str, Path | None] | None:
    """Which standard data set is meant, and its root where one is given; None for all other datasets.

    Raises:
        BenchbedError: the path holds a manifest that cannot be read.
    """
    standard = {card.name for card in cards("dataset") if is_standard(card)}
    if given in standard:
        return given, None
    name, equals, path = given.partition("=")
    if equals and name in standard:
        return name, Path(path).expanduser()
    root = Path(given).expanduser()
    if (root / FILE_NAME).is_file():
        manifest = read_manifest(root)
        if manifest is not None and manifest.dataset in standard:
            return manifest.dataset, root
    return None


def fixes_alpha(given: str) -> bool:
    """Whether a dataset has its own rule for transparency, so that `--alpha` does not speak of it."""
    return any(card.name == given for card in cards("dataset")) or standard_of(given) is not None
