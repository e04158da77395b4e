"""From heat maps and part-affinity fields to people: peaks, limbs, association, one figure per frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

JOINTS = (
    "nose", "neck",
    "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
# (first joint, second joint, channel of the field's x component; y is the next), in the order of association.
LIMBS = (
    (1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24),
    (1, 8, 0), (8, 9, 2), (9, 10, 4), (1, 11, 6), (11, 12, 8), (12, 13, 10),
    (1, 0, 28), (0, 14, 30), (14, 16, 34), (0, 15, 32), (15, 17, 36), (2, 16, 18), (5, 17, 26),
)  # fmt: skip
# The last two limbs (shoulder to ear) only add to people that other limbs have started.
STARTING_LIMBS = 17
MISSING = -1.0
NOBODY = -1


@dataclass(frozen=True)
class DecodingRule:
    """The numbers of the decoding, as published with the model.

    Args:
        peak: a joint's smoothed heat map exceeds this at its peak.
        sample: the field along a limb counts as supporting it above this value.
        limb_length: limbs longer than this share of the frame's height lose score.
        supported: a limb needs more than this share of its samples supporting it.
        fewest_joints: people with fewer joints are dropped.
        person_score: people with a smaller score per joint are dropped.
        smoothing: deviation of the Gaussian that heat maps are smoothed with, in pixels of the frame.
        samples: points on a limb at which the field is read.
    """

    peak: float = 0.1
    sample: float = 0.05
    limb_length: float = 0.5
    supported: float = 0.8
    fewest_joints: int = 4
    person_score: float = 0.4
    smoothing: float = 3.0
    samples: int = 10


@dataclass(frozen=True)
class Peaks:
    """Candidates for one joint in one frame: whole pixels (x, y) `(P, 2)` and heat `(P,)`, row by row."""

    positions: np.ndarray
    heat: np.ndarray


@dataclass(frozen=True)
class Connections:
    """Limbs of one kind, best first: indices of the peaks at both ends and scores, each `(C,)`."""

    start: np.ndarray
    end: np.ndarray
    score: np.ndarray


def decode(fields: Tensor, heat_maps: Tensor, rule: DecodingRule) -> tuple[Tensor, Tensor]:
    """One figure per frame, on the CPU; where several people are seen, the last one's joints overwrite.

    Args:
        fields: part-affinity fields `[N, 38, H, W]` at frame size.
        heat_maps: of the 18 joints, `[N, 18, H, W]`.
        rule: thresholds.

    Returns:
        Positions float32 `[N, 18, 2]`, (x, y) in whole pixels and (-1, -1) where missing; found bool `[N, 18]`.

    Source: Cao et al. 2017, sections 2.3 and 2.4.
    """
    positions = np.full((len(fields), len(JOINTS), 2), MISSING, dtype=np.float32)
    all_peaks = find_peaks(heat_maps, rule)
    for frame, (peaks, frame_fields) in enumerate(zip(all_peaks, fields.cpu().numpy(), strict=True)):
        limbs = [
            connect(peaks[first], peaks[second], frame_fields[channel : channel + 2], rule)
            for first, second, channel in LIMBS
        ]
        for person in assemble(peaks, limbs, rule):
            for joint in np.flatnonzero(person != NOBODY):
                positions[frame, joint] = peaks[joint].positions[person[joint]]
    return torch.from_numpy(positions), torch.from_numpy(positions[..., 0] != MISSING)


def find_peaks(heat_maps: Tensor, rule: DecodingRule) -> list[list[Peaks]]:
    """Peaks of each frame and joint: smoothed heat above the threshold and no neighbour of four higher.

    Of equal neighbours the first in row order is the peak. The heat kept is the unsmoothed one.

    Args:
        heat_maps: `[N, K, H, W]` at frame size.
        rule: thresholds.
    """
    frames, joints, height, width = heat_maps.shape
    rows = smoothing_matrix(height, rule.smoothing).to(heat_maps)
    columns = smoothing_matrix(width, rule.smoothing).to(heat_maps)
    smoothed = rows @ heat_maps @ columns.T
    # Outside the frame the heat is zero, below every threshold.
    around = torch.nn.functional.pad(smoothed, (1, 1, 1, 1))
    is_peak = (
        (smoothed > rule.peak)
        & (smoothed > around[..., 1:-1, :-2])
        & (smoothed >= around[..., 1:-1, 2:])
        & (smoothed > around[..., :-2, 1:-1])
        & (smoothed >= around[..., 2:, 1:-1])
    )
    where = is_peak.nonzero().cpu().numpy()
    heat = heat_maps[is_peak].cpu().numpy()
    # `nonzero` is sorted by frame, then joint: cut where the pair changes.
    cuts = np.searchsorted(where[:, 0] * joints + where[:, 1], np.arange(1, frames * joints))
    peaks = [
        Peaks(part[:, :1:-1], part_heat)
        for part, part_heat in zip(np.split(where, cuts), np.split(heat, cuts), strict=True)
    ]
    return [peaks[frame * joints : (frame + 1) * joints] for frame in range(frames)]


def smoothing_matrix(size: int, sigma: float) -> Tensor:
    """`[size, size]`: times a column gives it smoothed by SciPy's Gaussian, borders reflected."""
    return torch.from_numpy(gaussian_filter1d(np.eye(size), sigma, axis=0)).float()


