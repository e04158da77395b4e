"""Claims about face identity: FaceNet behind MTCNN equals facenet-pytorch frame by frame, OpenFace its script."""

from __future__ import annotations

import copy
import warnings

import av
import cv2
import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import nn
from torch.nn import functional

from benchbed import weights
from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.frames import to_float
from benchbed.metrics.evaluators import facenet, fused_convolution, mtcnn, openface
from benchbed.metrics.evaluators.facenet_network import FrozenInceptionResnet, load_network
from benchbed.metrics.evaluators.folding import fold_batch_norms, foldable_pairs
from benchbed.metrics.evaluators.fused_convolution import FusedConvolution
from benchbed.metrics.evaluators.openface_network import OpenfaceNetwork
from benchbed.metrics.evaluators.openface_network import load_network as load_openface

CPU = torch.device("cpu")
VIDEOS = ("lia_driving1.mp4", "lia_driving2.mp4", "lia_driving3.mov", "tpsmm_driving.mp4")


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """Values at which no norm or layer is the identity or zero."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        for name, value in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
            if not value.is_floating_point():
                continue
            if name == "running_var" or (name == "weight" and value.ndim == 1):
                value.data = torch.rand(value.shape, generator=generator) + 0.5
            else:
                spread = (1.5 / max(1, value[0].numel())) ** 0.5 if value.ndim > 1 else 0.1
                value.data = torch.randn(value.shape, generator=generator) * spread
    return network.eval()


@pytest.fixture(scope="module")
def library():
    """facenet-pytorch's detector and a seeded embedding network, used as its documentation shows."""
    from facenet_pytorch import MTCNN, InceptionResnetV1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MTCNN(), randomised(InceptionResnetV1(pretrained=None), seed=0)


@pytest.fixture(scope="module")
def frozen(library):
    return FrozenInceptionResnet(load_network(library[1].state_dict()))


@pytest.fixture(scope="module")
def detect():
    return mtcnn.load_mtcnn(CPU)


@pytest.fixture(scope="module")
def evaluator(frozen, detect):
    return facenet.FacenetEvaluator(frozen, detect, "test")


@pytest.fixture(scope="module")
def seeded_openface():
    return randomised(OpenfaceNetwork(), seed=1)


@pytest.fixture(scope="module")
def real_frames(shared):
    """Frames uint8 `[H, W, 3]` of several sizes: the start and a later place of each clip, and stills."""
    frames = [frame for name in VIDEOS for frame in some_frames(shared / "data" / "clips" / "vox" / name)]
    stills = sorted((shared / "data" / "clips" / "vox-frames").glob("**/*.jpg"))[::45]
    return frames + [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in stills]


def some_frames(path, places=(0, 30, 60)):
    with av.open(str(path)) as opened:
        decoded = (frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0))
        return [
            frame for place, frame in zip(range(max(places) + 1), decoded, strict=False) if place in places
        ]


def batches(frames):
    """The frames by size, as batches uint8 `[N, 3, H, W]` with the single images beside them."""
    shapes = dict.fromkeys(frame.shape for frame in frames)
    for shape in shapes:
        own = [frame for frame in frames if frame.shape == shape]
        yield torch.from_numpy(np.stack(own)).permute(0, 3, 1, 2), own


