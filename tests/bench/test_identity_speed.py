"""Timings of face identity: the batched evaluator and facenet-pytorch one frame at a time, turn by turn."""

from __future__ import annotations

import statistics
import time
import warnings

import av
import numpy as np
import pytest
import torch

from benchbed.frames import to_float
from benchbed.metrics.evaluators.facenet import FacenetEvaluator
from benchbed.metrics.evaluators.facenet_network import FrozenInceptionResnet, load_network
from benchbed.metrics.evaluators.mtcnn import load_mtcnn

FRAMES = 16
ROUNDS = 8
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def library():
    from facenet_pytorch import MTCNN, InceptionResnetV1

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MTCNN(device=DEVICE), InceptionResnetV1(pretrained=None).eval().to(DEVICE)


@pytest.fixture(scope="module")
def evaluator(library):
    tensors = {name: tensor.clone() for name, tensor in library[1].state_dict().items()}
    network = FrozenInceptionResnet(load_network(tensors)).to(DEVICE)
    return FacenetEvaluator(network, load_mtcnn(DEVICE), "bench")


@pytest.fixture(scope="module")
def images(shared):
    """A clip's first frames, uint8 `[16, 256, 256, 3]`."""
    with av.open(str(shared / "data" / "clips" / "vox" / "lia_driving1.mp4")) as opened:
        decoded = (frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0))
        return np.stack([frame for _, frame in zip(range(FRAMES), decoded, strict=False)])


def report(what, ours, theirs, wanted, capsys):
    """Both sides in turn, so that a busy machine slows both; the medians and the quickest rounds are compared."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(ROUNDS + 1):
        for name, call in (("ours", ours), ("theirs", theirs)):
            start = time.perf_counter()
            call()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first turn warms up
                times[name].append((time.perf_counter() - start) / FRAMES * 1000)
    middle, quickest = ({name: pick(t) for name, t in times.items()} for pick in (statistics.median, min))
    with capsys.disabled():
        print(
            f"\n{what}: {middle['ours']:.1f} ms a frame, facenet-pytorch {middle['theirs']:.1f}: "
            f"ratio {middle['theirs'] / middle['ours']:.2f} (quickest rounds "
            f"{quickest['theirs'] / quickest['ours']:.2f}; wanted: {wanted} on 2 CPU cores, here "
            f"{torch.get_num_threads()} threads, {DEVICE.type})"
        )


def test_embedding_16_crops(library, evaluator, capsys):
    crops = torch.randint(0, 256, (FRAMES, 3, 160, 160), generator=torch.Generator().manual_seed(0)).float()
    crops = crops.to(DEVICE)

    def one_by_one():
        with torch.no_grad():
            for crop in crops:
                library[1](((crop - 127.5) / 128.0)[None])

    report("embedding", lambda: evaluator.embed(crops), one_by_one, 2.5, capsys)


def test_detecting_cropping_and_embedding_16_frames(library, evaluator, images, capsys):
    frames = to_float(torch.from_numpy(images).permute(0, 3, 1, 2)).to(DEVICE)

    def one_by_one():
        with torch.no_grad():
            for image in images:
                library[1](library[0](image)[None].to(DEVICE))

    report("detection, crop and embedding", lambda: evaluator(frames), one_by_one, "none stated", capsys)
