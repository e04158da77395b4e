"""Datasets by registered name or by path."""

from __future__ import annotations

from pathlib import Path

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset
from benchbed.registry import cards, unknown_name


def open_dataset(
    name_or_path: str, *, resolution: int | None = None, domain: str | None = None, alpha: str | None = None
) -> Dataset:
    """Open a registered dataset, or any folder of videos.

    Args:
        name_or_path: a registered name (`puppets`) or a path. A name wins over a folder of the same name;
            write `./puppets` for the folder.
        resolution: frames are square, this many pixels; None takes the dataset's own default.
        domain: for folders: `face`, `body`, `robot`, `animal`; decides which evaluators apply.
        alpha: for folders: `drop` the fourth channel as the field's loaders do, or composite on `white`.

    Raises:
        BenchbedError: neither a name nor a path; or an option that a registered dataset does not take.
    """
    known = {card.name: card for card in cards("dataset")}
    if name_or_path in known:
        card = known[name_or_path]
        if domain is not None or alpha is not None:
            raise BenchbedError(
                f"dataset '{card.name}' fixes its domain and alpha; those options are for folders"
            )
        size = resolution if resolution is not None else card.data["default_resolution"]
        return card.load()(resolution=size)
    path = Path(name_or_path).expanduser()
    if path.exists():
        from benchbed.datasets.video_folder import open_folder

        return open_folder(path, resolution=resolution, domain=domain or "other", alpha=alpha or "drop")
    if "/" in name_or_path or name_or_path.startswith("."):
        raise BenchbedError(
            f"dataset path '{name_or_path}' does not exist; give a folder of videos or a registered name"
        )
    raise BenchbedError(
        unknown_name("dataset", name_or_path, list(known)) + ", or a path to a folder of videos"
    )
