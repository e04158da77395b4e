"""What an ablation study compares: the full method, its variants, and what the paper starts from."""

from __future__ import annotations

from dataclasses import dataclass

from benchbed.errors import BenchbedError
from benchbed.registry import Card, card, cards

FULL = "full"
FULL_PRESET = "tiny"


@dataclass(frozen=True)
class Arm:
    """One row of a study.

    Args:
        name: `full`, the variant's name, or the name of the method that the paper starts from.
        method: registered name of the method that is trained.
        preset: training preset.
        views: further views of the source that it is given when it is scored.
    """

    name: str
    method: str
    preset: str
    views: int = 0


def study_arms(method: str) -> tuple[Arm, ...]:
    """The arms of a method's study, the full method first.

    From its card: `[[ablation]]` tables with `name`, `preset` and perhaps `views`, of which one with the full method's
    preset is the full method trained like the variants; `ablation_views`, those of the full method; `ablation_base`,
    the method that the paper starts from.

    Raises:
        UnknownNameError: no such method.
        BenchbedError: its card names no variants.
    """
    chosen = card("method", method)
    variants = [one for one in chosen.data.get("ablation", []) if one["preset"] != FULL_PRESET]
    if not variants:
        able = ", ".join(one.name for one in cards("method") if one.data.get("ablation")) or "none"
        raise BenchbedError(f"method '{method}' names no variants to ablate; methods that do: {able}")
    views = chosen.data.get("ablation_views", 0)
    base = chosen.data.get("ablation_base")
    return (
        Arm(FULL, method, FULL_PRESET, views),
        *(Arm(one["name"], method, one["preset"], one.get("views", views)) for one in variants),
        *((Arm(base, base, FULL_PRESET),) if base else ()),
    )


def starting_method(method: Card) -> str | None:
    """The method whose bundled weights all arms start from, where the card's `ablation_start` names one."""
    return method.data.get("ablation_start")
