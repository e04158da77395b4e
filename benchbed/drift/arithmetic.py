"""Every metric and every operation on frames on fixed inputs: arithmetic checked apart from methods and networks.

The inputs are drawn here and not by a data set, and features are drawn in place of an evaluator's: when a value moves,
it is the arithmetic of that metric that has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchbed.errors import BenchbedError
from benchbed.frames import quantise, resize_frames, resize_tensor, to_float, to_uint8
from benchbed.interfaces.evaluator import (
    ExpressionFeatures,
    Features,
    IdentityFeatures,
    KeypointFeatures,
    PerceptualFeatures,
    PooledFeatures,
    SegmentFeatures,
)
from benchbed.interfaces.metric import Sample, SetFeatures
from benchbed.registry import cards, load_entry
from benchbed.scoring import clip_mean
from benchbed.statistics import weighted_mean_interval
from benchbed.tracking.stages import GENERATED, StageRecorder

FRAMES = 4
SIZE = 176  # MS-SSIM needs 161
ROWS, WIDTH = 48, 8  # of set features


def arithmetic_values() -> dict[str, tuple[float, ...]]:
    """Values by name: metric variants with version, reductions, operations on frames."""
    with _one_thread(), torch.inference_mode():
        return {**_metrics(), **_reductions(), **_frame_operations()}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums over several threads have another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _draw(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(name.encode())))


def _frames(name: str) -> Tensor:
    """Blocks of colour with grain, float32 `[FRAMES, 3, SIZE, SIZE]` in [0, 1]."""
    draw = _draw(f"frames {name}")
    blocks = np.kron(draw.random((FRAMES, 3, 11, 11)), np.ones((SIZE // 11, SIZE // 11)))
    return torch.from_numpy(
        np.clip(blocks + 0.1 * draw.standard_normal(blocks.shape), 0, 1).astype(np.float32)
    )


def _pair_of_frames() -> tuple[Tensor, Tensor]:
    """Generated frames are near their targets; the last one is its target."""
    target = torch.from_numpy(np.round(_frames("target").numpy() * 255).astype(np.float32)) / 255
    generated = 0.9 * target + 0.1 * _frames("generated")
    generated[-1] = target[-1]
    return generated, target


def _features(role: str, side: str) -> Features:
    draw = _draw(f"{role} {side}")

    def numbers(*shape: int) -> Tensor:
        return torch.from_numpy(draw.standard_normal(shape).astype(np.float32))

    if role == "keypoints":
        positions = torch.from_numpy((SIZE * draw.random((FRAMES, 10, 2))).astype(np.float32))
        return KeypointFeatures(positions, torch.from_numpy(draw.random((FRAMES, 10)) < 0.8))
    if role == "identity":
        return IdentityFeatures(numbers(FRAMES, 16), torch.tensor([True, True, side == "target", True]))
    if role == "expression":
        return ExpressionFeatures(numbers(FRAMES, 16), torch.ones(FRAMES, dtype=torch.bool))
    if role == "perceptual":
        layers = [numbers(FRAMES, channels, 8, 8) for channels in (6, 12)]
        weights = _draw("perceptual weights")
        return PerceptualFeatures(
            tuple(layer / layer.norm(dim=1, keepdim=True) for layer in layers),
            tuple(torch.from_numpy(weights.random(channels).astype(np.float32)) for channels in (6, 12)),
        )
    if role in ("pooled", "segments"):
        vectors = numbers(ROWS, WIDTH) * (1.0 if side == "target" else 1.5) + (
            0.0 if side == "target" else 0.3
        )
        return PooledFeatures(vectors) if role == "pooled" else SegmentFeatures(vectors)
    raise BenchbedError(f"no features are drawn for role '{role}'")


def _metrics() -> dict[str, tuple[float, ...]]:
    values = {}
    generated, target = _pair_of_frames()
    for metric in cards("metric"):
        for variant in metric.data["variant"]:
            scorer = load_entry(variant["entry"], owner=f"metric variant '{variant['id']}'")(
                **variant.get("params", {})
            )
            name = f"{variant['id']}@{variant['version']}"
            if metric.data["level"] == "set":
                values[name] = _set_values(scorer, variant["needs"][0])
                continue
            ours = Sample(
                quantise(generated, variant["quantisation"]),
                {role: _features(role, "generated") for role in variant["needs"]},
            )
            theirs = Sample(target, {role: _features(role, "target") for role in variant["needs"]})
            worst = scorer.worst((SIZE, SIZE))
            scores = np.asarray(scorer.per_frame(ours, theirs), np.float64)
            values[name] = (*scores.tolist(), float("nan") if worst is None else float(worst))
    return values


def _set_values(scorer: Any, role: str) -> tuple[float, ...]:
    """The value of two cases together, and without each of them."""
    frames = ROWS if role == "pooled" else 16 * ROWS
    rows = {side: _features(role, side).vectors.numpy() for side in ("generated", "target")}  # type: ignore[union-attr]
    half = ROWS // 2
    parts = [
        scorer.statistics(
            SetFeatures(rows["generated"][cut], frames // 2), SetFeatures(rows["target"][cut], frames // 2)
        )
        for cut in (slice(0, half), slice(half, ROWS))
    ]
    value = float(scorer.finish(scorer.merge(parts)))
    return (value, *(float(one) for one in scorer.finish_without_each(parts)))


def _reductions() -> dict[str, tuple[float, ...]]:
    """The means from frames to clips and from clips to the table, missing and infinite values among them."""
    draw = _draw("reductions")
    series = draw.standard_normal(32)
    series[[3, 17]] = np.nan
    series[20] = np.inf
    mean = clip_mean(series)
    values, weights = draw.standard_normal(12), draw.integers(1, 30, 12).astype(float)
    identities = [f"identity-{index // 2}" for index in range(12)]
    estimate = weighted_mean_interval(values, weights, identities)
    return {
        "mean over the frames of a clip": (mean.value, float(mean.n), float(mean.n_missing)),
        "mean over clips": (estimate.value, estimate.low, estimate.high),
    }


def _frame_operations() -> dict[str, tuple[float, ...]]:
    generated, _ = _pair_of_frames()
    stored = to_uint8(generated)
    pictures = stored.permute(0, 2, 3, 1).contiguous().numpy()
    operations = {
        "frames.to_float": to_float(stored),
        "frames.to_uint8 round": stored,
        "frames.to_uint8 truncate": to_uint8(generated, "truncate"),
        "frames.resize_frames down": torch.from_numpy(resize_frames(pictures, (64, 48))),
        "frames.resize_frames up": torch.from_numpy(resize_frames(pictures[:1], (200, 256))),
        "frames.resize_tensor down": resize_tensor(generated, (64, 48)),
        "frames.resize_tensor up": resize_tensor(generated[:1], (200, 256)),
    }
    return {name: _summary(frames) for name, frames in operations.items()}


def _summary(frames: Tensor) -> tuple[float, ...]:
    recorder = StageRecorder()
    recorder.add(GENERATED, frames)
    return recorder.digests()[0].summary
