"""The values of the published tables, as printed: digits stay text."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from benchbed.errors import UnknownNameError
from benchbed.registry import unknown_name

TITLES = {
    "mofd": "Motion Optimization with Feature Decoupling for Image Animation",
    "anytime": "Large Displacement Motion Transfer with Unsupervised Anytime Interpolation (ICML 2025)",
    "dime": "Differential Motion Evolution for Fine-Grained Motion Deformation in Unsupervised Image Animation",
    "lia": "Latent Image Animator (ICLR 2022)",
}
# Notes that say how a cell or a row is printed: the layout already shows that.
_AS_PRINTED = re.compile(r"printed (-|N/A)|printed '[^']*'( \(.*\))?")


@dataclass(frozen=True, order=True)
class CellKey:
    """What one printed value is of; unique over all tables.

    Args:
        paper, table: `dime`, `1`.
        protocol: the papers' (`reconstruction`, `zero-shot-reconstruction`, ...).
        dataset, method: normalised names (`TaiChiHD`, `MRAA`).
        variant: empty for the plain method.
        metric: as printed (`AKD`).
    """

    paper: str
    table: str
    protocol: str
    dataset: str
    method: str
    variant: str
    metric: str


@dataclass(frozen=True)
class PrintedValue:
    """One value of a published table.

    Args:
        key: what it is of.
        digits: as printed (`0.0090`); empty where the paper prints none.
        notes: typos, disagreements, readings of damaged cells; a sentence each.
    """

    key: CellKey
    digits: str
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The digits, or what is printed in their place: `-` or `N/A`."""
        return self.digits or next(note.removeprefix("printed ") for note in self.notes)

    @property
    def value(self) -> float:
        """The number; NaN where none is printed."""
        return float(self.digits) if self.digits else float("nan")

    @property
    def decimals(self) -> int:
        """Digits after the decimal point."""
        return len(self.digits.partition(".")[2])

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit: any value this near is printed like this."""
        return 0.5 * 10.0**-self.decimals

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes without those that only say how the cell or the method's name is printed."""
        return tuple(note for note in self.notes if not _AS_PRINTED.fullmatch(note))


def published_file(name: str) -> Traversable:
    """A file of `results/published`."""
    return files("benchbed.results").joinpath("published", name)


@lru_cache(maxsize=8)
def printed_values(paper: str) -> dict[CellKey, PrintedValue]:
    """All values of a paper's quantitative tables, in printed order.

    Raises:
        UnknownNameError: no such paper.
    """
    if paper not in TITLES:
        raise UnknownNameError(unknown_name("paper", paper, list(TITLES)))
    text = published_file(f"{paper}.csv").read_text(encoding="utf-8")
    values = [_value(row) for row in csv.DictReader(io.StringIO(text))]
    return {value.key: value for value in values}


def _value(row: dict[str, str]) -> PrintedValue:
    key = CellKey(
        **{
            name: row[name]
            for name in ("paper", "table", "protocol", "dataset", "method", "variant", "metric")
        }
    )
    return PrintedValue(key, row["value"], tuple(note for note in row["notes"].split("; ") if note))
