"""LPIPS: distance of calibrated deep features."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchbed.interfaces.evaluator import PerceptualFeatures
from benchbed.interfaces.metric import Sample

from .paired import role_features, summable


class LearnedPerceptualDistance:
    """LPIPS: weighted squared distance of unit-length activations, mean over positions, sum over layers.

    Source: Zhang, Isola, Efros, Shechtman and Wang 2018, equation 1; the evaluator owns network and heads.
    """

    def per_frame(self, generated: Sample, target: Sample) -> np.ndarray:
        """LPIPS of each frame, `(N,)`, at least 0."""
        first, second = role_features(generated, target, "perceptual", PerceptualFeatures)
        parts = [
            _mean_distance(layer_1, layer_2, weights)
            for layer_1, layer_2, weights in zip(first.layers, second.layers, first.weights, strict=True)
        ]
        return torch.stack(parts).sum(dim=0).cpu().numpy()

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """None: no frame can be missing, and the largest value depends on the heads."""
        return None


def _mean_distance(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """One layer's share, float64 `[N]`, of activations `[N, C, H, W]`."""
    # One frame at a time: its difference stays in a processor's cache.
    maps = [
        (one.permute(1, 2, 0) - other.permute(1, 2, 0)).square_().flatten(0, 1) @ weights
        for one, other in zip(first, second, strict=True)
    ]
    return summable(torch.stack(maps)).mean(dim=1, dtype=torch.float64)
