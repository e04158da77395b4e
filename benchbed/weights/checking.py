"""Which weights files may be used: published digits, or the full sha256 recorded in the file's card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.weights.cards import PUBLISHED, UNPUBLISHED, UNVERIFIED, FileCard, read_card
from benchbed.weights.digests import sha256_of
from benchbed.weights.entries import WeightsEntry, weights_entry
from benchbed.weights.places import locate, place, short


@dataclass(frozen=True)
class CheckedFile:
    """A weights file that may be used.

    Args:
        path: where it lies.
        sha256: all 64 digits.
        standing: `published`, `unpublished` or `unverified`, see `FileCard`.
    """

    path: Path
    sha256: str
    standing: str


def find_weights(name: str) -> Path:
    """The verified weights file of that catalogue name.

    Raises:
        UnknownNameError: no such name.
        WeightsMissingError: the file is not on this machine; says which command brings it.
        CheckpointError: the file is here but is not the published one, nor one registered with --unverified.
    """
    return find_checked(name).path


def standing(name: str) -> str:
    """How far the file of that catalogue name can be trusted: `published`, `unpublished` or `unverified`.

    Raises:
        UnknownNameError, WeightsMissingError, CheckpointError: as `find_weights`.
    """
    return find_checked(name).standing


def find_checked(name: str) -> CheckedFile:
    """The verified weights file with its digest and standing.

    Raises:
        UnknownNameError, WeightsMissingError, CheckpointError: as `find_weights`.
    """
    entry = weights_entry(name)
    path = locate(entry)
    if path is None:
        raise WeightsMissingError(_missing(entry))
    return verify(entry, path)


def verify(entry: WeightsEntry, path: Path) -> CheckedFile:
    """Check a file against the published digits and its card.

    Raises:
        CheckpointError: it is another file (truncated, damaged, exchanged), or it cannot be read.
    """
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    return CheckedFile(path, digest, _standing(entry, path, digest, read_card(entry.name)))


def recorded_standing(entry: WeightsEntry, path: Path) -> str:
    """The standing in the card, without reading the file; `not checked` where no card is about this file."""
    card = read_card(entry.name)
    return card.standing if card and card.size == path.stat().st_size else "not checked"


def _standing(entry: WeightsEntry, path: Path, digest: str, card: FileCard | None) -> str:
    recorded = card is not None and card.sha256 == digest
    if recorded and card is not None and card.standing == UNVERIFIED:
        return UNVERIFIED
    if entry.sha256 and not digest.startswith(entry.sha256):
        raise CheckpointError(
            f"{path} is not the published {entry.name}: its sha256 starts {digest[: len(entry.sha256)]}, "
            f"expected {entry.sha256}; delete it and run: benchbed weights pull {entry.name}"
        )
    # A card of another standing may be left from a stand-in that the published file has replaced.
    if card is not None and not recorded and (card.standing != UNVERIFIED or not entry.sha256):
        raise CheckpointError(
            f"{path} is not the file registered as {entry.name}: its sha256 starts {digest[:10]}, its card "
            f"says {card.sha256[:10]}; if it is the right one run: benchbed weights add {path} --name {entry.name}"
        )
    return PUBLISHED if entry.sha256 else UNPUBLISHED


def _missing(entry: WeightsEntry) -> str:
    if entry.by_hand:
        return (
            f"weights missing: open {entry.url}, save the file as {entry.file}, then run: "
            f"benchbed weights add {entry.file}"
        )
    return (
        f"weights missing: benchbed weights pull {entry.name} "
        f"(or put {entry.file} from {entry.url} into {short(place(entry).parent)})"
    )
