"""Which printed values could be reproduced here and now, and what the others lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchbed.datasets.catalog import standard_of
from benchbed.datasets.standard.card import data_root, is_standard
from benchbed.errors import BenchbedError
from benchbed.measuring import missing_weights
from benchbed.papers.layout import Layout
from benchbed.papers.matching import printed_column
from benchbed.papers.names import (
    ablation,
    has_public_code,
    is_ablation,
    printed_dataset,
    registered_method,
    registered_protocol,
)
from benchbed.papers.printed import CellKey, PrintedValue, printed_values
from benchbed.registry import Card, card, cards
from benchbed.tables.model import Cell, Column, Row, Table
from benchbed.weights import read_metadata, store_folder

# What can be missing, in the order of the report's columns.
KINDS = ("protocol", "data set", "method", "weights", "evaluator")


# Where the test set is not what the weights were trained on.
TRAINED_ON = {"zero-shot-reconstruction": "VoxCeleb", "cross-dataset-animation": "VoxCeleb"}


@dataclass(frozen=True)
class Lack:
    """One thing that keeps a value from being reproduced: its kind and a sentence."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Present:
    """What is here.

    Args:
        datasets: the papers' names of the data sets that were named.
        others: folders that were named and are no data set of the papers.
        checkpoints: per method the papers' name of the data set its given weights were trained on; empty where
            nobody knows.
    """

    datasets: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()
    checkpoints: dict[str, str] = field(default_factory=dict)


def present(datasets: Sequence[str], checkpoints: dict[str, Path]) -> Present:
    """What the user names, and registered data sets; folders count by their names.

    Raises:
        BenchbedError: a folder or a weights file that does not exist; an unknown method.
    """
    named = [(name, standard_of(name)) for name in datasets]
    folders = [(known and known[1]) or Path(name).expanduser() for name, known in named]
    for folder in folders:
        if not folder.is_dir():
            raise BenchbedError(f"data set folder '{folder}' does not exist; give the folder of its videos")
    for method, file in checkpoints.items():
        card("method", method)
        if not file.is_file():
            raise BenchbedError(
                f"checkpoint '{file}' for {method} does not exist; give the path of a weights file"
            )
    names = [
        known[0] if known is not None else folder.resolve().name
        for folder, (_, known) in zip(folders, named, strict=True)
    ]
    registered = [one.name for one in cards("dataset") if not is_standard(one) or data_root(one.name)]
    return Present(
        frozenset(filter(None, map(printed_dataset, [*names, *registered]))),
        tuple(name for name in names if not printed_dataset(name)),
        {method: _trained_on(method, file) for method, file in checkpoints.items()},
    )


def _trained_on(method: str, file: Path) -> str:
    """By the released file's name, or by what a training recorded; empty where neither tells."""
    released = card("method", method).data.get("files", {})
    if file.name in released:
        return printed_dataset(released[file.name].partition("+")[0])
    if file.suffix == ".safetensors":
        return printed_dataset(read_metadata(file).get("trained_on", ""))
    return ""


def lacks(key: CellKey, here: Present) -> list[Lack]:
    """All that is missing to reproduce a printed value; nothing where it can be reproduced."""
    if printed_column(key) is None:
        return [Lack("protocol", "votes of people are not computed")]
    return [*_protocol(key), *_dataset(key, here), *_method(key, here), *_evaluator(key)]


def coverage_table(chosen: Sequence[Layout], here: Present) -> Table:
    """A row per published table: values printed, values that could be reproduced, and how many lack what."""
    rows = []
    totals: Counter[str] = Counter()
    for layout in chosen:
        counts = _counts(layout, here)
        totals.update(counts)
        rows.append(Row(layout.number, _count_cells(counts), layout.paper))
    rows.append(Row("", _count_cells(totals), "all"))
    heads = [("", "printed"), ("", "reproducible"), *(("lacking", kind) for kind in KINDS)]
    others = [f"no data set of the papers: {', '.join(here.others)}"] if here.others else []
    return Table(
        dataset="",
        protocol="published",
        transfer="coverage",
        title="published values that could be reproduced here",
        columns=tuple(Column(f"{group} {head}".strip(), head, group=group) for group, head in heads),
        rows=tuple(rows),
        notes=(
            "a value may lack several things; cells printed as - or N/A are not counted",
            f"data sets here: {', '.join(sorted(here.datasets)) or 'none of the papers'}; name folders with --dataset",
            *others,
            "weights of methods are looked for by their released file names in the weights store; name others with "
            "--checkpoint METHOD=FILE",
        ),
        stub="table",
        group_stub="paper",
        verbatim=True,
    )


