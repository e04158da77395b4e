"""Timings of the 18-point body pose: the evaluator against one frame, image and map at a time, side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.metrics.evaluators.body_pose import BodyPoseEvaluator
from benchbed.metrics.evaluators.openpose import load_network
from benchbed.metrics.evaluators.pose_decoding import DecodingRule, decode

from ..metrics.plain_pose import figure, ideal_maps, plain_maps, plain_peaks, seeded_network

SCALES = (0.5, 1.0, 1.5, 2.0)
SIDE = 256


class Drawing(torch.nn.Module):
    """In place of the network: maps of one figure that fills the image, drawn once per size."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def forward(self, images):
        rows, columns = size = images.shape[-2:]
        if size not in self.drawn:
            person = figure(columns / 2, rows * 0.05, rows * 0.85)
            fields, heat = ideal_maps([person], rows // 8, columns // 8, cell=8, spread=7)
            self.drawn[size] = torch.from_numpy(fields), torch.from_numpy(heat)
        fields, heat = self.drawn[size]
        return fields.expand(len(images), -1, -1, -1), heat.expand(len(images), -1, -1, -1)


@pytest.fixture(scope="module")
def frames():
    return torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def frame_by_frame(network, frames, scales):
    joints = []
    for frame in frames:
        fields, heat = plain_maps(network, frame, scales)
        for map_ in heat:
            plain_peaks(map_, DecodingRule().peak)
        joints.append(decode(torch.from_numpy(fields[None]), torch.from_numpy(heat[None]), DecodingRule())[0])
    return np.concatenate(joints)


def measure(benchmark, how, network, frames, scales, rounds):
    evaluator = BodyPoseEvaluator(network, scales, "rtpose", DecodingRule(), "bench")
    run = {
        "evaluator": lambda: evaluator(frames),
        "frame-by-frame": lambda: frame_by_frame(network, frames, scales),
    }
    benchmark.extra_info["frames"] = len(frames)
    with torch.inference_mode():
        benchmark.pedantic(run[how], rounds=rounds, warmup_rounds=1)


@pytest.mark.benchmark(group="body pose, 4 frames, around the network, four scales")
@pytest.mark.parametrize("how", ["evaluator", "frame-by-frame"])
def test_finding_joints_in_maps_of_four_scales(benchmark, frames, how):
    measure(benchmark, how, Drawing(), frames, SCALES, rounds=3)


@pytest.mark.benchmark(group="body pose, 4 frames, with the network, scale 0.5")
@pytest.mark.parametrize("how", ["evaluator", "frame-by-frame"])
def test_finding_joints_in_frames_at_one_scale(benchmark, frames, how):
    measure(benchmark, how, load_network(seeded_network(seed=0)), frames, SCALES[:1], rounds=2)
