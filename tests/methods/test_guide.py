"""What the guide and the cards say of the methods is so."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch

from benchbed.registry import Card, cards

METHODS = Path(__file__).resolve().parents[2] / "methods"
LEARNED = [card for card in cards("method") if card.data.get("role") == "method"]


@pytest.mark.parametrize("folder", ["blocks", "training"])
def test_the_guide_names_every_shared_file_and_no_other(folder: str):
    guide = (METHODS / "README.md").read_text()
    sections = dict(zip(("blocks", "training"), guide.split("| file | what it does |")[1:], strict=True))
    named = [line.split("`")[1] for line in sections[folder].splitlines() if line.startswith("| `")]
    files = {path.name for path in (METHODS / folder).glob("*.py")} - {"__init__.py"}
    assert sorted(named) == sorted(files)


@pytest.mark.parametrize("card", LEARNED, ids=[card.name for card in LEARNED])
def test_a_card_says_what_list_shows_of_a_learned_method(card: Card):
    for key in (
        "title",
        "paper",
        "year",
        "venue",
        "licence",
        "domains",
        "transfer",
        "references",
        "configurations",
    ):
        assert key in card.data, key
    assert card.data["references"] in (0, "any")
    assert set(card.data.get("files", {}).values()) <= set(card.data["configurations"])


@pytest.mark.parametrize("card", LEARNED, ids=[card.name for card in LEARNED])
def test_a_card_gives_the_parameters_of_its_first_configuration(card: Card):
    releases = import_module(f"{card.data['entry'].rpartition('.')[0]}.checkpoint").RELEASES
    assert releases.configurations == tuple(card.data["configurations"])
    with torch.device("meta"):
        networks = releases.networks(
            releases.published(releases.configurations[0]), frozenset(releases.lackable)
        )
    count = sum(parameter.numel() for parameter in networks.parameters())
    assert card.data["parameters_millions"] == round(count / 1e6, 1)
