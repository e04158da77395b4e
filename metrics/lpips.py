"""LPIPS: distance of calibrated deep features."""

from __future__ import annotations

import numpy as np
import torch

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
        distance = np.zeros(first.layers[0].shape[0])
        for layer_1, layer_2, weights in zip(first.layers, second.layers, first.weights, strict=True):
            difference = torch.einsum("nchw,c->nhw", (layer_1 - layer_2) ** 2, weights)
            distance += summable(difference).mean(dim=(1, 2), dtype=torch.float64).cpu().numpy()
        return distance

    def worst(self, resolution: tuple[int, int]) -> float | None:
        """None: no frame can be missing, and the largest value depends on the heads."""
        return None
