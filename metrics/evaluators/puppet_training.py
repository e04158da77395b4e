"""Training of the puppet evaluators: one function per network, each ends with a measured weights file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchbed.interfaces.dataset import Dataset

from . import puppet_features, puppet_identity, puppet_keypoints
from .puppet_backdrops import backdrops, exchanged
from .puppet_features import CHANNELS, FeatureNetwork, PuppetPerceptual
from .puppet_identity import DIMENSIONS, IdentityNetwork, PuppetIdentity
from .puppet_keypoints import JOINTS, KeypointNetwork, PuppetKeypoints, detect, expected_positions
from .puppet_layers import NETWORK_SIZE, fold, initialised
from .puppet_measures import as_float, distances, identity_figures, keypoint_figures, perceptual_figures
from .puppet_samples import Augmentation, PuppetSamples, augment, blurred, crossed_ids, render
from .puppet_weights import round_to_half, write_weights

Progress = Callable[[str], None]
TRAIN_MOTIONS = 16
TEST_MOTIONS = 4
CALIBRATION_IDENTITIES = 4
"""Train identities the key-point network is not fitted on: the threshold of `found` is chosen on them."""
HEATMAP_SIGMA = 1.0  # map cells
RECOLOURINGS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
"""Orders of the colour channels; a character with exchanged channels is one more identity to tell apart."""


@dataclass(frozen=True)
class Schedule:
    """Steps of AdamW with a linear warm-up and a cosine decay to zero."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float = 1e-3


FEATURES = Schedule(steps=1200, batch=24, learning_rate=2e-3)
KEYPOINTS = Schedule(steps=2600, batch=32, learning_rate=2e-3)
IDENTITY = Schedule(steps=2000, batch=64, learning_rate=2e-3, weight_decay=5e-3)


def train_keypoints(
    dataset: Dataset, *, out: Path, seed: int, minutes: float | None, progress: Progress
) -> Path:
    """Train, calibrate, measure and write the key-point network.

    Args:
        dataset: puppets at 64 pixels.
        out: folder of the weights file.
        seed: decides initialisation, order and augmentation.
        minutes: stop in time, however many steps were done; None does all steps (reproducible).
        progress: receives a line now and then.

    Returns:
        The file written.

    Source: heat maps with an integral read-out, Sun et al. 2018, "Integral human pose regression", section 2.
    """
    generator = initialised(seed)
    samples = _training_samples(dataset, seed, progress)
    held_back = samples.identity >= len(samples.identities) - CALIBRATION_IDENTITIES
    fitted, calibration = samples.subset(~held_back), samples.subset(held_back)
    network = KeypointNetwork()
    strength = Augmentation(shift=5, rotation=0.25, scale=0.12, gain=0.15, offset=0.1, blur=1.6, noise=0.06)

    def loss(chosen: Tensor) -> Tensor:
        batch = fitted.subset(chosen)
        frames, positions = augment(as_float(batch.frames), batch.positions, strength, generator)
        return keypoint_loss(network, frames, positions, batch.visible)

    _optimise(nn.ModuleList([network]), loss, len(fitted.frames), KEYPOINTS, generator, minutes, progress)
    fold(network)
    round_to_half(network)
    threshold = found_threshold(network, calibration)
    evaluator = PuppetKeypoints(network, threshold, "in training")
    figures = keypoint_figures(evaluator, _held_out_samples(dataset))
    metadata = {
        **_provenance(dataset, puppet_keypoints.NAME, seed, minutes, figures),
        "threshold": f"{threshold:.4f}",
    }
    path = out / puppet_keypoints.WEIGHTS.name
    return _written(path, network, metadata, puppet_keypoints.PREPROCESSING, progress)


