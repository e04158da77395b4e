"""An ablation study as a table and as files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchbed.ablations.arms import Arm
from benchbed.ablations.directions import Effect
from benchbed.ablations.training import Recipe
from benchbed.files import replacing
from benchbed.registry import card
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.tables.numbers import decimals_for, fixed, half_width
from benchbed.tables.render import render

COLUMNS = ("printed", "full", "change", "seeds", "verdict")
HEADERS = ("printed change", "full, measured", "change, measured", "of each seed", "direction")


@dataclass(frozen=True)
class Study:
    """A finished study.

    Args:
        method: registered name.
        arms: what was trained, the full method first.
        recipe: how.
        steps: of every training, as its weights say; one number where all are alike.
        effects: what came out.
    """

    method: str
    arms: tuple[Arm, ...]
    recipe: Recipe
    steps: tuple[int, ...]
    effects: tuple[Effect, ...]


def study_table(study: Study) -> Table:
    """A row per variant and metric."""
    return Table(
        dataset=study.recipe.dataset,
        protocol="ablation",
        transfer="absolute",
        title=f"Published ablations of {study.method}, trained anew on {study.recipe.dataset}",
        columns=tuple(Column(name, header) for name, header in zip(COLUMNS, HEADERS, strict=True)),
        rows=tuple(_row(effect) for effect in study.effects),
        daggers=_daggers(study),
        notes=_notes(study),
        stub="metric",
        group_stub="variant",
        verbatim=True,
    )


def _row(effect: Effect) -> Row:
    scored = effect.scored
    title = card("metric", effect.metric).data["title"]
    dagger = "" if scored is None or scored.canonical else "†"
    label = f"{title}{dagger}{'' if effect.protocol == 'reconstruction' else ', ' + effect.protocol}"
    printed = ", ".join(
        f"{_signed(change.change, change.decimals)} {change.dataset}" for change in effect.printed
    )
    if effect.measured is None or scored is None:
        cells = (printed, "-", "-", "-", effect.verdict)
        return Row(label, tuple(Cell(text) for text in cells), effect.arm)
    decimals = decimals_for([effect.full])
    # Two digits of what is uncertain.
    fine = max(decimals, decimals_for([effect.measured.high - effect.measured.low]) - 1)
    width = half_width(effect.measured.low, effect.measured.high, fine)
    change = f"{_signed(effect.measured.value, fine)} {width}".strip()
    seeds = " ".join(_signed(value, fine) for value in effect.per_seed)
    cells = (printed, fixed(effect.full, decimals), change, seeds, effect.verdict)
    return Row(label, tuple(Cell(text) for text in cells), effect.arm)


def _signed(value: float, decimals: int) -> str:
    text = fixed(value, decimals)
    return text if value < 0 or math.isinf(value) else f"+{text}"


def _notes(study: Study) -> tuple[str, ...]:
    steps = sorted(set(study.steps))
    start = "" if study.recipe.start is None else f", all starting from {study.recipe.start.name}"
    views = {arm.name: arm.views for arm in study.arms}
    given = ", ".join(f"{name} {count}" for name, count in views.items()) if any(views.values()) else ""
    return (
        f"{len(study.recipe.seeds)} training seeds, {' or '.join(map(str, steps))} steps each{start}; "
        "change: variant minus full method",
        "intervals of 95 % hold for other training seeds and other test identities (squares of both half-widths added "
        "up)",
        "reproduced: the interval lies on the printed side of zero; not reproduced: on the other side; undecided: it "
        "holds zero",
        *((f"further views of the source when scored: {given}",) if given else ()),
    )


def _daggers(study: Study) -> tuple[str, ...]:
    used: dict[str, list[str]] = {}
    for effect in study.effects:
        if effect.scored is not None and not effect.scored.canonical:
            title = card("metric", effect.metric).data["title"]
            own = used.setdefault(effect.scored.evaluator, [])
            own += [title] if title not in own else []
    return tuple(
        f"{', '.join(titles)}: measured with {evaluator}, not with the evaluator of published values"
        for evaluator, titles in used.items()
    )


def write_study(study: Study, folder: Path) -> Path:
    """`ablation-METHOD.md`, `.csv` and `.json` in the folder; returns the first."""
    table = study_table(study)
    name = f"ablation-{study.method}"
    texts = {
        "md": render(table, "markdown"),
        "csv": render(table, "csv"),
        "json": json.dumps(_record(study), indent=1) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in texts.items():
        with replacing(folder / f"{name}.{ending}") as temporary:
            temporary.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    return folder / f"{name}.md"


def _record(study: Study) -> dict[str, object]:
    recipe = {
        **asdict(study.recipe),
        "start": None if study.recipe.start is None else study.recipe.start.name,
    }
    return {
        "method": study.method,
        "arms": [asdict(arm) for arm in study.arms],
        "recipe": recipe,
        "steps": list(study.steps),
        "effects": [_effect_record(effect) for effect in study.effects],
    }


def _effect_record(effect: Effect) -> dict[str, object]:
    measured = effect.measured
    return {
        "variant": effect.arm,
        "protocol": effect.protocol,
        "metric": effect.metric,
        "metric_variant": effect.scored.variant if effect.scored else "",
        "printed": [
            {
                "paper": one.paper, "table": one.table, "dataset": one.dataset,
                "full": one.full.digits, "variant": one.changed.digits,
            }
            for one in effect.printed
        ],
        "full": None if math.isnan(effect.full) else effect.full,
        "change": None if measured is None else measured.value,
        "interval": _interval(effect),
        "per_seed": list(effect.per_seed),
        "verdict": effect.verdict,
    }  # fmt: skip


def _interval(effect: Effect) -> Sequence[float] | None:
    measured = effect.measured
    return None if measured is None or math.isnan(measured.low) else (measured.low, measured.high)