class TestFolding:
    def test_a_folded_network_gives_the_same_numbers_without_batch_norms(self):
        network = randomised(
            nn.Sequential(
                nn.Conv2d(3, 6, 3, groups=3, bias=False),
                nn.BatchNorm2d(6, eps=1e-3),
                nn.ReLU(),
                nn.Conv2d(6, 4, 1),
                nn.BatchNorm2d(4, affine=False),
                nn.Flatten(),
                nn.Linear(64, 5),
                nn.BatchNorm1d(5),
            ),
            seed=2,
        )
        x = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            before = network(x)
            after = fold_batch_norms(network)(x)
        assert not any(isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) for layer in network)
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)  # rounding of float32

    def test_layers_that_others_read_or_that_run_twice_are_left_alone(self):
        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.read, self.twice, self.own = (nn.Conv2d(2, 2, 1) for _ in range(3))
                self.norms = nn.ModuleList(nn.BatchNorm2d(2) for _ in range(4))

            def forward(self, x):
                read = self.read(x)
                x = self.norms[0](read) + read
                x = self.norms[2](self.twice(self.norms[1](self.twice(x))))
                return self.norms[3](self.own(x))

        assert foldable_pairs(Network().eval()) == [("own", "norms.3")]

    def test_stated_pairs_are_folded_and_no_others(self):
        network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        fold_batch_norms(network.eval(), pairs=[("2", "3")])
        assert [type(layer) for layer in network] == [nn.Conv2d, nn.BatchNorm2d, nn.Conv2d, nn.Identity]

    def test_a_network_in_training_mode_is_refused(self):
        with pytest.raises(ValueError, match="training mode"):
            fold_batch_norms(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))


@pytest.mark.parametrize("one_call", [True, False], ids=["one-call", "separate"])
@pytest.mark.parametrize("relu", [True, False], ids=["relu", "plain"])
def test_a_fused_convolution_equals_its_parts(monkeypatch, one_call, relu):
    works = fused_convolution.fused_calls_work()
    monkeypatch.setattr(fused_convolution, "fused_calls_work", lambda: works and one_call)
    generator = torch.Generator().manual_seed(4)
    layers = [randomised(nn.Conv2d(8, 16, (1, 3), padding=(0, 1)), seed) for seed in (5, 6)]
    fused = FusedConvolution(layers, scale=0.2, relu=relu)
    for count in (1, 5):
        x = torch.randn(count, 8, 7, 9, generator=generator)
        added = torch.randn(count, 32, 7, 9, generator=generator)
        with torch.no_grad():
            parts = torch.cat([layer(x) for layer in layers], dim=1) * 0.2
            for extra in (None, added.clone()):
                expected = parts if extra is None else parts + extra
                ours = fused(x.contiguous(memory_format=torch.channels_last), extra)
                # rounding of float32
                torch.testing.assert_close(ours, expected.relu() if relu else expected, atol=1e-5, rtol=1e-5)


class TestDetector:
    def test_boxes_equal_the_library_on_each_frame_alone(self, library, detect, real_frames):
        found = 0
        for levels, singles in batches(real_frames):
            for ours, frame in zip(detect(levels), singles, strict=True):
                assert ours.dtype == np.float32 and (np.diff(ours[:, 4]) <= 0).all()
                boxes, scores = library[0].detect(frame)
                theirs = [] if boxes is None else [[*b, s] for b, s in zip(boxes, scores, strict=True)]
                theirs = np.array(theirs, np.float32).reshape(-1, 5)
                theirs = theirs[np.argsort(-theirs[:, 4], kind="stable")]
                # Kernels of other batch sizes round differently: 6e-5 pixels at most in 40 frames.
                np.testing.assert_allclose(ours, theirs, atol=1e-3)
                found += len(ours)
        assert found >= len(real_frames)

    @pytest.mark.parametrize("size", [(256, 256), (64, 81), (19, 200), (12, 12), (3, 5)])
    def test_frames_without_a_face_have_no_box(self, detect, size):
        flat = torch.full((2, 3, *size), 90, dtype=torch.uint8)
        assert [boxes.shape for boxes in detect(flat)] == [(0, 5), (0, 5)]

    def test_another_weights_file_in_the_package_is_refused(self, monkeypatch):
        monkeypatch.setitem(mtcnn.NETWORKS_SHA256, "rnet", "0" * 64)
        with pytest.raises(CheckpointError, match=r"rnet.pt .* install facenet-pytorch 2.5.3 again"):
            mtcnn.load_mtcnn(CPU)


