"""LPIPS and Inception on real frames: our batched path beside the libraries' own, frame by frame.

Same random weights, same frames, two threads. The ratio (library / ours) is printed at the end of each test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import torch

from benchbed.frames import to_float
from benchbed.interfaces.metric import Sample
from benchbed.metrics.evaluators import inception, perceptual
from benchbed.metrics.evaluators.perceptual import PerceptualEvaluator, load_heads, load_trunk, packaged_heads
from benchbed.metrics.lpips import LearnedPerceptualDistance

from ..metrics.feature_networks import library_inception, library_lpips, random_tensors, real_frames

FRAMES = 16
THREADS = 2
ROUNDS = 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def clip(shared):
    """Two stretches of one clip, float `[16, 3, 256, 256]` in [0, 1]."""
    frames = to_float(real_frames(shared, 2 * FRAMES))
    return frames[:FRAMES], frames[FRAMES:]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def compare(benchmark, ours: Callable[[], object], theirs: Callable[[], object], *, what: str) -> None:
    """Time both in turn, so that a busy machine slows both alike, and print the ratio of the fastest rounds."""
    library_seconds: list[float] = []

    def time_library() -> None:
        start = time.perf_counter()
        theirs()
        library_seconds.append(time.perf_counter() - start)

    with torch.inference_mode():
        benchmark.pedantic(ours, setup=time_library, rounds=ROUNDS, warmup_rounds=1)
    seconds, library = benchmark.stats.stats.min, min(library_seconds)
    benchmark.extra_info.update(frames=FRAMES, threads=THREADS, ratio=round(library / seconds, 2))
    print(
        f"\n{what}, {FRAMES} frames, {THREADS} threads: library {library:.2f} s, ours {seconds:.2f} s, "
        f"ratio {library / seconds:.2f}"
    )


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_lpips(benchmark, capsys, clip, net):
    import torchvision.models as models

    kinds = {"alex": models.alexnet, "vgg": models.vgg16, "squeeze": models.squeezenet1_1}
    with torch.device("meta"):
        shapes = {n: t for n, t in kinds[net]().state_dict().items() if n.startswith("features.")}
    tensors = random_tensors(shapes, seed=0)
    library = library_lpips(net, tensors)
    trunk = perceptual.prepare(load_trunk(net, tensors), CPU)
    heads = load_heads(net, packaged_heads(net))
    evaluator = PerceptualEvaluator(trunk, heads, "random", batch=perceptual.BATCH[net])
    metric, first, second = LearnedPerceptualDistance(), *clip

    def ours() -> None:
        features = [{"perceptual": evaluator(frames)} for frames in (first, second)]
        metric.per_frame(Sample(first, features[0]), Sample(second, features[1]))

    def theirs() -> None:
        with torch.no_grad():
            for one, other in zip(first, second, strict=True):
                library(one[None], other[None], normalize=True)

    with capsys.disabled():
        compare(benchmark, ours, theirs, what=f"LPIPS {net}")


def test_inception(benchmark, capsys, clip, monkeypatch):
    tensors = random_tensors(inception._network().state_dict(), seed=0)
    library = library_inception(monkeypatch, tensors)
    network = inception.prepare(inception.load_network(tensors), CPU)
    evaluator = inception.InceptionEvaluator(network, "random")
    frames = clip[0]

    def theirs() -> None:
        with torch.no_grad():
            for frame in frames:
                library(frame[None])

    with capsys.disabled():
        compare(benchmark, lambda: evaluator(frames), theirs, what="Inception")
