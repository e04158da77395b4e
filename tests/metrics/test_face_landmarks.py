"""Face landmarks: batched networks, crops and decoding against the face-alignment package, and their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from benchbed.errors import BenchbedError, CheckpointError, WeightsMissingError
from benchbed.frames import to_float
from benchbed.metrics.evaluators import face_crops
from benchbed.metrics.evaluators.face_crops import crop_faces, decode_heatmaps, place_faces, points_in_frame
from benchbed.metrics.evaluators.face_landmarks import FaceLandmarkEvaluator, build
from benchbed.metrics.evaluators.fan import FaceAlignmentNetwork, load_fan
from benchbed.metrics.evaluators.s3fd import FaceDetectionNetwork, S3fdDetector, face_scores, load_s3fd

# Layers without skip connections need more gain than FAN for outputs that vary.
GAINS = {FaceAlignmentNetwork: 0.42, FaceDetectionNetwork: 0.7}
# Taken from the face's logit, so that a few boxes fire instead of half of all positions.
FACE_BIAS = -0.35


def seeded(kind, seed: int = 0) -> dict[str, Tensor]:
    """Stand-in weights under the published names."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: (t.shape, t.dtype) for name, t in kind().state_dict().items()}
    tensors = {}
    for name, (shape, dtype) in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if dtype == torch.int64:
            tensors[name] = torch.zeros(shape, dtype=dtype)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + torch.rand(shape, generator=generator)
        elif name.endswith(("bias", "running_mean")):
            tensors[name] = 0.05 * noise
            if name.endswith("_conf.bias"):
                tensors[name][-1] += FACE_BIAS
        elif len(shape) <= 1:
            tensors[name] = 1 + 0.1 * noise
        else:
            tensors[name] = GAINS[kind] * math.sqrt(2 / math.prod(shape[1:])) * noise
    return tensors


@pytest.fixture(scope="module")
def fan_weights():
    return seeded(FaceAlignmentNetwork)


@pytest.fixture(scope="module")
def s3fd_weights():
    # Of this seed two boxes fire on each of the frames below, with scores .504 and more.
    return seeded(FaceDetectionNetwork, seed=3)


@pytest.fixture(scope="module")
def detector(s3fd_weights):
    return S3fdDetector(load_s3fd(s3fd_weights))


@pytest.fixture(scope="module")
def evaluator(fan_weights, detector):
    return FaceLandmarkEvaluator(load_fan(fan_weights), detector, "seeded")


