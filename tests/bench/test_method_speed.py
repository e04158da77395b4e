"""Every method at full size: frames per second of `animate`, parameters, multiply-adds per frame.

Each method is built by its own builder from a weights file of freshly initialised networks, so whatever has a card
with configurations is timed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from benchbed.interfaces.method import Method
from benchbed.registry import Card, cards

SIZE = 256
BATCH = 4
ROUNDS = 3
# A batch that takes longer than this is timed once: fits by gradient descent take minutes.
SLOW_SECONDS = 15.0

METHODS = [card for card in cards("method") if card.data.get("configurations")]
every_method = pytest.mark.parametrize("card", METHODS, ids=[card.name for card in METHODS])


def write_weights(card: Card, folder: Path) -> Path:
    """A weights file of the first official configuration, freshly initialised, every optional network included."""
    releases = import_module(f"{card.data['entry'].rpartition('.')[0]}.checkpoint").RELEASES
    name = card.data["configurations"][0]
    published = releases.published(name)
    torch.manual_seed(0)
    networks = releases.networks(published, frozenset(releases.lackable))
    path = folder / f"{card.name}.safetensors"
    tensors = {key: value.contiguous() for key, value in networks.state_dict().items()}
    save_file(tensors, path, metadata={"configuration": json.dumps({**published, "name": name})})
    return path


def full_size(card: Card, folder: Path) -> Any:
    """A method as the bench runs it, with the weights of `write_weights`."""
    method = card.load()(checkpoint=write_weights(card, folder), configuration=None)
    assert isinstance(method, Method)
    # The counter of multiply-adds looks for the gradient of every tensor that wants one.
    return method.requires_grad_(False)


def multiply_adds(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call returns, and the multiply-adds of its convolutions and matrix products.

    Sampling and point-wise work are not counted; the gradients of a fit are.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        result = call()
    return result, counter.get_total_flops() // 2


@every_method
def test_animating_4_frames_at_full_size(benchmark, capsys, tmp_path, card):
    method = full_size(card, tmp_path)
    frames = torch.rand(BATCH, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    options = {"initial_driving": frames[:1], "transfer": card.data["transfer"][0]}
    encoding, encode = multiply_adds(lambda: method.encode(frames[:1]))
    _, per_frame = multiply_adds(lambda: method.animate(encoding, frames[:1], **options))
    with torch.inference_mode():
        encoding = method.encode(frames[:1])
        start = time.perf_counter()
        method.animate(encoding, frames, **options)
        slow = time.perf_counter() - start > SLOW_SECONDS
        benchmark.pedantic(method.animate, (encoding, frames), options, rounds=1 if slow else ROUNDS)
    rate = BATCH / benchmark.stats.stats.min
    parameters = sum(parameter.numel() for parameter in method.parameters())
    benchmark.extra_info.update(
        configuration=card.data["configurations"][0],
        threads=torch.get_num_threads(),
        frames_per_second=round(rate, 2),
        parameters=parameters,
        multiply_adds_per_frame=per_frame,
        multiply_adds_of_encode=encode,
    )
    with capsys.disabled():
        print(
            f"\n{card.name} {card.data['configurations'][0]}, {SIZE} px, {torch.get_num_threads()} threads: "
            f"{rate:.2f} frames/s, {parameters / 1e6:.1f} M parameters, "
            f"{per_frame / 1e9:.1f} G multiply-adds per frame, encode {encode / 1e9:.1f} G"
        )
