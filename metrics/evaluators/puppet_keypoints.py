"""Puppet joints: a heat-map network with sub-pixel read-out and a visibility score per joint."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.interfaces.evaluator import KeypointFeatures

from .puppet_layers import NETWORK_SIZE, ConvolutionBlock, centred, fold, to_network_size
from .puppet_weights import FOLDER, fingerprint, load_weights

NAME = "puppet-keypoints"
PREPROCESSING = "1"
WEIGHTS = FOLDER / "puppet-keypoints.safetensors"
JOINTS = 15
MAP_STRIDE = 2
WINDOW = 3
"""Half-width, in map cells, of the window around the peak that the sub-pixel read-out averages over."""


class KeypointNetwork(nn.Module):
    """Encoder, decoder with skips; per joint a heat map of half the frame's size and a visibility logit."""

    def __init__(self) -> None:
        super().__init__()
        self.level2 = nn.Sequential(ConvolutionBlock(3, 24, stride=2), ConvolutionBlock(24, 32))
        self.level4 = nn.Sequential(ConvolutionBlock(32, 48, stride=2), ConvolutionBlock(48, 48))
        self.level8 = nn.Sequential(ConvolutionBlock(48, 72, stride=2), ConvolutionBlock(72, 72))
        self.level16 = nn.Sequential(ConvolutionBlock(72, 80, stride=2), ConvolutionBlock(80, 80))
        self.up8 = ConvolutionBlock(80 + 72, 72)
        self.up4 = ConvolutionBlock(72 + 48, 48)
        self.up2 = ConvolutionBlock(48 + 32, 32)
        self.maps = nn.Conv2d(32, JOINTS, 1)
        self.visibility = nn.Linear(48 + 80, JOINTS)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of heat maps `[N, K, H/2, W/2]` and visibility `[N, K]` of frames `[N, 3, H, W]` in [0, 1].

        The visibility of a joint is read where its heat map points, so that it can say what covers it.
        """
        level2 = self.level2(centred(frames))
        level4 = self.level4(level2)
        level8 = self.level8(level4)
        level16 = self.level16(level8)
        up8 = self.up8(torch.cat([_doubled(level16), level8], dim=1))
        up4 = self.up4(torch.cat([_doubled(up8), level4], dim=1))
        up2 = self.up2(torch.cat([_doubled(up4), level2], dim=1))
        maps = self.maps(up2)
        shares = maps.detach().flatten(2).softmax(-1).view_as(maps)
        attention = functional.avg_pool2d(shares, 2) * 4.0  # at the size of up4, still summing to one
        looked_at = torch.einsum("nkhw,nchw->nkc", attention, up4)
        overview = level16.mean(dim=(2, 3))[:, None].expand(-1, JOINTS, -1)
        evidence = torch.cat([looked_at, overview], dim=2)
        scores = (evidence * self.visibility.weight).sum(2) + self.visibility.bias
        return maps, scores

    def probe(self, frames: Tensor) -> Tensor:
        """Golden numbers: logits of both outputs, alternating evenly."""
        maps, visibility = self(frames)
        return torch.cat([maps.flatten(1), visibility.repeat(1, maps[0].numel() // JOINTS)], dim=1).flatten()


class PuppetKeypoints:
    """The evaluator: joints in pixels of the given frames, found where the visibility score says so.

    Args:
        network: folded network on the device to use.
        threshold: smallest visibility probability of a found joint.
        fingerprint: name, weights sha256 and preprocessing version.
    """

    def __init__(self, network: KeypointNetwork, threshold: float, fingerprint: str) -> None:
        self.network = network
        self.threshold = threshold
        self.fingerprint = fingerprint

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> KeypointFeatures:
        """Joints of frames `[N, 3, H, W]` in [0, 1] of any size (resized to 64x64, positions scaled back)."""
        positions, probability = detect(self.network, to_network_size(frames))
        height, width = frames.shape[-2:]
        scale = positions.new_tensor([width / NETWORK_SIZE, height / NETWORK_SIZE])
        return KeypointFeatures((positions + 0.5) * scale - 0.5, probability >= self.threshold)

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """See `benchbed.interfaces.evaluator.Evaluator`."""
        return self.network.probe(frames)


def detect(network: KeypointNetwork, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Joints `[N, K, 2]` in pixels and visibility probabilities `[N, K]` of frames of the network's size."""
    maps, visibility = network(frames)
    return peak_positions(maps), visibility.sigmoid()


def expected_positions(maps: Tensor) -> Tensor:
    """Soft-argmax over whole maps: logits `[N, K, h, w]` -> (x, y) in frame pixels `[N, K, 2]`."""
    share = maps.flatten(2).softmax(-1).view_as(maps)
    columns = cell_centres(maps.shape[3], maps)
    rows = cell_centres(maps.shape[2], maps)
    return torch.stack([(share.sum(2) * columns).sum(-1), (share.sum(3) * rows).sum(-1)], dim=-1)


def peak_positions(maps: Tensor) -> Tensor:
    """Soft-argmax over the window around each map's peak, so that a second mode does not pull."""
    n, k, height, width = maps.shape
    peak = maps.flatten(2).argmax(-1)
    column, row = peak % width, peak // width
    near_columns = (torch.arange(width, device=maps.device) - column[..., None]).abs() <= WINDOW
    near_rows = (torch.arange(height, device=maps.device) - row[..., None]).abs() <= WINDOW
    near = near_rows[..., :, None] & near_columns[..., None, :]
    return expected_positions(maps.masked_fill(~near, float("-inf")).view(n, k, height, width))


def cell_centres(cells: int, like: Tensor) -> Tensor:
    """Frame pixel at the centre of each map cell; the centre of the first pixel is 0."""
    return (torch.arange(cells, dtype=like.dtype, device=like.device) + 0.5) * MAP_STRIDE - 0.5


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def build(*, device: torch.device, weights: Path = WEIGHTS) -> PuppetKeypoints:
    """The evaluator on a device.

    Raises:
        WeightsMissingError, CheckpointError: see `load_weights`.
    """
    network = KeypointNetwork()
    fold(network)
    network, metadata = load_weights(network, weights, preprocessing=PREPROCESSING)
    return PuppetKeypoints(
        network.to(device), float(metadata["threshold"]), fingerprint(NAME, weights, PREPROCESSING)
    )