@pytest.fixture(scope="module")
def frames(shared):
    """Three real frames, uint8 `[3, 3, 256, 256]`."""
    from benchbed.datasets.video_io import read_video

    decoded = read_video(shared / "data" / "clips" / "vox" / "lia_driving2.mp4").frames
    return torch.from_numpy(decoded[[0, len(decoded) // 2, -1]]).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def library(fan_weights, s3fd_weights, tmp_path_factory):
    """The package's own one-frame path on the same weights, without its compilation and its mirrored pass."""
    numba = pytest.importorskip("numba")
    with pytest.MonkeyPatch.context() as patch:
        # Its decoding is plain numpy as well; compiling it would take ten seconds.
        patch.setattr(numba.config, "DISABLE_JIT", True)
        package = pytest.importorskip("face_alignment")
    home = tmp_path_factory.mktemp("torch-home")
    checkpoints = home / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(fan_weights, checkpoints / "2DFAN4-11f355bf06.pth.tar")
    torch.save(s3fd_weights, home / "s3fd.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        return package.FaceAlignment(
            package.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            face_detector_kwargs={"path_to_detector": str(home / "s3fd.pth")},
            compile=False,
        )


@pytest.fixture(scope="module")
def features(frames, evaluator):
    return evaluator(to_float(frames))


def image_of(frame: Tensor) -> np.ndarray:
    return frame.permute(1, 2, 0).numpy().copy()


def fixed_boxes(*boxes):
    """A detector that always says the same, one list of boxes per frame."""
    return lambda frames: [np.asarray(box, np.float32).reshape(-1, 5) for box in boxes]


def test_s3fd_outputs_equal_the_package_network(frames, detector, library):
    bgr = frames[:1].float().flip(1) - torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        theirs = library.face_detector.face_detector(bgr)
        ours = detector.raw(frames[:1])
    for output, confidence, location in zip(ours, theirs[::2], theirs[1::2], strict=True):
        torch.testing.assert_close(output.location, location, atol=1e-4, rtol=1e-4)
        expected = confidence.softmax(dim=1)[:, 1]
        torch.testing.assert_close(face_scores(output.confidence), expected, atol=1e-4, rtol=1e-4)


def test_boxes_and_landmarks_equal_the_package_on_single_real_frames(frames, detector, features, library):
    boxes = detector(frames)
    differences = []
    for index, frame in enumerate(frames):
        image = image_of(frame)
        theirs = np.asarray(library.face_detector.detect_from_image(image), np.float64)
        assert len(theirs) > 0, "the stand-in detector should fire on every frame"
        # Pixels up to a few hundred, from float32 offsets: 1e-4 relative to their size.
        np.testing.assert_allclose(boxes[index], theirs, atol=1e-4, rtol=1e-4)
        landmarks = library.get_landmarks_from_image(image, detected_faces=[theirs[0]])[0]
        differences.append(np.abs(features.positions[index].numpy() - landmarks))
    difference = np.stack(differences)
    # A coordinate that lies on a whole number truncates either way.
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.005
    assert features.found.all()


def test_crops_equal_the_package_on_boxes_in_and_beyond_the_frame(frames, library):
    from face_alignment.utils import crop

    boxes = np.array(
        [
            [60.3, 50.1, 190.7, 210.2, 0.9],
            [-40.6, -30.2, 90.4, 120.9, 0.9],
            [180.0, 150.5, 300.3, 330.8, 0.9],
            [-200.0, -150.0, 500.0, 450.0, 0.9],
            [100.2, 100.4, 121.7, 119.8, 0.9],
        ]
    )
    image = image_of(frames[0])
    placement = place_faces(boxes)
    ours = crop_faces([image] * len(boxes), placement)
    for own, centre, scale in zip(ours, placement.centres, placement.scales, strict=True):
        np.testing.assert_array_equal(own, crop(image, centre, scale))


def test_the_batch_size_changes_nothing(frames, evaluator, features):
    alone = evaluator(to_float(frames[1:2]))
    assert features.found[1].all() and alone.found.all()
    difference = (features.positions[1:2] - alone.positions).abs()
    assert difference.max() <= 1  # a coordinate on a whole number truncates either way
    assert (difference > 0).float().mean() <= 0.01  # one of 136


def test_heat_maps_of_a_batch_equal_those_of_single_crops(fan_weights):
    network = load_fan(fan_weights)
    crops = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = network(crops)[-1]
        alone = torch.cat([network(crop[None])[-1] for crop in crops])
    # Values of a few units through about 200 layers.
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_frames_without_a_face_have_no_point_and_keep_their_place(fan_weights):
    face = [[10, 10, 60, 60, 0.9], [0, 0, 30, 30, 0.8]]
    evaluator = FaceLandmarkEvaluator(load_fan(fan_weights), fixed_boxes([], face, []), "seeded")
    frames = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = evaluator(frames)
    assert features.found.all(dim=1).tolist() == [False, True, False]
    assert features.found.any(dim=1).tolist() == [False, True, False]
    assert features.positions.shape == (3, 68, 2)
    # Only the first box counts.
    first = FaceLandmarkEvaluator(evaluator.fan, fixed_boxes(face[:1]), "seeded")(frames[1:2])
    assert torch.equal(features.positions[1], first.positions[0])


def test_no_face_in_any_frame_is_no_error(fan_weights):
    evaluator = FaceLandmarkEvaluator(load_fan(fan_weights), fixed_boxes([], []), "seeded")
    assert not evaluator(torch.zeros(2, 3, 48, 48)).found.any()


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (33, 150), (16, 16)])
def test_small_odd_and_grey_frames_are_measured(evaluator, size):
    noise = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0)).expand(1, 3, *size)
    frames = torch.cat((noise, torch.full((1, 3, *size), 0.5)))
    features = evaluator(frames)
    assert torch.isfinite(features.positions).all()
    assert torch.equal(features.found.any(dim=1), features.found.all(dim=1))


def test_frames_too_small_for_the_detector_have_no_face(detector):
    boxes = detector(torch.zeros(2, 3, 31, 200, dtype=torch.uint8))
    assert [box.shape for box in boxes] == [(0, 5), (0, 5)]


def test_boxes_of_a_batch_equal_those_of_single_frames(detector):
    frames = torch.randint(0, 256, (5, 3, 96, 80), generator=torch.Generator().manual_seed(3))
    frames = frames.to(torch.uint8)
    together = detector(frames)
    alone = [detector(frame[None])[0] for frame in frames]
    assert any(len(boxes) for boxes in alone)
    for batched, single in zip(together, alone, strict=True):
        np.testing.assert_allclose(batched, single, atol=1e-3, rtol=1e-4)
        assert (np.diff(batched[:, 4]) <= 0).all()


