"""One step of every published recipe and one animation with its weights at full size: seconds and peak memory.

Each method in a process of its own, batch 1, 256 pixels, fp32, on a GPU where there is one. Frozen networks that
published losses look through (VGG-19, DINO, Hopenet) have random weights where the weights store lacks theirs: they cost
the same. `-k dime` chooses methods.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchbed.registry import cards

SIDE = 256
LIMIT_GIB = 20
PAPERS = sorted(one.name for one in cards("method") if "paper" in one.data.get("presets", ()))

CHILD = """
import json, sys, time
from pathlib import Path

import torch
from torchvision.models import vgg19
from safetensors.torch import save_file

from benchbed.errors import WeightsMissingError
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks import anytime_animation
from benchbed.methods.blocks.vision_transformer import FrozenTransformer
from benchbed.methods.cpabmm import training as cpabmm_training
from benchbed.methods.facevid2vid import training as facevid2vid_training
from benchbed.methods.facevid2vid.head_pose_teacher import HeadPoseTeacher
from benchbed.registry import card
from benchbed.training.perceptual import Vgg19Features, perceptual_network

name, side, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
at_random = []


def or_random(what, stored, random):
    def network(*given):
        try:
            return stored(*given)
        except WeightsMissingError:
            at_random.append(what)
            return random(*given)

    return network


def random_vgg19():
    return Vgg19Features(vgg19(weights=None).state_dict())


transformer = or_random("dino-vitb8", anytime_animation.stored_transformer, FrozenTransformer)
anytime_animation.stored_transformer = cpabmm_training.stored_transformer = transformer
facevid2vid_training.stored_teacher = or_random("hopenet", facevid2vid_training.stored_teacher, HeadPoseTeacher)
perceptual = or_random("vgg19", lambda: perceptual_network("vgg19", "any")[0], random_vgg19)()

torch.manual_seed(0)
task = card("method", name).load("training")(TrainingRequest("paper", perceptual, side))
task.networks.to(device)


def frames(*shape):
    return torch.rand(*shape, side, side, device=device)


views = frames(1, task.schedule.references, 3) if task.schedule.references else None
pair = FramePair(frames(1, 3), frames(1, 3), views, torch.zeros(1, dtype=torch.long, device=device))
optimizers = task.optimizers()
seconds = []
for _ in range(3 if device.type == "cuda" else 1):
    started = time.perf_counter()
    losses = task.step(pair, optimizers, lambda loss: loss.backward())
    assert all(value.isfinite() for value in losses.values())
    seconds.append(time.perf_counter() - started)

tensors, metadata = task.export()
parameters = sum(value.numel() for key, value in tensors.items() if "running_" not in key)
save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, folder / "full.safetensors", metadata)
del task, optimizers, losses, tensors
method = card("method", name).load()(checkpoint=folder / "full.safetensors", configuration=None).to(device)
with torch.inference_mode():
    encoding = method.encode(pair.source)
    started = time.perf_counter()
    made = method.animate(encoding, pair.driving)
    assert made.shape == pair.driving.shape and bool(made.isfinite().all())
    animation = time.perf_counter() - started
if device.type == "cuda":
    peak = torch.cuda.max_memory_allocated()
else:
    # Not getrusage: its peak includes that of the process which started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024
print(json.dumps(dict(
    device=str(device), peak=peak, step=min(seconds), animation=animation, parameters=parameters, at_random=at_random
)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("name", PAPERS)
def test_a_step_and_an_animation_at_full_size(capsys, tmp_path, name):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, name, str(SIDE), str(tmp_path)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(child.stdout.splitlines()[-1])
    with capsys.disabled():
        print(
            f"\n{name} paper, {found['parameters'] / 1e6:.1f} M numbers, {SIDE} px on {found['device']}: "
            f"a step of batch 1 {found['step']:.1f} s, a frame animated {found['animation']:.2f} s, "
            f"peak {found['peak'] / 2**30:.1f} GiB; random: {', '.join(sorted(set(found['at_random']))) or 'nothing'}"
        )
    assert found["peak"] < LIMIT_GIB * 2**30
