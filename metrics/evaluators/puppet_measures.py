"""What the puppet evaluators achieve on held-out identities: the figures recorded with their weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchbed.interfaces.evaluator import Evaluator, IdentityFeatures, KeypointFeatures, PerceptualFeatures

from .puppet_backdrops import backdrops, exchanged
from .puppet_samples import PuppetSamples, blurred

CHUNK = 64
DISTORTIONS = ("blur", "noise", "shift", "contrast")
STRENGTHS = 5


def keypoint_figures(evaluator: Evaluator, samples: PuppetSamples) -> dict[str, str]:
    """Error and coverage of a key-point evaluator against exact key points.

    Returns:
        `mean_error_px_64` over visible joints, found or not; `found_within_3px` share of visible joints both
        found and within 3 pixels; `visible_found` share of visible joints found; `hidden_reported_missing`
        share of hidden joints not found.
    """
    positions, found = [], []
    for chunk in samples.frames.split(CHUNK):
        features = evaluator(as_float(chunk))
        if not isinstance(features, KeypointFeatures):
            raise TypeError(f"a key-point evaluator is needed, not one that gives {type(features).__name__}")
        positions.append(features.positions)
        found.append(features.found)
    error = (torch.cat(positions) - samples.positions).norm(dim=-1)
    seen, visible = torch.cat(found), samples.visible
    return {
        "mean_error_px_64": f"{error[visible].mean():.3f}",
        "found_within_3px": f"{(seen & (error <= 3.0))[visible].float().mean():.4f}",
        "visible_found": f"{seen[visible].float().mean():.4f}",
        "hidden_reported_missing": f"{(~seen)[~visible].float().mean():.4f}",
    }


def identity_figures(evaluator: Evaluator, samples: PuppetSamples) -> dict[str, str]:
    """Verification of an identity evaluator over all pairs of frames from different clips.

    Returns:
        `verification_auc`; `cosine_same` and `cosine_different`, mean cosine of pairs of one and of two
        identities; `verification_auc_other_background`, where every clip is set before the background of a
        character drawn at random.
    """
    alike, unlike = _pair_cosines(evaluator, samples.frames, samples)
    scenes = backdrops(samples)
    clips = int(samples.clip.max()) + 1
    drawn = torch.randint(len(scenes), (clips,), generator=torch.Generator().manual_seed(0))
    moved = exchanged(samples.frames, scenes[samples.identity], scenes[drawn[samples.clip]])
    return {
        "verification_auc": f"{area_under_curve(alike, unlike):.4f}",
        "verification_auc_other_background": f"{area_under_curve(*_pair_cosines(evaluator, moved, samples)):.4f}",
        "cosine_same": f"{alike.mean():.3f}",
        "cosine_different": f"{unlike.mean():.3f}",
    }


def _pair_cosines(
    evaluator: Evaluator, frames: Tensor, samples: PuppetSamples
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs of frames from different clips: of one identity, and of two."""
    vectors = []
    for chunk in frames.split(CHUNK):
        features = evaluator(as_float(chunk))
        if not isinstance(features, IdentityFeatures):
            raise TypeError(f"an identity evaluator is needed, not one that gives {type(features).__name__}")
        vectors.append(features.vectors)
    embedded = torch.nn.functional.normalize(torch.cat(vectors), dim=1)
    cosine = embedded @ embedded.T
    pairs = torch.ones_like(cosine, dtype=torch.bool).triu(1) & (samples.clip[:, None] != samples.clip[None])
    same = samples.identity[:, None] == samples.identity[None]
    return cosine[pairs & same].double().numpy(), cosine[pairs & ~same].double().numpy()


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive score exceeds a negative one, ties counted half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).mean() / (2.0 * len(ordered)))


def perceptual_figures(evaluator: Evaluator, samples: PuppetSamples) -> dict[str, str]:
    """How a perceptual evaluator orders distortions of growing strength.

    Returns:
        Per distortion and over all (`distortion_order`), the share of neighbouring strengths of one frame
        whose distances to the undistorted frame grow; mean distances between neighbouring frames of one clip
        (`distance_other_frame`) and between characters (`distance_other_character`).
    """
    frames = as_float(samples.frames)
    ordered = {}
    for kind in DISTORTIONS:
        ladder = torch.stack(
            [
                torch.zeros(len(frames)),
                *(distances(evaluator, frames, step) for step in distorted(frames, kind)),
            ]
        )
        ordered[kind] = (ladder.diff(dim=0) > 0).float().mean().item()
    neighbour = torch.arange(1, len(frames))
    one_clip = samples.clip[neighbour] == samples.clip[neighbour - 1]
    within = distances(evaluator, frames[1:][one_clip], frames[:-1][one_clip])
    other = torch.roll(torch.arange(len(frames)), len(frames) // 2)
    strangers = samples.identity != samples.identity[other]
    between = distances(evaluator, frames[strangers], frames[other][strangers])
    return {
        "distortion_order": f"{np.mean(list(ordered.values())):.4f}",
        **{f"distortion_order.{kind}": f"{share:.4f}" for kind, share in ordered.items()},
        "distance_other_frame": f"{within.mean():.3f}",
        "distance_other_character": f"{between.mean():.3f}",
    }


def distorted(frames: Tensor, kind: str) -> list[Tensor]:
    """Frames distorted with five strengths, up to 2.5 px blur, 0.15 noise, 5 px shift, -60 % contrast."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(frames.shape, generator=generator)
    ladder = []
    for step in range(1, STRENGTHS + 1):
        if kind == "blur":
            ladder.append(blurred(frames, torch.full((len(frames),), 0.5 * step)))
        elif kind == "noise":
            ladder.append((frames + 0.03 * step * noise).clamp(0.0, 1.0))
        elif kind == "shift":
            ladder.append(torch.cat([frames[..., :1].expand(-1, -1, -1, step), frames[..., :-step]], dim=-1))
        else:
            mean = frames.mean(dim=(2, 3), keepdim=True)
            ladder.append(mean + (1.0 - 0.12 * step) * (frames - mean))
    return ladder


def distances(evaluator: Evaluator, first: Tensor, second: Tensor) -> Tensor:
    """Perceptual distances `[N]` of pairs of frames `[N, 3, H, W]`.

    Source: Zhang et al. 2018, equation 1.
    """
    parts = []
    for one, two in zip(first.split(CHUNK), second.split(CHUNK), strict=True):
        a, b = evaluator(one), evaluator(two)
        if not isinstance(a, PerceptualFeatures) or not isinstance(b, PerceptualFeatures):
            raise TypeError(f"a perceptual evaluator is needed, not one that gives {type(a).__name__}")
        layers = zip(a.layers, b.layers, a.weights, strict=True)
        parts.append(sum(torch.einsum("nchw,c->nhw", (x - y) ** 2, w).mean(dim=(1, 2)) for x, y, w in layers))
    return torch.cat([torch.as_tensor(part) for part in parts])


def as_float(frames: Tensor) -> Tensor:
    """uint8 frames in [0, 1]."""
    return frames.float() / 255.0
