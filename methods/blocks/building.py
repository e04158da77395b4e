"""A method with the weights of a file, or one sentence about the file it wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

from benchbed.errors import WeightsMissingError

from .checkpoints import Published, Releases, read_checkpoint

Config = TypeVar("Config")
Built = TypeVar("Built", bound=nn.Module)


def build_released(
    name: str,
    method: Callable[..., Built],
    config: Callable[[Published], Config],
    releases: Releases,
    checkpoint: Path | None,
    configuration: str | None,
    *,
    wanted: str | None = None,
) -> Built:
    """A method with the weights of a file, in eval mode on the CPU.

    Args:
        name: registered name, for sentences.
        method: makes it of a configuration and networks, and of the names `configuration` and `trained_on`.
        config: reads a configuration in the published words.
        releases: the method's officially released configurations and files.
        checkpoint: safetensors of ours or an officially released file.
        configuration: an official one, with options; None reads it from the file.
        wanted: what to do where no file is given; where None, give one of those officially released.

    Raises:
        WeightsMissingError: no file is given.
        CheckpointError: the file does not fit, or is not safe to load.
        UnknownNameError: no such configuration.
    """
    if checkpoint is None:
        wanted = wanted or f"give {released_file(name, releases)}"
        raise WeightsMissingError(f"{name} needs a weights file and none was given; {wanted}")
    read = read_checkpoint(Path(checkpoint), configuration, releases)
    built = method(
        config(read.published), read.networks, configuration=read.configuration, trained_on=read.trained_on
    )
    return built.eval()


def released_file(name: str, releases: Releases) -> str:
    """What to give a method that has officially released files, for sentences."""
    return f"an officially released one with --checkpoint {name}=FILE ({', '.join(releases.files)})"
