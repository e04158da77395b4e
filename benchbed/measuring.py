"""Which evaluator serves which role on which dataset, built once and shared by all methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchbed.errors import BenchbedError, WeightsMissingError
from benchbed.interfaces.evaluator import Evaluator
from benchbed.registry import Card, cards
from benchbed.weights import find_weights, locate, weights_entry

if TYPE_CHECKING:
    import torch

    from benchbed.interfaces.dataset import Dataset


@dataclass(frozen=True)
class Unavailable:
    """Why a role cannot be measured here."""

    reason: str


@dataclass(frozen=True)
class Instrument:
    """An evaluator in use.

    Args:
        card: its card (name, role, canonical, cache).
        evaluator: the built network.
    """

    card: Card
    evaluator: Evaluator


def choose_evaluator(role: str, dataset: Dataset) -> Card | Unavailable:
    """The evaluator card for a role: one made for this very dataset first, then by the dataset's domain."""
    candidates = [card for card in cards("evaluator") if card.data["role"] == role]
    own = [card for card in candidates if dataset.name in card.data["datasets"]]
    general = [
        card
        for card in candidates
        if "*" in card.data["datasets"] and {"*", dataset.domain} & set(card.data["domains"])
    ]
    if own or general:
        return (own or general)[0]
    if dataset.domain == "other":
        choices = ", ".join(
            f"--domain {card.data['domains'][0]} ({_state(card)})"
            for card in candidates
            if "*" in card.data["datasets"]
        )
        return Unavailable(f"{role} depend on what the clips show, which is not said: add {choices}")
    return Unavailable(f"no evaluator gives {role} for domain '{dataset.domain}'")


def _state(card: Card) -> str:
    missing = [name for name in card.data["weights"] if locate(weights_entry(name)) is None]
    return (
        f"weights missing: benchbed weights pull {' '.join(missing)}"
        if missing
        else f"measured by {card.name}"
    )


def _not_built(card: Card) -> str:
    """For an evaluator that is described but not built: its weights alone would not help, and the sentence says so."""
    try:
        for name in card.data["weights"]:
            find_weights(name)
    except WeightsMissingError as error:
        return f"{error}; this version of benchbed cannot run '{card.name}' yet"
    return f"evaluator '{card.name}' has its weights here, but this version of benchbed cannot run it yet"


class Instruments:
    """The evaluators of a run on one device; each is built at most once, and a missing one is remembered."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._built: dict[str, Instrument | Unavailable] = {}

    def get(self, role: str, dataset: Dataset) -> Instrument | Unavailable:
        """The instrument for a role on a dataset, or why there is none (weights missing, nothing built yet)."""
        card = choose_evaluator(role, dataset)
        if isinstance(card, Unavailable):
            return card
        if card.name not in self._built:
            self._built[card.name] = self._build(card)
        return self._built[card.name]

    def _build(self, card: Card) -> Instrument | Unavailable:
        try:
            if not card.data["entry"]:
                return Unavailable(_not_built(card))
            return Instrument(card, card.load()(device=self.device, **card.data.get("params", {})))
        except BenchbedError as error:
            return Unavailable(str(error))