def coverage_lines(chosen: Sequence[Layout], here: Present) -> Iterator[str]:
    """A line per printed value: what it lacks, or that nothing does."""
    for layout in chosen:
        for value in table_values(layout):
            key = value.key
            name = " ".join(part for part in (key.method, key.variant, key.metric) if part)
            reasons = "; ".join(lack.reason for lack in lacks(key, here)) or "reproducible"
            yield f"{key.paper} table {key.table}, {key.protocol}, {key.dataset}, {name} {value.digits}: {reasons}"


def _counts(layout: Layout, here: Present) -> Counter[str]:
    values = table_values(layout)
    found = [lacks(value.key, here) for value in values]
    counts = Counter(kind for lacking in found for kind in {lack.kind for lack in lacking})
    counts.update({"printed": len(values), "reproducible": sum(not lacking for lacking in found)})
    return counts


def _count_cells(counts: Counter[str]) -> tuple[Cell, ...]:
    return tuple(Cell(str(counts[name])) for name in ("printed", "reproducible", *KINDS))


def table_values(layout: Layout) -> list[PrintedValue]:
    """The values of a table that are printed with digits."""
    return [
        value
        for value in printed_values(layout.paper).values()
        if value.key.table == layout.number and value.digits
    ]


def _protocol(key: CellKey) -> list[Lack]:
    name = registered_protocol(key)
    if not name:
        return [Lack("protocol", f"no protocol does {key.protocol}")]
    if name not in {one.name for one in cards("protocol")}:
        return [Lack("protocol", f"protocol '{name}' is not installed")]
    return []


def _dataset(key: CellKey, here: Present) -> list[Lack]:
    if key.dataset in here.datasets:
        return []
    return [Lack("data set", f"data set {key.dataset} not found: name its folder with --dataset")]


def _method(key: CellKey, here: Present) -> list[Lack]:
    name = registered_method(key)
    known = {one.name: one for one in cards("method")}
    if name not in known:
        code = "" if has_public_code(name) else ", and it has no public code"
        return [Lack("method", f"method '{name}' is not installed{code}")]
    variant = ablation(key)
    if variant and not _knows_variant(known[name], variant):
        return [Lack("method", f"method '{name}' has no variant '{variant}'")]
    return _weights(key, known[name], variant, here)


def _weights(key: CellKey, method: Card, variant: str, here: Present) -> list[Lack]:
    trained_on = TRAINED_ON.get(key.protocol, key.dataset)
    if not variant and here.checkpoints.get(method.name) == trained_on:
        return []
    released = [
        name
        for name, configuration in method.data.get("files", {}).items()
        if printed_dataset(configuration.partition("+")[0]) == trained_on and not variant
    ]
    what = f"{method.name} {variant}".strip()
    if here.checkpoints.get(method.name) == "":
        return [Lack("weights", f"{what}: what the weights given were trained on is not recorded")]
    if not released:
        code = "" if has_public_code(method.name) else f"{method.name} has no public code; "
        return [Lack("weights", f"{code}no weights of {what} for {trained_on} were released: train them")]
    if any(_in_store(name) for name in released):
        return []
    files = " or ".join(released)
    return [Lack("weights", f"checkpoint {files} not in the store: give --checkpoint {method.name}=FILE")]


def _knows_variant(method: Card, variant: str) -> bool:
    names = [entry["name"] for entry in method.data.get("ablation", [])]
    return any(is_ablation(variant, name) for name in [*names, *method.data.get("configurations", [])])


def _in_store(name: str) -> bool:
    folder = store_folder()
    return folder.is_dir() and next(folder.rglob(name), None) is not None


def _evaluator(key: CellKey) -> list[Lack]:
    column = printed_column(key)
    if column is None:
        return []
    variant = next(v for v in card("metric", column.metric).data["variant"] if v["id"] == column.variant)
    if not variant["needs"]:
        return []
    if not column.evaluator:
        return [Lack("evaluator", f"{key.metric}: {column.note}")]
    missing = missing_weights(card("evaluator", column.evaluator))
    if missing:
        return [
            Lack("evaluator", f"{key.metric}: weights missing: benchbed weights pull {' '.join(missing)}")
        ]
    return []