def test_a_window_too_large_to_lay_out_gives_the_same_crop(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    placement = place_faces(
        np.array([[5.0, 4, 40, 39, 1], [-200, -90, 330, 300, 1], [-900, 10, -700, 90, 1]])
    )
    full = crop_faces([image] * 3, placement)
    monkeypatch.setattr(face_crops, "LARGEST_CANVAS", 0)
    sparse = crop_faces([image] * 3, placement)
    # cv2's weights have 11 bits, twice.
    assert np.abs(full.astype(int) - sparse.astype(int)).max() <= 1
    assert not full[2].any()


def test_a_box_of_a_million_pixels_is_cropped_in_little_memory():
    image = np.full((20, 20, 3), 200, np.uint8)
    crop = crop_faces([image], place_faces(np.array([[-5e5, -5e5, 5e5, 5e5, 1.0]])))
    assert crop.shape == (1, 256, 256, 3)


def test_peaks_move_a_quarter_pixel_toward_the_higher_neighbour_and_not_on_the_border():
    heatmaps = torch.zeros(1, 3, 64, 64)
    heatmaps[0, 0, 10, 20], heatmaps[0, 0, 10, 21], heatmaps[0, 0, 9, 20] = 3.0, 1.0, 2.0
    heatmaps[0, 1, 0, 5], heatmaps[0, 1, 0, 6] = 3.0, 1.0
    points, scores = decode_heatmaps(heatmaps)
    assert points[0].tolist() == [[20.75, 10.25], [5.5, 0.5], [0.5, 0.5]]
    assert scores[0].tolist() == [3.0, 3.0, 0.0]


def test_positions_are_truncated_toward_zero_on_both_sides_of_it():
    # A box of 97.5 + 97.5 pixels: scale 1, a window of 200 pixels, 3.125 pixels per step.
    placement = place_faces(np.array([[-48.75, -37.05, 48.75, 60.45, 1.0]]))
    np.testing.assert_allclose(placement.centres, [[0.0, 0.0]], atol=1e-12)
    points = points_in_frame(np.array([[[31.5, 32.5], [31.0, 33.0]]]), placement)
    assert points.tolist() == [[[-1.0, 1.0], [-3.0, 3.0]]]


def test_every_tensor_takes_part_in_the_probe(fan_weights, s3fd_weights):
    detector = S3fdDetector(load_s3fd(s3fd_weights))
    evaluator = FaceLandmarkEvaluator(load_fan(fan_weights), detector, "seeded")
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    evaluator.requires_grad_(True)
    outputs = evaluator.probe_outputs(frames)
    (outputs * torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    silent = [name for name, p in evaluator.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert 50 <= outputs.numel() <= 10_000
    torch.testing.assert_close(evaluator.probe(frames), outputs.detach())


def test_tensors_that_do_not_fit_are_refused(fan_weights, s3fd_weights):
    with pytest.raises(CheckpointError, match=r"FAN-4: 1 missing \(conv1.weight"):
        load_fan({name: t for name, t in fan_weights.items() if name != "conv1.weight"})
    with pytest.raises(CheckpointError, match=r"S3FD: .*1 misshapen \(fc7.bias"):
        load_s3fd({**s3fd_weights, "fc7.bias": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_fan(s3fd_weights)


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_missing_weights_are_named_with_the_command_that_brings_them(store):
    with pytest.raises(WeightsMissingError, match="benchbed weights pull face-landmarks"):
        build(device=torch.device("cpu"))


def test_another_detector_is_refused(store):
    with pytest.raises(BenchbedError, match="unknown face detector 'haar'; known: s3fd, mtcnn"):
        build(device=torch.device("cpu"), detector="haar")


def bring(store, name: str, file: str, tensors: dict[str, Tensor]) -> None:
    from benchbed.weights import add

    torch.save(tensors, store / file)
    add(store / file, name, unverified=True)


def test_files_of_the_store_become_an_evaluator(store, fan_weights, s3fd_weights):
    bring(store, "face-landmarks", "2DFAN4-11f355bf06.pth.tar", fan_weights)
    with pytest.raises(WeightsMissingError, match="benchbed weights pull face-detector"):
        build(device=torch.device("cpu"))
    bring(store, "face-detector", "s3fd-619a316812.pth", s3fd_weights)
    evaluator = build(device=torch.device("cpu"))
    assert evaluator.fingerprint.startswith("face-landmarks:")
    assert evaluator(torch.full((1, 3, 64, 64), 0.5)).positions.shape == (1, 68, 2)


def test_the_other_detector_finds_a_real_face_without_weights_of_its_own(store, fan_weights, frames):
    pytest.importorskip("facenet_pytorch")
    bring(store, "face-landmarks", "2DFAN4-11f355bf06.pth.tar", fan_weights)
    evaluator = build(device=torch.device("cpu"), detector="mtcnn")
    assert evaluator.fingerprint.startswith("face-landmarks-mtcnn:")
    features = evaluator(torch.cat((to_float(frames[:1]), torch.full((1, 3, 256, 256), 0.5))))
    assert features.found.all(dim=1).tolist() == [True, False]
