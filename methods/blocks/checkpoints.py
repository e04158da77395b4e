"""Which configuration a weights file belongs to, and its tensors put into the networks of that name."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchbed.errors import CheckpointError
from benchbed.weights import LoadedWeights, fit_report, load_tensors

Published = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Releases:
    """The officially released configurations and files of one method.

    Args:
        title: what sentences call the method (`FOMM`).
        configurations: names of the official configurations.
        published: a configuration in the published words, by its name (options such as `+aligned` allowed).
        networks: the networks of a configuration under their checkpoint names. The second argument names those of
            `lackable` that the file holds: only these of them are built.
        files: configuration by the name of an officially released file.
        datasets: dataset that a configuration's released weights were trained on.
        lackable: networks a file may come without (`avd_network`).
        training_only: prefixes of tensors that only training needs.
        optional: endings of tensors that the constructor computes; files may leave them out.
        wrapper: what released files put before every name (`state_dict.`); ours leave it out.
        tensors_tell: configurations with equal tensors compute alike. Where not, a file whose name is not an
            official one needs its configuration named as soon as several fit.
    """

    title: str
    configurations: tuple[str, ...]
    published: Callable[[str], Published]
    networks: Callable[[Published, frozenset[str]], nn.ModuleDict]
    files: Mapping[str, str]
    datasets: Mapping[str, str]
    lackable: tuple[str, ...] = ()
    training_only: tuple[str, ...] = ("discriminator.", "optimizer")
    optional: tuple[str, ...] = ("down.weight", "num_batches_tracked")
    wrapper: str = ""
    tensors_tell: bool = True
    _shapes: dict[tuple[str, frozenset[str]], Shapes] = field(default_factory=dict, compare=False, repr=False)

    def shapes(self, name: str, held: frozenset[str]) -> Shapes:
        """Shapes of an official configuration's tensors; computed once, without allocating anything."""
        if (name, held) not in self._shapes:
            with torch.device("meta"):
                self._shapes[name, held] = shapes_of(self.networks(self.published(name), held).state_dict())
        return self._shapes[name, held]


@dataclass(frozen=True)
class Checkpoint:
    """A weights file, read.

    Args:
        networks: under their checkpoint names, in eval mode on the CPU.
        published: their configuration in the published words.
        configuration: what it is called (`own` for one that only the file knows).
        trained_on: dataset, `unknown` where neither file nor name tells.
    """

    networks: nn.ModuleDict
    published: Published
    configuration: str
    trained_on: str


def read_checkpoint(path: Path, configuration: str | None, releases: Releases) -> Checkpoint:
    """Networks with the weights of a file.

    Args:
        path: safetensors of ours or an officially released file.
        configuration: an official one, with options; None: from the file's metadata, else by its tensors.

    Raises:
        CheckpointError: the file is not safe to load, or its tensors fit no (or not the named) configuration.
        UnknownNameError: no configuration of that name.
    """
    loaded = load_tensors(path)
    unwrapped = {name.removeprefix(releases.wrapper): value for name, value in loaded.tensors.items()}
    tensors = {
        name: value for name, value in unwrapped.items() if not name.startswith(releases.training_only)
    }
    held = frozenset(name for name in releases.lackable if any(key.startswith(f"{name}.") for key in tensors))
    published, name, trained_on = _configuration(path, loaded, tensors, held, configuration, releases)
    networks = releases.networks(published, held)
    report = _misfit(
        shapes_of(networks.state_dict()), shapes_of(tensors), f"{releases.title} '{name}'", releases.optional
    )
    if report is not None:
        fitting = [other for other in fitting_configurations(tensors, releases) if other != name]
        better = f" (they fit '{fitting[0]}')" if fitting else ""
        raise CheckpointError(f"{path.name}: {report}{better}")
    constants = {
        key: value for key, value in networks.state_dict().items() if key.endswith(releases.optional)
    }
    networks.load_state_dict({**tensors, **constants})
    return Checkpoint(networks.eval(), published, name, trained_on)


def _configuration(
    path: Path,
    loaded: LoadedWeights,
    tensors: Mapping[str, Tensor],
    held: frozenset[str],
    wanted: str | None,
    releases: Releases,
) -> tuple[Published, str, str]:
    stored = loaded.metadata.get("configuration")
    if wanted is None and stored is not None:
        try:
            published = json.loads(stored)
        except json.JSONDecodeError as error:
            raise CheckpointError(
                f"{path.name}: the 'configuration' in its metadata is no JSON ({error.msg}); name one instead"
            ) from error
        trained_on = published.get("trained_on") or loaded.metadata.get("trained_on") or "unknown"
        return published, published.get("name", "own"), trained_on
    by_file = releases.files.get(path.name)
    trained_on = releases.datasets[by_file] if by_file else loaded.metadata.get("trained_on", "unknown")
    if wanted is not None:
        return releases.published(wanted), wanted, trained_on
    fitting = fitting_configurations(tensors, releases)
    if not fitting:
        first = releases.configurations[0]
        report = _misfit(
            releases.shapes(first, held), shapes_of(tensors), f"{releases.title} '{first}'", releases.optional
        )
        raise CheckpointError(f"{path.name} fits no official {releases.title} configuration: {report}")
    if by_file not in fitting and len(fitting) > 1 and not releases.tensors_tell:
        raise CheckpointError(
            f"{path.name} fits {', '.join(fitting)}, which compute differently with the same tensors; "
            "name the one it was trained with as the configuration"
        )
    # Several datasets share one architecture: the published file name tells them apart.
    name = by_file if by_file in fitting else fitting[0]
    return releases.published(name), name, trained_on


def fitting_configurations(tensors: Mapping[str, Tensor], releases: Releases) -> list[str]:
    """The official configurations whose networks have exactly these tensors."""
    shapes = shapes_of(tensors)
    held = frozenset(name for name in releases.lackable if any(key.startswith(f"{name}.") for key in tensors))
    return [
        name
        for name in releases.configurations
        if _misfit(releases.shapes(name, held), shapes, name, releases.optional) is None
    ]


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Shape by name."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _misfit(expected: Shapes, given: Shapes, name: str, optional: Collection[str]) -> str | None:
    endings = tuple(optional)
    needed = {key: shape for key, shape in expected.items() if key in given or not key.endswith(endings)}
    return fit_report(needed, given, name=name)