def keypoint_loss(network: KeypointNetwork, frames: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
    """Cross-entropy to a Gaussian heat map, error of the expected position, and of visibility.

    Positions of joints that are hidden but inside the frame weigh 0.2.
    """
    inside = ((positions >= -0.5) & (positions <= NETWORK_SIZE - 0.5)).all(-1)
    weight = inside * (0.2 + 0.8 * visible)
    maps, scores = network(frames)
    cells = (positions + 0.5) / puppet_keypoints.MAP_STRIDE - 0.5
    columns = torch.arange(maps.shape[3], dtype=maps.dtype)
    squared = (columns - cells[..., :1])[:, :, None, :] ** 2 + (columns - cells[..., 1:])[:, :, :, None] ** 2
    target = (-0.5 * squared / HEATMAP_SIGMA**2).flatten(2).softmax(-1)
    heat = -(target * maps.flatten(2).log_softmax(-1)).sum(-1)
    distance = (expected_positions(maps) - positions).abs().sum(-1)
    place = (weight * (heat + 0.3 * distance)).sum() / weight.sum().clamp(min=1.0)
    return place + functional.binary_cross_entropy_with_logits(scores, (visible & inside).float())


def found_threshold(network: KeypointNetwork, calibration: PuppetSamples) -> float:
    """The largest visibility probability that finds 98 % of the calibration identities' visible joints.

    Coverage comes first: how many hidden joints that reports as missing is measured, not chosen.
    """
    with torch.no_grad():
        parts = [detect(network, as_float(chunk))[1] for chunk in calibration.frames.split(64)]
    return round(torch.quantile(torch.cat(parts)[calibration.visible], 0.02).item(), 4)


def train_identity(
    dataset: Dataset, *, out: Path, seed: int, minutes: float | None, progress: Progress
) -> Path:
    """Train, measure and write the identity network (arguments as `train_keypoints`).

    Source: additive angular margin, Deng et al. 2019, "ArcFace", equation 3; here the margin is taken off the
    cosine (Wang et al. 2018, "CosFace", equation 4), with scale 16 and margin 0.2. Most frames get the background
    of another character, so that the figure decides.
    """
    generator = initialised(seed)
    samples = _training_samples(dataset, seed, progress)
    network = IdentityNetwork()
    classes = len(samples.identities) * len(RECOLOURINGS)
    centres = nn.Linear(DIMENSIONS, classes, bias=False)
    orders = torch.tensor(RECOLOURINGS)
    scenes = backdrops(samples)
    strength = Augmentation(shift=6, rotation=0.1, scale=0.15, gain=0.05, offset=0.05, blur=1.6, noise=0.05)

    def loss(chosen: Tensor) -> Tensor:
        batch = samples.subset(chosen)
        other = torch.randint(len(scenes), (len(chosen),), generator=generator)
        scene = torch.where(torch.rand(len(chosen), generator=generator) < 0.7, other, batch.identity)
        moved = exchanged(batch.frames, scenes[batch.identity], scenes[scene])
        colouring = torch.randint(len(RECOLOURINGS), (len(chosen),), generator=generator)
        recoloured = as_float(moved)[torch.arange(len(chosen))[:, None], orders[colouring]]
        frames, _ = augment(recoloured, batch.positions, strength, generator)
        label = batch.identity * len(RECOLOURINGS) + colouring
        cosine = network(frames) @ functional.normalize(centres.weight, dim=1).T
        return functional.cross_entropy(16.0 * (cosine - 0.2 * functional.one_hot(label, classes)), label)

    modules = nn.ModuleList([network, centres])
    _optimise(modules, loss, len(samples.frames), IDENTITY, generator, minutes, progress)
    fold(network)
    round_to_half(network)
    figures = identity_figures(
        PuppetIdentity(network, "in training"), _held_out_samples(dataset, motions=10, every=4)
    )
    metadata = _provenance(dataset, puppet_identity.NAME, seed, minutes, figures)
    path = out / puppet_identity.WEIGHTS.name
    return _written(path, network, metadata, puppet_identity.PREPROCESSING, progress)


class FeatureTasks(nn.Module):
    """Heads that shape the features and are not shipped: joints, identity, strength of distortion."""

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList([nn.Conv2d(channels, 48, 1) for channels in CHANNELS[1:]])
        self.maps = nn.Conv2d(48, JOINTS, 3, padding=1)
        self.identity = nn.Linear(CHANNELS[-1], identities)
        self.distortion = nn.Linear(CHANNELS[-1], 2)

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Heat-map logits at half size, identity logits and (blur, noise) strengths."""
        merged = self.lateral[-1](stages[-1])
        for lateral, maps in zip(reversed(list(self.lateral)[:-1]), reversed(stages[1:-1]), strict=True):
            merged = functional.interpolate(merged, scale_factor=2.0, mode="nearest") + lateral(maps)
        pooled = stages[-1].mean(dim=(2, 3))
        return self.maps(functional.leaky_relu(merged, 0.1)), self.identity(pooled), self.distortion(pooled)


def train_features(
    dataset: Dataset, *, out: Path, seed: int, minutes: float | None, progress: Progress
) -> Path:
    """Train, calibrate, measure and write the feature network (arguments as `train_keypoints`).

    Three tasks at once: where the joints are, who it is, and how much blur and noise was added; the last one
    keeps the pooled features sensitive to what FID has to see.
    """
    generator = initialised(seed)
    samples = _training_samples(dataset, seed, progress)
    network, tasks = FeatureNetwork(), FeatureTasks(len(samples.identities))
    strength = Augmentation(shift=5, rotation=0.15, scale=0.12, gain=0.1, offset=0.05)

    def loss(chosen: Tensor) -> Tensor:
        batch = samples.subset(chosen)
        frames, positions = augment(as_float(batch.frames), batch.positions, strength, generator)
        blur, noise = ((2.0 * torch.rand(2, len(chosen), generator=generator) - 1.0).clamp(min=0.0)).unbind()
        frames = blurred(frames, 2.5 * blur)
        frames = frames + 0.15 * noise[:, None, None, None] * torch.randn(frames.shape, generator=generator)
        maps, identity, distortion = tasks(network(frames.clamp(0.0, 1.0)))
        distance = (expected_positions(maps) - positions).abs().sum(-1)[batch.visible].mean()
        told = functional.cross_entropy(identity, batch.identity)
        return (
            0.3 * distance + told + 5.0 * functional.smooth_l1_loss(distortion, torch.stack([blur, noise], 1))
        )

    _optimise(
        nn.ModuleList([network, tasks]), loss, len(samples.frames), FEATURES, generator, minutes, progress
    )
    fold(network)
    calibrate_layers(network, samples, generator)
    round_to_half(network)
    figures = perceptual_figures(
        PuppetPerceptual(network, "in training"), _held_out_samples(dataset, every=8)
    )
    metadata = _provenance(dataset, puppet_features.NAME_PERCEPTUAL, seed, minutes, figures)
    path = out / puppet_features.WEIGHTS.name
    return _written(path, network, metadata, puppet_features.PREPROCESSING, progress)


def calibrate_layers(network: FeatureNetwork, samples: PuppetSamples, generator: torch.Generator) -> None:
    """Give layers equal shares of the distance, 1 on average between frames of different train characters."""
    chosen = torch.randperm(len(samples.frames), generator=generator)[:512]
    picked = samples.subset(chosen)
    frames, other = as_float(picked.frames), torch.roll(torch.arange(len(chosen)), 1)
    strangers = picked.identity != picked.identity[other]
    shares = []
    for layer in range(len(CHANNELS)):
        network.layer_weights.copy_(functional.one_hot(torch.tensor(layer), len(CHANNELS)))
        single = PuppetPerceptual(network, "in training")
        shares.append(distances(single, frames[strangers], frames[other][strangers]).mean())
    network.layer_weights.copy_(1.0 / (len(CHANNELS) * torch.stack(shares)))


def _optimise(
    modules: nn.Module,
    loss: Callable[[Tensor], Tensor],
    count: int,
    schedule: Schedule,
    generator: torch.Generator,
    minutes: float | None,
    progress: Progress,
) -> None:
    """Run the schedule over shuffled epochs of `count` samples; `minutes` shortens it where needed."""
    modules.train().to(memory_format=torch.channels_last)  # a quarter faster on processors
    optimizer = torch.optim.AdamW(
        modules.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    started, mean, queue = time.monotonic(), 0.0, torch.empty(0, dtype=torch.int64)
    for step in range(schedule.steps):
        elapsed = time.monotonic() - started
        done = step / schedule.steps
        if minutes is not None:
            done = max(done, elapsed / (60.0 * minutes))
        if done >= 1.0:
            break
        if len(queue) < schedule.batch:
            queue = torch.cat([queue, torch.randperm(count, generator=generator)])
        chosen, queue = queue[: schedule.batch], queue[schedule.batch :]
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * min(step / 100, 0.5 + 0.5 * math.cos(math.pi * done))
        value = loss(chosen)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 5.0)
        optimizer.step()
        mean += (value.item() - mean) / min(step + 1, 100)
        if step % 100 == 99:
            left = elapsed / done * (1.0 - done) if done else 0.0
            progress(f"step {step + 1} of {schedule.steps}, loss {mean:.3f}, {left / 60.0:.1f} minutes left")


def _training_samples(dataset: Dataset, seed: int, progress: Progress) -> PuppetSamples:
    clip_ids = crossed_ids(dataset, "train", motions_each=TRAIN_MOTIONS, seed=seed)
    progress(f"drawing {len(clip_ids)} training clips")
    return render(dataset, clip_ids, every=2, progress=progress)


def _held_out_samples(dataset: Dataset, *, motions: int = TEST_MOTIONS, every: int = 1) -> PuppetSamples:
    """Every test character in several different motions."""
    return render(dataset, crossed_ids(dataset, "test", motions_each=motions, seed=0), every=every)


def _provenance(
    dataset: Dataset, name: str, seed: int, minutes: float | None, figures: dict[str, str]
) -> dict[str, str]:
    limit = "" if minutes is None else f" --limit-minutes {minutes:g}"
    return {
        "name": name,
        "dataset": dataset.name,
        "dataset.fingerprint": dataset.fingerprint,
        "seed": str(seed),
        "command": f"benchbed train --evaluator {name} --dataset {dataset.name} --seed {seed}{limit}",
        "torch": torch.__version__,
        **{f"measured.{key}": text for key, text in figures.items()},
    }


def _written(
    path: Path, network: nn.Module, metadata: dict[str, str], preprocessing: str, progress: Progress
) -> Path:
    figures = [
        f"{key.removeprefix('measured.')} {text}" for key, text in metadata.items() if "measured." in key
    ]
    progress(f"on held-out identities: {', '.join(figures)}")
    return write_weights(path, network, metadata, preprocessing=preprocessing)
