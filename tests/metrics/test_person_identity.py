"""Person identity: PIL's resizing to the bit, OSNet as torchreid runs it, ResNet-50 as the field's script does."""

from __future__ import annotations

import copy
import hashlib
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchbed.datasets.video_io import read_video
from benchbed.errors import BenchbedError, CheckpointError, WeightsMissingError
from benchbed.frames import to_float
from benchbed.golden import golden_numbers, same_numbers
from benchbed.metrics.evaluators import person_identity, reid_resnet50
from benchbed.metrics.evaluators.osnet import OSNet, load_osnet
from benchbed.metrics.evaluators.person_identity import (
    DEVIATION,
    MEAN,
    OSNET_INPUT,
    PersonIdentityEvaluator,
    pil_resize,
    quickened,
)
from benchbed.metrics.evaluators.reid_resnet50 import ReidResNet50, load_reid_resnet50, reid_evaluator
from benchbed.registry import card
from benchbed.weights import add

PIL_KERNELS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """Moderate random values everywhere, running statistics too, so that no tensor is without effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.3 * noise.tanh())
            elif tensor.ndim >= 2:
                tensor.copy_(noise * (1.5 / tensor[0].numel()) ** 0.5)
            elif name.endswith(("bias", "running_mean")):
                tensor.copy_(0.1 * noise)
            elif tensor.is_floating_point():
                tensor.copy_(1 + 0.1 * noise)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def osnet_tensors():
    return dict(randomised(OSNet(), seed=1).state_dict())


@pytest.fixture(scope="module")
def reid_tensors():
    return dict(randomised(ReidResNet50(), seed=2).state_dict())


@pytest.fixture(scope="module")
def images(shared):
    """Two real frames of a taichi clip and two of a TED talk, uint8 `[H, W, 3]`; the sizes differ."""
    clips = ("taichi/lia_driving1.mp4", "ted/lia_driving1.mp4")
    videos = [read_video(shared / "data" / "clips" / clip).frames for clip in clips]
    return [video[index] for video in videos for index in (0, len(video) // 2)]


def as_frames(image: np.ndarray) -> torch.Tensor:
    return to_float(torch.from_numpy(image).permute(2, 0, 1)[None])


def noise(count: int, height: int, width: int) -> torch.Tensor:
    levels = torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(3))
    return levels / 255


def osnet_evaluator(tensors) -> PersonIdentityEvaluator:
    return PersonIdentityEvaluator(quickened(load_osnet(tensors)), OSNET_INPUT, "seeded")


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 300), (64, 64), (256, 128), (256, 256), (511, 333)])
@pytest.mark.parametrize(
    ("kernel", "wanted"), [("bilinear", (256, 128)), ("bicubic", (288, 144)), ("bicubic", (100, 30))]
)
def test_resizing_equals_pil_to_the_bit(size, kernel, wanted):
    generator = np.random.default_rng(4)
    smooth = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    for image in (smooth, (smooth > 127).astype(np.uint8) * 255):  # the second makes bicubic overshoot
        expected = Image.fromarray(image).resize(wanted[::-1], PIL_KERNELS[kernel])
        ours = pil_resize(torch.from_numpy(image).permute(2, 0, 1)[None], wanted, kernel)
        np.testing.assert_array_equal(ours[0].permute(1, 2, 0), np.asarray(expected))


def test_tall_frames_are_resized_as_pil_did_before_it_swapped_its_passes():
    image = np.random.default_rng(4).integers(0, 256, (600, 100, 3), dtype=np.uint8)
    newest = np.asarray(Image.fromarray(image).resize((128, 256), Image.Resampling.BILINEAR))
    ours = pil_resize(torch.from_numpy(image).permute(2, 0, 1)[None], (256, 128), "bilinear")
    # only the rounding between the passes differs
    assert np.abs(ours[0].permute(1, 2, 0).numpy().astype(int) - newest).max() <= 1


def test_osnet_equals_torchreids_own_path_on_real_frames(osnet_tensors, images, tmp_path):
    with redirect_stdout(StringIO()):
        torchreid = pytest.importorskip("torchreid", reason="torchreid is a development dependency")
        path = tmp_path / "osnet.pth"
        torch.save(osnet_tensors, path)
        extractor = torchreid.utils.FeatureExtractor(
            "osnet_x1_0", model_path=str(path), device="cpu", verbose=False
        )
    ours = osnet_evaluator(osnet_tensors)
    for image in images:
        expected = extractor([image])
        features = ours(as_frames(image))
        assert features.found.all()
        # float32 through fifty layers, batch norms folded
        torch.testing.assert_close(features.vectors, expected, atol=1e-4, rtol=1e-4)
        assert expected.max() > 0.1


def test_a_batch_of_resnet50_equals_single_images_in_training_mode(reid_tensors, images):
    from torchvision import transforms
    from torchvision.models import resnet50

    library = resnet50(weights=None)
    library.fc = nn.Identity()
    library.load_state_dict({name.removeprefix("model."): tensor for name, tensor in reid_tensors.items()})
    script = transforms.Compose(
        [
            transforms.Resize((288, 144), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            lambda image: image / 255,
            transforms.Normalize(MEAN, DEVIATION),
        ]
    )
    library.train()  # as the script leaves it
    with torch.no_grad():
        expected = torch.cat([library(script(Image.fromarray(image))[None]) for image in images[:3]])
    same_size = torch.cat([as_frames(image) for image in images[:2]])
    ours = reid_evaluator(load_reid_resnet50(reid_tensors, mode="train"), "train", "seeded")
    vectors = torch.cat([ours(same_size).vectors, ours(as_frames(images[2])).vectors])
    assert vectors.shape == (3, 2048)
    torch.testing.assert_close(vectors, expected, atol=1e-4, rtol=1e-4)


def test_resnet50_in_eval_mode_equals_torchvisions_on_values_divided_once(reid_tensors, images):
    from torchvision import transforms

    library = ReidResNet50()
    library.load_state_dict(reid_tensors)
    sane = transforms.Compose(
        [
            transforms.Resize((288, 144), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
    )
    with torch.no_grad():
        expected = library.eval()(sane(Image.fromarray(images[0]))[None])
    ours = reid_evaluator(load_reid_resnet50(reid_tensors, mode="eval"), "eval", "seeded")
    vectors = ours(as_frames(images[0])).vectors
    # values reach the tens here: float noise is a share of the largest
    torch.testing.assert_close(vectors, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("kind", ["osnet", "train", "eval"])
def test_the_batch_changes_nothing(kind, osnet_tensors, reid_tensors):
    if kind == "osnet":
        ours = osnet_evaluator(osnet_tensors)
    else:
        ours = reid_evaluator(load_reid_resnet50(reid_tensors, mode=kind), kind, "seeded")
    frames = noise(max(ours.batch["cpu"] + 1, 3), 70, 45)
    together = ours(frames).vectors
    singly = torch.cat([ours(frame[None]).vectors for frame in frames])
    # the order of summation within a layer may depend on the batch, no more
    torch.testing.assert_close(together, singly, atol=1e-5 * float(singly.abs().max()), rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 200)])
def test_frames_of_any_size_have_finite_vectors(size, osnet_tensors):
    features = osnet_evaluator(osnet_tensors)(noise(1, *size))
    assert features.vectors.shape == (1, 512) and features.vectors.isfinite().all()


def test_a_changed_tensor_fails_the_golden_test(osnet_tensors):
    ours = PersonIdentityEvaluator(load_osnet(osnet_tensors), OSNET_INPUT, "seeded")
    recorded = golden_numbers(ours)
    for name in (
        "conv1.bn.running_mean",
        "conv3.1.conv2d.3.conv2.weight",
        "conv4.0.gate.fc2.bias",
        "fc.0.bias",
    ):
        changed = {**osnet_tensors, name: osnet_tensors[name] + 0.5}
        moved = PersonIdentityEvaluator(load_osnet(changed), OSNET_INPUT, "seeded")
        assert not same_numbers(recorded, golden_numbers(moved)), name
    assert same_numbers(recorded, golden_numbers(osnet_evaluator(osnet_tensors)))  # folding changes nothing


@pytest.mark.parametrize("identities", [0, 751, 4101])
def test_released_osnet_files_are_read_however_they_are_wrapped(identities, osnet_tensors):
    wrapped = {f"state_dict.module.{name}": tensor for name, tensor in osnet_tensors.items()}
    if identities:
        wrapped["state_dict.module.classifier.weight"] = torch.zeros(identities, 512)
    wrapped["best_rank"] = torch.tensor(0.9)
    without_counters = {k: v for k, v in wrapped.items() if not k.endswith("num_batches_tracked")}
    for given in (wrapped, without_counters):
        loaded = load_osnet(given).state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in osnet_tensors.items())


def test_released_resnet50_files_are_read_with_and_without_their_classifiers(reid_tensors):
    extra = {
        "model.fc.weight": torch.zeros(1000, 2048),
        "classifier.add_block.0.weight": torch.zeros(512, 2048),
    }
    for given in (reid_tensors, {**reid_tensors, **extra}):
        loaded = load_reid_resnet50(given, mode="eval").state_dict()
        assert loaded.keys() == reid_tensors.keys()


def test_files_of_another_network_are_refused(osnet_tensors, reid_tensors):
    with pytest.raises(CheckpointError, match=r"do not fit OSNet x1\.0"):
        load_osnet(reid_tensors)
    with pytest.raises(CheckpointError, match="do not fit the re-identification ResNet-50"):
        load_reid_resnet50(osnet_tensors, mode="train")
    partly = {name: tensor for name, tensor in osnet_tensors.items() if name != "conv5.bn.running_var"}
    with pytest.raises(CheckpointError, match=r"1 missing \(conv5\.bn\.running_var"):
        load_osnet(partly)
    with pytest.raises(BenchbedError, match="unknown mode 'both'"):
        load_reid_resnet50(reid_tensors, mode="both")


@pytest.mark.parametrize("build", [person_identity.build, reid_resnet50.build])
def test_without_its_file_an_evaluator_says_which_command_brings_it(build, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    options = {"weights": "person-identity"} if build is person_identity.build else {"mode": "train"}
    with pytest.raises(WeightsMissingError, match=r"weights missing: .*benchbed weights (pull|add) "):
        build(device=torch.device("cpu"), **options)


def test_a_registered_file_is_built_with_its_digest_in_the_fingerprint(osnet_tensors, monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    stand_in = tmp_path / "seeded.pth"
    torch.save({"state_dict": {f"module.{k}": v for k, v in osnet_tensors.items()}, "epoch": 5}, stand_in)
    add(stand_in, "person-identity", unverified=True)
    built = person_identity.build(device=torch.device("cpu"), weights="person-identity")
    digest = hashlib.sha256(stand_in.read_bytes()).hexdigest()
    assert built.fingerprint == f"person-identity:{digest}:{person_identity.PREPROCESSING}"
    frame = noise(1, 64, 64)
    torch.testing.assert_close(built(frame).vectors, osnet_evaluator(osnet_tensors)(frame).vectors)


def test_quickening_keeps_the_numbers(osnet_tensors):
    network = load_osnet(osnet_tensors)
    image = torch.randn(1, 3, 256, 128, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(quickened(copy.deepcopy(network))(image), network(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "metrics", "default", "canonical"),
    [
        ("person-identity", {"aed", "csim"}, True, False),
        ("person-identity-msmt17", {"aed", "csim"}, False, False),
        ("person-identity-resnet50", {"aed"}, False, True),
        ("person-identity-resnet50-eval", {"aed", "csim"}, False, False),
    ],
)
def test_the_cards_say_whom_they_serve(name, metrics, default, canonical):
    data = card("evaluator", name).data
    first = data["serves"][0]
    assert set(first["metrics"]) == metrics and first["domains"] == ["body"]
    assert (first["default"], first["canonical"]) == (default, canonical)