class TestFacenet:
    def test_vectors_equal_the_library_on_each_frame_alone(self, library, evaluator, real_frames):
        find, embed = library
        for levels, singles in batches(real_frames):
            features = evaluator(to_float(levels))
            for ours, found, frame in zip(features.vectors, features.found, singles, strict=True):
                crop = find(frame)
                assert bool(found) == (crop is not None)
                if crop is not None:
                    with torch.no_grad():
                        theirs = embed(crop[None])[0]
                    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)  # the requirement

    def test_the_frozen_network_keeps_float32(self, library, frozen):
        crops = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(7)) * 2 - 1
        with torch.no_grad():
            theirs = library[1](crops)
            ours = functional.normalize(frozen(crops), dim=1)
        # Values are about 0.04; the order of sums differs.
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)

    def test_the_batch_does_not_change_a_frame(self, evaluator, real_frames):
        levels, _ = next(batches(real_frames))
        frames = to_float(levels)
        together = evaluator(frames).vectors
        alone = torch.cat([evaluator(frame[None]).vectors for frame in frames])
        # The detector's rounding (6e-5 pixels) is below the whole pixels of a crop.
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)

    def test_a_frame_without_a_face_is_not_found_and_leaves_the_others(self, evaluator, real_frames):
        levels, _ = next(batches(real_frames))
        frames = to_float(levels[:2])
        mixed = torch.stack([frames[0], torch.full_like(frames[0], 0.5), frames[1]])
        features = evaluator(mixed)
        assert features.found.tolist() == [True, False, True]
        assert features.vectors.dtype == torch.float32 and features.vectors.shape == (3, 512)
        torch.testing.assert_close(features.vectors[::2], evaluator(frames).vectors, atol=1e-6, rtol=0)

    def test_no_face_at_all_gives_no_vector(self, evaluator):
        features = evaluator(torch.full((2, 3, 33, 47), 0.5))
        assert not features.found.any() and features.vectors.shape == (2, 512)

    def test_the_largest_face_is_cropped_inside_the_frame(self):
        image = torch.randint(
            0, 256, (1, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(8)
        )
        small, large = [1, 1, 9, 9, 0.99], [-5.5, 10.9, 30.9, 60, 0.7]
        crops, found = facenet.face_crops(image, [np.array([small, large], np.float32)])
        inside = image[0, :, 10:40, 0:30].permute(1, 2, 0).numpy()
        expected = cv2.resize(inside, (160, 160), interpolation=cv2.INTER_AREA)
        assert found.tolist() == [True]
        np.testing.assert_array_equal(crops[0].permute(1, 2, 0).numpy(), expected)

    def test_a_box_beside_the_frame_is_no_face(self):
        image = torch.zeros(1, 3, 40, 50, dtype=torch.uint8)
        _, found = facenet.face_crops(image, [np.array([[60, 0, 70, 10, 0.9]], np.float32)])
        assert found.tolist() == [False]

    def test_tensors_all_over_the_network_take_part_in_the_probe(self, library, frozen):
        golden = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(9))
        before = facenet.FacenetEvaluator(frozen, lambda levels: [], "test").probe(golden)
        assert before.shape == (1024,)
        values = {n: t for n, t in library[1].state_dict().items() if t.is_floating_point()}
        for name in list(values)[::85]:
            changed = copy.copy(library[1].state_dict()) | {name: values[name] * 1.5 + 0.1}
            other = facenet.FacenetEvaluator(FrozenInceptionResnet(load_network(changed)), list, "test")
            assert (other.probe(golden) - before).abs().max() > 1e-3, name

    def test_a_file_of_another_network_is_refused(self, seeded_openface):
        with pytest.raises(CheckpointError, match="do not fit the FaceNet embedding"):
            load_network(seeded_openface.state_dict())


