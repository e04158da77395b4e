"""Where weights files lie: the store, laid out as $TORCH_HOME is, then the user's own $TORCH_HOME."""

from __future__ import annotations

import os
from pathlib import Path

from benchbed.weights.entries import WeightsEntry, catalogue


def store_folder() -> Path:
    """The store: $BENCHBED_WEIGHTS, else `~/.cache/benchbed/weights`."""
    configured = os.environ.get("BENCHBED_WEIGHTS")
    return Path(configured).expanduser() if configured else Path.home() / ".cache" / "benchbed" / "weights"


def torch_home() -> Path:
    """The rule of torch.hub.get_dir, repeated so that `weights list` does not import torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()


def place(entry: WeightsEntry) -> Path:
    """Where the file belongs in the store; with TORCH_HOME set to the store the libraries find it there too."""
    return store_folder() / entry.folder / entry.file


def locate(entry: WeightsEntry) -> Path | None:
    """Where the file lies, unverified (the store first, then $TORCH_HOME); None where it is not."""
    candidates = (place(entry), torch_home() / entry.folder / entry.file)
    return next((path for path in candidates if path.is_file()), None)


def shadowed(entry: WeightsEntry) -> Path | None:
    """A second copy in $TORCH_HOME that is not used because the store has the file."""
    other = torch_home() / entry.folder / entry.file
    own = place(entry)
    return other if own.is_file() and other.is_file() and not other.samefile(own) else None


def leftovers() -> list[Path]:
    """Weights files directly in the store folder, where earlier versions kept them; they are not used."""
    return [path for entry in catalogue().values() if (path := store_folder() / entry.file).is_file()]


def short(path: Path) -> str:
    """The path with the home folder as `~`, for messages that end up in tables."""
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(path)
