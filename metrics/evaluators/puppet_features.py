"""Puppet features: one small network for LPIPS†, FID† and perceptual training losses."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.interfaces.evaluator import PerceptualFeatures, PooledFeatures

from .puppet_layers import ConvolutionBlock, centred, fold, to_network_size
from .puppet_weights import FOLDER, fingerprint, load_weights

NAME_PERCEPTUAL = "puppet-features"
NAME_POOLED = "puppet-features-pooled"
PREPROCESSING = "1"
WEIGHTS = FOLDER / "puppet-features.safetensors"
CHANNELS = (16, 32, 64, 96, 128)
UNIT_LENGTH_EPSILON = 1e-10
"""LPIPS's own: activations are divided by their length plus this (Zhang et al. 2018, released code)."""


class FeatureNetwork(nn.Module):
    """Five stages at 1, 1/2, 1/4, 1/8, 1/16 of the frame's size; `layer_weights` calibrates the distance."""

    layer_weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [ConvolutionBlock(3, CHANNELS[0])]
        for inputs, outputs in pairwise(CHANNELS[:4]):
            stages.append(
                nn.Sequential(ConvolutionBlock(inputs, outputs, stride=2), ConvolutionBlock(outputs, outputs))
            )
        stages.append(ConvolutionBlock(CHANNELS[3], CHANNELS[4], stride=2))
        self.stages = nn.ModuleList(stages)
        self.register_buffer("layer_weights", torch.ones(len(CHANNELS)))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Activations of every stage, `[N, C_l, H_l, W_l]`, of frames `[N, 3, H, W]` in [0, 1], sides >= 32.

        Differentiable with respect to the frames.
        """
        maps = centred(frames)
        activations = []
        for stage in self.stages:
            maps = stage(maps)
            activations.append(maps)
        return activations

    def probe(self, frames: Tensor) -> Tensor:
        """Golden numbers: spatial means of every stage, times its weight in the distance."""
        means = [maps.mean(dim=(2, 3)) for maps in self(frames)]
        weighted = [mean * weight for mean, weight in zip(means, self.layer_weights, strict=True)]
        return torch.cat([*weighted, means[-1]], dim=1).flatten()


class PuppetPerceptual:
    """The evaluator of role `perceptual`: unit-length activations at the frames' own size.

    Args:
        network: folded network on the device to use.
        fingerprint: name, weights sha256 and preprocessing version.
    """

    def __init__(self, network: FeatureNetwork, fingerprint: str) -> None:
        self.network = network
        self.fingerprint = fingerprint
        self.weights = tuple(
            weight.expand(channels) for weight, channels in zip(network.layer_weights, CHANNELS, strict=True)
        )

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> PerceptualFeatures:
        """Layers of frames `[N, 3, H, W]` in [0, 1]; any size from 32 pixels.

        Source: Zhang et al. 2018 (LPIPS), section 3; the 1x1 heads are one number per layer here, such that
        each layer contributes 1/5 to the mean distance 1 of frames of different train characters.
        """
        layers = tuple(
            maps / (maps.norm(dim=1, keepdim=True) + UNIT_LENGTH_EPSILON) for maps in self.network(frames)
        )
        return PerceptualFeatures(layers, self.weights)

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """See `benchbed.interfaces.evaluator.Evaluator`."""
        return self.network.probe(frames)


class PuppetPooled:
    """Role `pooled`: spatial mean of the last stage, `[N, 128]`, of frames resized to 64x64."""

    def __init__(self, network: FeatureNetwork, fingerprint: str) -> None:
        self.network = network
        self.fingerprint = fingerprint

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> PooledFeatures:
        """Vectors of frames `[N, 3, H, W]` in [0, 1] of any size."""
        return PooledFeatures(self.network(to_network_size(frames))[-1].mean(dim=(2, 3)))

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """See `benchbed.interfaces.evaluator.Evaluator`."""
        return self.network.probe(frames)


def load_network(weights: Path = WEIGHTS) -> FeatureNetwork:
    """The folded, frozen network on the CPU, its golden output checked.

    Raises:
        WeightsMissingError, CheckpointError: see `load_weights`.
    """
    network = FeatureNetwork()
    fold(network)
    return load_weights(network, weights, preprocessing=PREPROCESSING)[0]


def build_perceptual(*, device: torch.device, weights: Path = WEIGHTS) -> PuppetPerceptual:
    """The evaluator of role `perceptual` on a device (errors: see `load_network`)."""
    mark = fingerprint(NAME_PERCEPTUAL, weights, PREPROCESSING)
    return PuppetPerceptual(load_network(weights).to(device), mark)


def build_pooled(*, device: torch.device, weights: Path = WEIGHTS) -> PuppetPooled:
    """The evaluator of role `pooled` on a device (errors: see `load_network`)."""
    mark = fingerprint(NAME_POOLED, weights, PREPROCESSING)
    return PuppetPooled(load_network(weights).to(device), mark)


def feature_maps(device: torch.device) -> nn.Module:
    """The frozen network for training losses: frames `[B, 3, H, W]` in [0, 1] -> five raw activations."""
    return load_network().to(device)