class TestOpenface:
    @pytest.mark.parametrize("anti_aliasing", [False, True])
    @pytest.mark.parametrize("size", [(256, 256), (96, 96), (64, 64), (97, 131), (301, 180), (5, 400)])
    def test_frames_are_resized_as_scikit_image_does(self, size, anti_aliasing):
        frames = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(10))
        ours = openface.resized(frames, anti_aliasing=anti_aliasing)
        for frame, mine in zip(frames.double().permute(0, 2, 3, 1).numpy(), ours, strict=True):
            theirs = resize(frame, (96, 96), order=1, mode="reflect", anti_aliasing=anti_aliasing)
            np.testing.assert_allclose(mine.permute(1, 2, 0).numpy(), theirs, atol=1e-6)

    def test_vectors_equal_the_frame_by_frame_path_on_real_frames(self, seeded_openface, real_frames):
        evaluator = openface.OpenfaceEvaluator(openface.frozen(seeded_openface.state_dict()), "test")
        for levels, singles in batches(real_frames):
            features = evaluator(to_float(levels))
            assert features.found.all()
            for ours, frame in zip(features.vectors, singles, strict=True):
                small = resize(frame[..., ::-1] / 255.0, (96, 96), mode="reflect", anti_aliasing=False)
                with torch.no_grad():
                    theirs = seeded_openface(torch.from_numpy(small).permute(2, 0, 1)[None].float())[0]
                theirs = theirs / (theirs.square().sum() + 1e-6).sqrt()
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)  # rounding of float32

    def test_the_batch_does_not_change_a_frame(self, seeded_openface):
        evaluator = openface.OpenfaceEvaluator(openface.frozen(seeded_openface.state_dict()), "test")
        frames = torch.rand(19, 3, 64, 48, generator=torch.Generator().manual_seed(11))
        alone = torch.cat([evaluator(frame[None]).vectors for frame in frames])
        torch.testing.assert_close(evaluator(frames).vectors, alone, atol=1e-6, rtol=0)

    def test_every_tensor_takes_part_in_the_probe(self, seeded_openface):
        golden = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(12))
        network = copy.deepcopy(seeded_openface)
        evaluator = openface.OpenfaceEvaluator(network, "test")
        before = evaluator.probe(golden)
        assert before.shape == (256,)
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                kept = value.clone()
                value.mul_(1.5).add_(0.1)
                assert (evaluator.probe(golden) - before).abs().max() > 1e-4, name
                value.copy_(kept)

    def test_a_file_of_another_network_is_refused(self, library):
        with pytest.raises(CheckpointError, match="do not fit OpenFace"):
            load_openface(library[1].state_dict())


class TestBuilding:
    @pytest.fixture(autouse=True)
    def _own_store(self, monkeypatch, tmp_path):
        monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    @pytest.mark.parametrize("name", ["face-identity", "face-identity-casia"])
    def test_facenet_without_its_weights_says_which_to_pull(self, name):
        with pytest.raises(WeightsMissingError, match=f"benchbed weights pull {name}"):
            facenet.build(device=CPU, weights=name)

    def test_openface_without_its_weights_says_which_to_pull(self):
        with pytest.raises(WeightsMissingError, match="benchbed weights pull openface"):
            openface.build(device=CPU, anti_aliasing=False)

    def test_facenet_is_built_from_a_file_that_still_has_its_classifier(self, library, frozen, tmp_path):
        tensors = library[1].state_dict() | {
            "logits.weight": torch.zeros(3, 512),
            "logits.bias": torch.zeros(3),
        }
        torch.save(tensors, tmp_path / "some.pt")
        weights.add(tmp_path / "some.pt", "face-identity-casia", unverified=True)
        built = facenet.build(device=CPU, weights="face-identity-casia")
        assert built.fingerprint.startswith("face-identity-facenet-casia:")
        golden = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(13))
        before = facenet.FacenetEvaluator(frozen, list, "test").probe(golden)
        torch.testing.assert_close(built.probe(golden), before)

    def test_the_resize_rule_is_part_of_openface_s_fingerprint(self, seeded_openface, tmp_path):
        torch.save(seeded_openface.state_dict(), tmp_path / "openface.pth")
        weights.add(tmp_path / "openface.pth", "openface", unverified=True)
        prints = {openface.build(device=CPU, anti_aliasing=rule).fingerprint for rule in (False, True)}
        assert len(prints) == 2
