"""The directions that papers printed for an ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchbed.ablations.arms import FULL, Arm
from benchbed.papers.names import ablation, is_ablation, registered_method, registered_protocol
from benchbed.papers.printed import TITLES, CellKey, PrintedValue, printed_values
from benchbed.registry import cards

PROTOCOLS = ("reconstruction", "animation")


@dataclass(frozen=True)
class PrintedChange:
    """What a paper printed for an arm beside the full method.

    Args:
        arm: name of the arm.
        protocol: `reconstruction` or `animation`.
        metric: registered name.
        paper, table, dataset: where.
        full, changed: the two printed values.
    """

    arm: str
    protocol: str
    metric: str
    paper: str
    table: str
    dataset: str
    full: PrintedValue
    changed: PrintedValue

    @property
    def change(self) -> float:
        """Changed minus full; exactly zero for a printed tie."""
        return self.changed.value - self.full.value

    @property
    def decimals(self) -> int:
        return max(self.full.decimals, self.changed.decimals)


def printed_changes(method: str, arms: Sequence[Arm]) -> list[PrintedChange]:
    """All printed values of a method's ablation tables that differ from the full method's by an arm, in printed order."""
    found = []
    for paper in TITLES:
        values = printed_values(paper)
        tables = {key.table for key in values if registered_method(key) == method and _arm(key, method, arms)}
        for key, value in values.items():
            arm = _arm(key, method, arms) if key.table in tables else None
            if arm is None or not value.digits or registered_protocol(key) not in PROTOCOLS:
                continue
            full = next(
                (
                    other
                    for other_key, other in values.items()
                    if registered_method(other_key) == method
                    and not ablation(other_key)
                    and _place(other_key) == _place(key)
                    and other.digits
                ),
                None,
            )
            metric = _metric(key.metric)
            if full is not None and metric:
                found.append(
                    PrintedChange(
                        arm.name, registered_protocol(key), metric, paper, key.table, key.dataset, full, value
                    )
                )
    return found


def _place(key: CellKey) -> tuple[str, str, str, str]:
    return key.table, key.protocol, key.dataset, key.metric


def _arm(key: CellKey, method: str, arms: Sequence[Arm]) -> Arm | None:
    printed, variant = registered_method(key), ablation(key)
    for arm in arms:
        if arm.name == FULL:
            continue
        if arm.method == method and printed == method and variant and is_ablation(variant, arm.name):
            return arm
        if arm.method != method and printed == arm.method and not key.variant:
            return arm
    return None


def _metric(printed: str) -> str:
    """The registered metric of a printed name; empty where there is none."""
    plain = printed.lower()
    return plain if plain in {one.name for one in cards("metric")} else ""
