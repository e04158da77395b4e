"""Fake methods: `dimmed` works, each other one breaks the contract in one way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import WeightsMissingError


class Dimmed(nn.Module):
    """Returns the driving frames at 90 % brightness; each call is noted in the file `$FAKES_JOURNAL`."""

    resolution = None
    trained_on = "none"
    conventions: dict[str, str] = {}  # noqa: RUF012

    def encode(self, source: Tensor, references: Tensor | None = None) -> Tensor:
        journal = os.environ.get("FAKES_JOURNAL")
        if journal:
            with Path(journal).open("a") as stream:
                stream.write(f"{type(self).__name__}\n")
        return source

    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        return driving * 0.9


class Raising(Dimmed):
    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        raise RuntimeError("the network fell over")


class HalfRaising(Dimmed):
    """Fails on sources with a dark corner (the second half of the fake clips)."""

    def encode(self, source: Tensor, references: Tensor | None = None) -> Tensor:
        if source[0, 0, 0, 0] < 0.5:
            raise RuntimeError("dark corner")
        return super().encode(source, references)


class NotANumber(Dimmed):
    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        return torch.full_like(driving, float("nan"))


class WrongShape(Dimmed):
    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        return driving[:, :, ::2]


class OutOfRange(Dimmed):
    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        return driving * 2 - 1


class Slow(Dimmed):
    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        time.sleep(0.2)
        return driving * 0.8


class Views(Dimmed):
    """Paints every frame in the mean brightness of what `encode` was given: red the source, green all references."""

    def encode(self, source: Tensor, references: Tensor | None = None) -> Tensor:
        count = 0 if references is None else references.shape[0]
        return torch.tensor([float(source.mean()), count / 10, 0.0])

    def animate(self, encoding, driving, *, initial_driving=None, transfer="absolute") -> Tensor:
        return encoding.view(1, 3, 1, 1).expand_as(driving).clone()


class Trained(Dimmed):
    """Says that it was trained on the fake dataset."""

    trained_on = "squares"


class Untold(Dimmed):
    """Does not know what it was trained on."""

    trained_on = "unknown"


def build_dimmed(*, checkpoint, configuration) -> Dimmed:
    return Dimmed()


def build_raising(*, checkpoint, configuration) -> Raising:
    return Raising()


def build_half_raising(*, checkpoint, configuration) -> HalfRaising:
    return HalfRaising()


def build_nan(*, checkpoint, configuration) -> NotANumber:
    return NotANumber()


def build_wrong_shape(*, checkpoint, configuration) -> WrongShape:
    return WrongShape()


def build_out_of_range(*, checkpoint, configuration) -> OutOfRange:
    return OutOfRange()


def build_slow(*, checkpoint, configuration) -> Slow:
    return Slow()


def build_unbuildable(*, checkpoint, configuration) -> Dimmed:
    raise ImportError("a library of this method is missing")


def build_weightless(*, checkpoint, configuration) -> Dimmed:
    raise WeightsMissingError("weightless needs a weights file; give one with --checkpoint weightless=FILE")


def build_views(*, checkpoint, configuration) -> Views:
    return Views()


def build_trained(*, checkpoint, configuration) -> Trained:
    return Trained()


def build_untold(*, checkpoint, configuration) -> Untold:
    return Untold()