def connect(first: Peaks, second: Peaks, field: np.ndarray, rule: DecodingRule) -> Connections:
    """The limbs between two joints' peaks: best score first, each peak in one limb at most.

    Args:
        first: peaks of the joint that the field points from.
        second: peaks of the joint that it points to.
        field: x and y components `(2, H, W)`.
        rule: thresholds.
    """
    score = limb_scores(first.positions, second.positions, field, rule)
    start, end = np.nonzero(score > 0)
    order = np.argsort(-score[start, end], kind="stable")
    used_first, used_second = set(), set()
    chosen = []
    for candidate in order:
        a, b = int(start[candidate]), int(end[candidate])
        if a not in used_first and b not in used_second:
            used_first.add(a)
            used_second.add(b)
            chosen.append(candidate)
    start, end = start[chosen], end[chosen]
    return Connections(start, end, score[start, end])


def limb_scores(first: np.ndarray, second: np.ndarray, field: np.ndarray, rule: DecodingRule) -> np.ndarray:
    """Scores `(A, B)` of the limbs from each of `first` `(A, 2)` to each of `second` `(B, 2)`; 0 for no limb.

    The score is the mean of the field along the limb's direction, less what the limb is too long.

    Source: Cao et al. 2017, equation 11, with the length term of the released model's decoding.
    """
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    limb = (second[None] - first[:, None]).astype(np.float64)
    length = np.linalg.norm(limb, axis=-1)
    direction = limb / np.maximum(length, 1e-9)[..., None]
    steps = np.linspace(0, 1, rule.samples)[:, None]
    points = np.rint(first[:, None, None] + steps * limb[:, :, None]).astype(np.int64)
    along = np.einsum("cabs,abc->abs", field[:, points[..., 1], points[..., 0]], direction)
    height = field.shape[1]
    too_long = np.minimum(rule.limb_length * height / np.maximum(length, 1e-9) - 1, 0)
    score = along.mean(axis=-1) + too_long
    supported = (along > rule.sample).sum(axis=-1) > rule.supported * rule.samples
    return np.where(supported & (score > 0) & (length > 0), score, 0.0)


def assemble(peaks: list[Peaks], limbs: list[Connections], rule: DecodingRule) -> np.ndarray:
    """People `(P, 18)` in the order they were started: the index of each joint's peak, -1 where it is missing.

    A limb joins the person that has one of its peaks, joins two people that have one each and no joint
    twice, and otherwise starts a person. Of two limbs that give a person the same joint, the later one's
    stays.

    Args:
        peaks: by joint.
        limbs: in the order of `LIMBS`.
        rule: thresholds.
    """
    most = sum(len(limb.score) for limb in limbs)
    people = np.full((most, len(JOINTS)), NOBODY)
    scores = np.zeros(most)
    started = 0
    for kind, ((first, second, _), limb) in enumerate(zip(LIMBS, limbs, strict=True)):
        for a, b, score in zip(limb.start, limb.end, limb.score, strict=True):
            known = people[:started]
            owners = np.flatnonzero((known[:, first] == a) | (known[:, second] == b))
            if len(owners) >= 2 and not _share_a_joint(people[owners[0]], people[owners[1]]):
                kept, merged = owners[:2]
                people[kept] = np.maximum(people[kept], people[merged])
                scores[kept] += scores[merged] + score
                people[merged], scores[merged] = NOBODY, 0.0
            elif len(owners):
                if people[owners[0], second] != b:
                    people[owners[0], second] = b
                    scores[owners[0]] += peaks[second].heat[b] + score
            elif kind < STARTING_LIMBS:
                people[started, [first, second]] = a, b
                scores[started] = peaks[first].heat[a] + peaks[second].heat[b] + score
                started += 1
    joints = (people != NOBODY).sum(axis=1)
    stays = (joints >= max(rule.fewest_joints, 1)) & (scores >= rule.person_score * joints)
    return people[stays]


def _share_a_joint(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(((one != NOBODY) & (other != NOBODY)).any())
