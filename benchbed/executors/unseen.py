"""Zero-shot is zero-shot: weights that have seen the data set are refused."""

from __future__ import annotations

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset


class SeenError(BenchbedError):
    """The weights were trained on the data set they are to be tested on."""


def require_unseen(method: str, trained_on: str, dataset: Dataset) -> None:
    """Refuse weights whose recorded training data is this data set, in whatever split or resolution.

    Methods without weights (`none`) have seen nothing; of `unknown` training data nothing can be said, and the notes
    of the row say so (see `provenance_note`).

    Raises:
        SeenError: they have seen it.
    """
    if trained_on == dataset.name:
        raise SeenError(
            f"{method} was trained on {dataset.name}: that is no zero-shot; choose another --dataset, or weights "
            "trained on other data"
        )


def provenance_note(method: str, trained_on: str) -> str:
    """What the table has to say where nobody knows whether the weights have seen the data set; else empty."""
    if trained_on != "unknown":
        return ""
    return f"{method}: what its weights were trained on is not recorded, so they may have seen this data set"
