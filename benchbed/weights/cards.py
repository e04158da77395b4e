"""The card beside each weights file: full sha256, origin, standing and the golden output of its evaluators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchbed.errors import CheckpointError
from benchbed.files import replacing
from benchbed.weights.places import store_folder

PUBLISHED = "published"
UNPUBLISHED = "unpublished"
UNVERIFIED = "unverified"


@dataclass(frozen=True)
class FileCard:
    """What is known about one weights file on this machine; `<store>/cards/<name>.json`.

    Args:
        name: catalogue name.
        file: file name.
        sha256: all 64 digits.
        size: bytes.
        origin: the address it was pulled from, `by hand`, or the path it was found at.
        standing: `published` (the digest is what the maker states), `unpublished` (the maker states none) or
            `unverified` (registered although it is not, or may not be, the published file).
        golden: evaluator fingerprint to its 64 golden numbers.
        golden_device: evaluator fingerprint to the kind of device (`cpu`, `cuda`) they were recorded on.
    """

    name: str
    file: str
    sha256: str
    size: int
    origin: str
    standing: str
    golden: Mapping[str, list[float]] = field(default_factory=dict)
    golden_device: Mapping[str, str] = field(default_factory=dict)


def card_path(name: str) -> Path:
    """Where the card of those weights lies."""
    return store_folder() / "cards" / f"{name}.json"


def read_card(name: str) -> FileCard | None:
    """The card of those weights; None where there is none.

    Raises:
        CheckpointError: the card is damaged.
    """
    path = card_path(name)
    try:
        return FileCard(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is no readable card ({error}); delete it, and where the file was registered with "
            f"--unverified run `benchbed weights add FILE --name {name} --unverified` again"
        ) from error


def write_card(card: FileCard) -> Path:
    """Write a card to a temporary name, then rename it.

    Raises:
        OSError: the store cannot be written.
    """
    path = card_path(card.name)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(asdict(card), indent=1) + "\n", encoding="utf-8")
    return path
