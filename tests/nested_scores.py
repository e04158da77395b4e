"""Simulated scores: frames in clips in identities, skewed, with unequal clips; the truth is 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLIPS = 5  # at most, per identity


@dataclass(frozen=True)
class NestedScores:
    """One row per case: clip means, frames per clip, identities of source and driver."""

    values: np.ndarray
    frames: np.ndarray
    sources: np.ndarray
    drivers: np.ndarray


def effects(generator: np.random.Generator, shape, skewed: bool) -> np.ndarray:
    """Of mean 0 and variance 1; the skewed ones (skewness 1.4) as landmark distances are."""
    if not skewed:
        return generator.normal(size=shape)
    return (generator.gamma(2.0, size=shape) - 2.0) / np.sqrt(2.0)


def nested(generator: np.random.Generator, identities: int, *, skewed: bool) -> NestedScores:
    """1 to 5 clips of 8 to 63 frames per identity."""
    clips = generator.integers(1, CLIPS + 1, identities)
    source = np.repeat(np.arange(identities), clips)
    frames = generator.integers(8, 64, len(source))
    values = (
        effects(generator, identities, skewed)[source]
        + 0.5 * effects(generator, len(source), skewed)
        + effects(generator, len(source), skewed) / np.sqrt(frames)
    )
    return NestedScores(values, frames.astype(float), source, source)


def crossed(
    generator: np.random.Generator, identities: int, pairs: int, *, skewed: bool, alike: float
) -> NestedScores:
    """Pairs of different identities, each in either role.

    Args:
        alike: correlation of what an identity adds as source and what it adds as driver.
    """
    every = np.array([(a, b) for a in range(identities) for b in range(identities) if a != b])
    source, driver = every[generator.permutation(len(every))[:pairs]].T
    as_source = effects(generator, identities, skewed)
    as_driver = alike * as_source + np.sqrt(1 - alike**2) * effects(generator, identities, skewed)
    frames = generator.integers(8, 64, identities)[driver]
    values = as_source[source] + as_driver[driver] + effects(generator, len(source), skewed)
    return NestedScores(values, frames.astype(float), source, driver)
