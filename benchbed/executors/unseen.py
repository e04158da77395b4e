"""Zero-shot is zero-shot: weights that have seen the data set are refused."""

from __future__ import annotations

from pathlib import Path

from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset
from benchbed.papers.names import printed_dataset
from benchbed.tensor_files import read_metadata


class SeenError(BenchbedError):
    """The weights were trained on the data set they are to be tested on."""


def require_unseen(method: str, trained_on: str, dataset: Dataset, checkpoint: Path | None = None) -> None:
    """Refuse weights whose recorded training data is this data set, in whatever split or resolution.

    By name; and by the fingerprint that our own training records in the file, for folders that were renamed since.

    Methods without weights (`none`) have seen nothing; of `unknown` training data nothing can be said, and the notes
    of the row say so (see `provenance_note`).

    Raises:
        SeenError: they have seen it.
    """
    # Released weights say `taichi-hd` or `nemo` where the data set is called `taichi` or `uva-nemo`.
    known = printed_dataset(trained_on)
    if trained_on == dataset.name or (known and known == printed_dataset(dataset.name)):
        raise SeenError(
            f"{method} was trained on {dataset.name}: that is no zero-shot; choose another --dataset, or weights "
            "trained on other data"
        )
    if checkpoint is not None and checkpoint.suffix == ".safetensors":
        recorded = read_metadata(checkpoint).get("trained_on_fingerprint")
        if recorded is not None and recorded == dataset.fingerprint:
            raise SeenError(
                f"{method} was trained on the very files of {dataset.name} (then called {trained_on}): that is no "
                "zero-shot; choose another --dataset, or weights trained on other data"
            )


def provenance_note(method: str, trained_on: str) -> str:
    """What the table has to say where nobody knows whether the weights have seen the data set; else empty."""
    if trained_on != "unknown":
        return ""
    return f"{method}: what its weights were trained on is not recorded, so they may have seen this data set"
