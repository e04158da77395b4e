"""Networks with a fixture's seeded weights, and whether they are the published ones."""

from __future__ import annotations

from torch import nn

from .fixtures import Fixture


def seeded(fixture: Fixture, built: nn.ModuleDict) -> nn.ModuleDict:
    """The networks, those that the fixture lists parameters of with its seeded weights."""
    for name in fixture.record["parameter_counts"]:
        fixture.load(name, built[name])
    return built


def check_published(fixture: Fixture, built: nn.ModuleDict) -> None:
    """Every network that the fixture lists has the published names and number of parameters."""
    for name, count in fixture.record["parameter_counts"].items():
        assert list(built[name].state_dict()) == list(fixture.shapes(name))
        assert sum(parameter.numel() for parameter in built[name].parameters()) == count
