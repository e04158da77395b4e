"""Face landmarks on real frames: our batched path beside the face-alignment package's own, frame by frame.

Same seeded stand-in weights, same frames, same boxes. The ratio (package / ours) is printed by each test. The package's
crops reach its landmark network with the channels last already, so a comparison of the bare networks on plain
tensors would flatter ours: whole paths are compared.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from benchbed.frames import to_float
from benchbed.metrics.evaluators.face_landmarks import FaceLandmarkEvaluator
from benchbed.metrics.evaluators.fan import FaceAlignmentNetwork, load_fan
from benchbed.metrics.evaluators.s3fd import FaceDetectionNetwork, S3fdDetector, load_s3fd

FRAMES = 8
ROUNDS = 3
# A face-sized box in the middle, for the landmark network alone.
BOX = np.array([[60.0, 50.0, 200.0, 210.0, 0.99]])
GAINS = {FaceAlignmentNetwork: 0.42, FaceDetectionNetwork: 0.7}


def seeded(kind) -> dict[str, torch.Tensor]:
    """Stand-in weights: He-scaled noise, unit variances, zero biases except that hardly any face is seen."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        state = kind().state_dict()
    tensors = {}
    for name, meta in state.items():
        if meta.dim() > 1:
            fan_in = meta[0].numel()
            noise = torch.randn(meta.shape, generator=generator)
            tensors[name] = GAINS[kind] * (2 / fan_in) ** 0.5 * noise
        else:
            fill = 1.0 if name.endswith(("weight", "running_var")) else 0.0
            tensors[name] = torch.full(meta.shape, fill, dtype=meta.dtype)
        if name.endswith("_conf.bias"):
            tensors[name][-1] = -1.0
    return tensors


@pytest.fixture(scope="module")
def clip(shared):
    """Real frames, uint8 `[8, 3, 256, 256]`."""
    from benchbed.datasets.video_io import read_video

    decoded = read_video(shared / "data" / "clips" / "vox" / "lia_driving2.mp4").frames
    chosen = decoded[np.linspace(0, len(decoded) - 1, FRAMES).astype(int)]
    return torch.from_numpy(chosen).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def weights():
    return seeded(FaceAlignmentNetwork), seeded(FaceDetectionNetwork)


@pytest.fixture(scope="module")
def package(weights, tmp_path_factory):
    """The package with the same weights; without torch.compile, whose result is cached in the user's home."""
    face_alignment = pytest.importorskip("face_alignment")
    home = tmp_path_factory.mktemp("torch-home")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(weights[0], home / "hub" / "checkpoints" / "2DFAN4-11f355bf06.pth.tar")
    torch.save(weights[1], home / "s3fd.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        built = face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            face_detector_kwargs={"path_to_detector": str(home / "s3fd.pth")},
            compile=False,
        )
    # The first call compiles its decoding, which is not what is compared.
    built.get_landmarks_from_image(np.zeros((256, 256, 3), np.uint8), detected_faces=BOX)
    return built


class Clocks:
    """Wall and processor seconds of a piece of work, a pair per call."""

    def __init__(self, work) -> None:
        self._work = work
        self.rounds: list[tuple[float, float]] = []

    def __call__(self) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        self._work()
        self.rounds.append((time.perf_counter() - wall, time.process_time() - processor))

    def best(self) -> np.ndarray:
        return np.array(self.rounds).min(axis=0)


def compare(benchmark, ours, theirs, *, what: str) -> None:
    """Run both in turn, so that a busy machine slows both alike, and print the ratios of the fastest rounds.

    Processor seconds are what a busy machine disturbs least; with several threads they include waiting.
    """
    package, own = Clocks(theirs), Clocks(ours)
    benchmark.pedantic(own, setup=package, rounds=ROUNDS, warmup_rounds=1)
    wall, processor = package.best() / own.best()
    benchmark.extra_info.update(
        frames=FRAMES,
        threads=torch.get_num_threads(),
        ratio=round(float(wall), 2),
        processor_ratio=round(float(processor), 2),
    )
    print(
        f"\n{what}, {FRAMES} frames, {torch.get_num_threads()} threads: package {package.best()[0]:.2f} s, "
        f"ours {own.best()[0]:.2f} s, ratio {wall:.2f} (processor seconds {package.best()[1]:.2f}, "
        f"{own.best()[1]:.2f}, ratio {processor:.2f})"
    )


def test_landmarks_of_given_boxes(benchmark, capsys, clip, weights, package):
    evaluator = FaceLandmarkEvaluator(load_fan(weights[0]), lambda frames: [BOX] * len(frames), "seeded")
    frames, images = to_float(clip), [frame.permute(1, 2, 0).numpy() for frame in clip]
    with capsys.disabled():
        compare(
            benchmark,
            lambda: evaluator(frames),
            lambda: [package.get_landmarks_from_image(image, detected_faces=BOX) for image in images],
            what="landmarks",
        )


def test_detection_and_landmarks(benchmark, capsys, clip, weights, package):
    detector = S3fdDetector(load_s3fd(weights[1]))

    # The stand-in sees no face: both sides run it in full and go on with the same box.
    def detect(frames):
        detector(frames)
        return [BOX] * len(frames)

    evaluator = FaceLandmarkEvaluator(load_fan(weights[0]), detect, "seeded")
    frames, images = to_float(clip), [frame.permute(1, 2, 0).numpy() for frame in clip]

    def theirs() -> None:
        for image in images:
            package.face_detector.detect_from_image(image)
            package.get_landmarks_from_image(image, detected_faces=BOX)

    with capsys.disabled():
        compare(benchmark, lambda: evaluator(frames), theirs, what="detection and landmarks")


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("network", ["fan", "s3fd"])
def test_batch_sizes_of_the_networks(benchmark, clip, weights, network, batch):
    """What the constants `BATCH` of both modules were chosen by: seconds for the same eight frames."""
    if network == "fan":
        built = FaceLandmarkEvaluator(load_fan(weights[0]), lambda frames: [], "seeded").fan
    else:
        built = S3fdDetector(load_s3fd(weights[1])).network
    images = (clip.float() / 255).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        benchmark.pedantic(
            lambda: [built(part) for part in images.split(batch)], rounds=ROUNDS, warmup_rounds=1
        )
