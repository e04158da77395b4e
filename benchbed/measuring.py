"""Which evaluator serves which metric on which dataset, built once and shared by all methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchbed.errors import BenchbedError
from benchbed.golden import check_golden
from benchbed.interfaces.evaluator import Evaluator
from benchbed.registry import Card, card, cards
from benchbed.weights import locate, standing, weights_entry

if TYPE_CHECKING:
    import torch

    from benchbed.interfaces.dataset import Dataset


@dataclass(frozen=True)
class Unavailable:
    """Why a role cannot be measured here."""

    reason: str


@dataclass(frozen=True)
class Choice:
    """An evaluator chosen for one role of one metric.

    Args:
        card: its card.
        canonical: whether published numbers of this metric on this domain were measured with it.
    """

    card: Card
    canonical: bool


@dataclass(frozen=True)
class Instrument:
    """An evaluator in use.

    Args:
        card: its card (name, role, cache).
        evaluator: the built network.
        unverified: weights of it that were registered without being the published ones.
    """

    card: Card
    evaluator: Evaluator
    unverified: tuple[str, ...] = ()


def serving(evaluator: Card, metric: str, dataset: Dataset) -> list[dict[str, Any]]:
    """The `[[serves]]` tables of an evaluator card that speak of a metric on a dataset."""
    return [
        table
        for table in evaluator.data["serves"]
        if {"*", metric} & set(table["metrics"])
        and (
            dataset.name in table["datasets"]
            or ("*" in table["datasets"] and {"*", dataset.domain} & set(table["domains"]))
        )
    ]


def choose_evaluator(
    role: str, metric: str, dataset: Dataset, *, named: str | None = None, by_variant: bool = False
) -> Choice | Unavailable:
    """The evaluator for a role of a metric on a dataset.

    The one that is named, else a default one: made for this very dataset before general ones of its domain.

    Args:
        named: name of the evaluator to use, by the metric variant or by the user.
        by_variant: the variant itself names it, so that its id tells how it was measured.

    Raises:
        UnknownNameError: there is no evaluator of that name.
        BenchbedError: the named evaluator gives another role.
    """
    if named is not None:
        chosen = card("evaluator", named)
        if chosen.data["role"] != role:
            raise BenchbedError(
                f"evaluator '{named}' gives {chosen.data['role']}, but {metric} needs {role}; "
                f"choose one of: {', '.join(c.name for c in _of_role(role))}"
            )
        canonical = any(table["canonical"] for table in serving(chosen, metric, dataset))
        return Choice(chosen, by_variant or canonical)
    candidates = [
        (candidate, table)
        for candidate in _of_role(role)
        for table in serving(candidate, metric, dataset)
        if table["default"]
    ]
    own = [pair for pair in candidates if dataset.name in pair[1]["datasets"]]
    if own or candidates:
        chosen, table = (own or candidates)[0]
        return Choice(chosen, table["canonical"])
    if dataset.domain == "other":
        choices = ", ".join(
            f"--domain {table['domains'][0]} ({_state(candidate)})"
            for candidate in _of_role(role)
            for table in candidate.data["serves"]
            if table["default"] and "*" in table["datasets"] and {"*", metric} & set(table["metrics"])
        )
        if choices:
            return Unavailable(f"{role} depend on what the clips show, which is not said: add {choices}")
    return Unavailable(f"no evaluator gives {role} for {metric} on domain '{dataset.domain}'")


def _of_role(role: str) -> list[Card]:
    return [card for card in cards("evaluator") if card.data["role"] == role]


def _state(evaluator: Card) -> str:
    missing = missing_weights(evaluator)
    return (
        f"weights missing: benchbed weights pull {' '.join(missing)}"
        if missing
        else f"measured by {evaluator.name}"
    )


def stored_weights(evaluator: Card) -> list[str]:
    """Names in the weights store that an evaluator needs; bundled files are not among them."""
    return [name for name in evaluator.data["weights"] if not name.endswith(".safetensors")]


def missing_weights(evaluator: Card) -> list[str]:
    """Those of its weights that are not on this machine."""
    return [name for name in stored_weights(evaluator) if locate(weights_entry(name)) is None]


def build_instrument(evaluator: Card, device: torch.device) -> Instrument:
    """Load an evaluator and check its golden output.

    Raises:
        WeightsMissingError: weights are not on this machine; all of them are named.
        CheckpointError: a file is damaged, does not fit, or the golden output is not reproduced.
    """
    missing = missing_weights(evaluator)
    if len(missing) > 1:
        raise BenchbedError(f"weights missing: benchbed weights pull {' '.join(missing)}")
    built = evaluator.load()(device=device, **evaluator.data.get("params", {}))
    names = stored_weights(evaluator)
    if names:
        check_golden(built, names)
    return Instrument(evaluator, built, tuple(name for name in names if standing(name) == "unverified"))


class Instruments:
    """The evaluators of a run on one device; each is built at most once, and a missing one is remembered."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._built: dict[str, Instrument | Unavailable] = {}

    def get(self, choice: Choice) -> Instrument | Unavailable:
        """The instrument, or why there is none (weights missing or refused)."""
        name = choice.card.name
        if name not in self._built:
            try:
                self._built[name] = build_instrument(choice.card, self.device)
            except BenchbedError as error:
                self._built[name] = Unavailable(str(error))
        return self._built[name]
