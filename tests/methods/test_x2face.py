"""X2Face: weights files, mosaics of several views, batches, driving by pose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.grids import coordinate_grid, sample
from benchbed.methods.x2face.checkpoint import inference_networks
from benchbed.methods.x2face.config import x2face_config
from benchbed.methods.x2face.embedding_network import mosaic
from benchbed.methods.x2face.method import X2Face, build
from benchbed.methods.x2face.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.x2face.pose import PoseMaps, load_pose_maps
from benchbed.methods.x2face.training import build_training, shrunk_positions

from .released import check_batch, frames

SMALL = {"size": 32, "ngf": 2, "num_downs": 5, "inner_nc": 6}


def small_method(**changes: object) -> X2Face:
    torch.manual_seed(0)
    method = X2Face(x2face_config({**SMALL, **changes})).eval()
    for network in (method.pix2pixUnwrapped, method.pix2pixSampler):
        # Offsets and confidences of fresh weights are too small to show anything.
        nn.init.normal_(network.netG.model.up[2].weight, std=0.5)
    return method


@pytest.fixture(scope="module")
def official_file(tmp_path_factory) -> Path:
    """A file in the released format of 2018: old container, one wrapper, no step counters, an optimiser."""
    with torch.device("meta"):
        shapes = inference_networks(x2face_config(official("vox-256"))).state_dict()
    state = {
        name: torch.zeros(value.shape)
        for name, value in shapes.items()
        if not name.endswith("num_batches_tracked")
    }
    path = tmp_path_factory.mktemp("official") / "x2face_model_forpython3.pth"
    content = {"state_dict": state, "optimizer": {"state": {}, "param_groups": []}, "epoch": 1}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def small_state(**changes: Tensor) -> dict[str, Tensor]:
    return dict(inference_networks(x2face_config({**SMALL, **changes})).state_dict())


def pose_files(folder: Path, maps: PoseMaps) -> tuple[Path, Path]:
    """The two small released files, without step counters."""
    paths = folder / "posereg.pth", folder / "posetobottle.pth"
    for path, network in zip(paths, (maps.posereg, maps.posetobottle), strict=True):
        state = {name: v for name, v in network.state_dict().items() if not name.endswith("_tracked")}
        torch.save({"state_dict": state}, path)
    return paths


def test_every_official_file_has_its_dataset_and_configuration():
    assert set(OFFICIAL_FILES.values()) == set(DATASETS) == set(official_names())
    assert official("vox-256")["align_corners"] is True
    assert x2face_config(official("vox-256+unaligned")).align_corners is False
    with pytest.raises(UnknownNameError, match="vox-256"):
        official("vox-256+sideways")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"ngf": None}, "cannot be read"), ({"num_downs": 4}, "below 5"), ({"size": 48}, "halved 5 times")],
)
def test_an_impossible_configuration_is_refused(change, sentence):
    with pytest.raises(BenchbedError, match=sentence):
        x2face_config({**SMALL, **change})


def test_a_method_without_weights_names_the_official_files():
    with pytest.raises(WeightsMissingError, match=r"x2face_model\.pth"):
        build(checkpoint=None, configuration=None)


def test_an_official_file_loads_without_step_counters(official_file):
    method = build(checkpoint=official_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("voxceleb", (256, 256))
    assert method.conventions == {"configuration": "vox-256", "align_corners": "true"}
    assert not any(parameter.any() for parameter in method.parameters())
    unaligned = build(checkpoint=official_file, configuration="vox-256+unaligned")
    assert unaligned.conventions["align_corners"] == "false"


def test_a_file_of_another_width_is_refused_with_its_first_tensors(tmp_path):
    save_file(small_state(), tmp_path / "small.safetensors")
    sentence = (
        r"do not fit X2Face 'vox-256'.*missing.*misshapen \(pix2pixUnwrapped\.netG\.model\.up\.2\.weight"
    )
    for configuration in ("vox-256", None):
        with pytest.raises(CheckpointError, match=sentence):
            build(checkpoint=tmp_path / "small.safetensors", configuration=configuration)


def test_the_configuration_that_would_fit_is_named(official_file):
    tensors = torch.load(official_file)["state_dict"]
    state = {name: value.half() for name, value in tensors.items()}
    path = official_file.with_name("ours.safetensors")
    save_file(
        state, path, metadata={"configuration": '{"size": 32, "ngf": 2, "num_downs": 5, "inner_nc": 6}'}
    )
    with pytest.raises(CheckpointError, match=r"pix2pixUnwrapped.*they fit 'vox-256'"):
        build(checkpoint=path, configuration=None)


def test_a_file_in_either_layout_gives_the_networks_that_were_written(tmp_path):
    method = small_method()
    configuration = json.dumps(SMALL)
    state = {name: value.clone() for name, value in method.state_dict().items()}
    save_file(state, tmp_path / "ours.safetensors", metadata={"configuration": configuration})
    torch.save({"state_dict": state, "configuration": configuration}, tmp_path / "wrapped.pth")
    source, driving = frames(1), frames(2, seed=1)
    expected = method.animate(method.encode(source), driving)
    for name in ("ours.safetensors", "wrapped.pth"):
        loaded = build(checkpoint=tmp_path / name, configuration=None)
        assert loaded.resolution == (32, 32)
        assert torch.equal(loaded.animate(loaded.encode(source), driving), expected)


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_batch_equals_frame_by_frame(align_corners):
    method, driving = small_method(align_corners=align_corners), frames(5, seed=2)
    encoding = method.encode(frames(1), frames(2, seed=3))
    batch = check_batch(method, encoding, driving)
    assert batch.min() >= 0 and batch.max() <= 1 and batch.std() > 0


def test_one_view_is_its_own_mosaic_and_the_order_of_references_does_not_matter():
    method, source, references = small_method(), frames(1), frames(3, seed=4)
    alone = method.encode(source).face
    # 1e-5: another batch size, and a product divided by its factor
    assert torch.allclose(alone, method.pix2pixUnwrapped(source).faces, atol=1e-5)
    assert torch.allclose(alone, method.encode(source, source.repeat(2, 1, 1, 1)).face, atol=1e-5)
    several = method.encode(source, references).face
    assert torch.allclose(several, method.encode(source, references.flip(0)).face, atol=1e-5)
    assert not torch.allclose(several, alone, atol=1e-2)


def test_a_mosaic_is_the_weighted_mean_with_a_floor():
    faces = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1, 1)
    confidence = torch.tensor([0.2, 0.0]).view(2, 1, 1, 1, 1)
    assert mosaic(faces, confidence).item() == pytest.approx(0.75)
    assert mosaic(faces, confidence, floor=0).item() == pytest.approx(1)


def test_frames_that_are_not_square_are_animated():
    method = small_method()
    wide = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(5))
    assert method.animate(method.encode(wide[:1]), wide).shape == (2, 3, 32, 64)


def test_driving_vectors_drive_as_their_frames_do():
    method, driving = small_method(), frames(3, seed=6)
    encoding = method.encode(frames(1))
    # 1e-6: the same arithmetic
    assert torch.allclose(
        method.generate(encoding, method.driving_vectors(driving)),
        method.animate(encoding, driving),
        atol=1e-6,
    )
    with pytest.raises(BenchbedError, match="resize them to 32x32"):
        method.driving_vectors(frames(1, size=64))


def test_turning_to_the_own_pose_changes_nothing(tmp_path):
    torch.manual_seed(7)
    fresh = PoseMaps(6)
    nn.init.uniform_(fresh.posetobottle[1].running_var, 0.5, 1.5)
    maps = load_pose_maps(*pose_files(tmp_path, fresh))
    vectors = torch.randn(1, 6)
    # 1e-6: x - y + y
    assert torch.allclose(maps.turned(vectors, maps.pose(vectors)), vectors, atol=1e-6)
    assert maps.turned(vectors, torch.randn(4, 3)).shape == (4, 6)


def test_pose_files_of_the_wrong_kind_are_refused(tmp_path):
    regressor, embedder = pose_files(tmp_path, PoseMaps(6))
    with pytest.raises(CheckpointError, match=r"posetobottle\.pth.*do not fit X2Face's posereg"):
        load_pose_maps(embedder, regressor)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    encoding = method.encode(frames(1))
    with pytest.raises(BenchbedError, match="unknown transfer 'relative' for x2face; known: absolute"):
        method.animate(encoding, frames(1), transfer="relative")
    with pytest.raises(BenchbedError, match="multiples of 32"):
        method.encode(frames(1, size=48))
    with pytest.raises(BenchbedError, match="references are 64x64 pixels and the source is 32x32"):
        method.encode(frames(1), frames(2, size=64))
    with pytest.raises(BenchbedError, match="lacks 'size'"):
        x2face_config({})


@pytest.mark.parametrize("align_corners", [True, False])
def test_shrunk_positions_find_in_a_shrunk_image_what_positions_find_in_the_image(align_corners):
    ramp = (
        coordinate_grid(16, 32, like=torch.ones(())).permute(2, 0, 1)[None]
        * torch.tensor([31.0, 15.0])[None, :, None, None]
    )
    step = torch.tensor([2 / 31, 2 / 15] if align_corners else [2 / 32, 2 / 16])
    # positions of pixels, in either convention, two to the right and one down
    own = (ramp + torch.tensor([31.0, 15.0])[None, :, None, None]) / 2
    start = torch.tensor([0.0, 0.0] if align_corners else [0.5, 0.5])
    moved = (own.permute(0, 2, 3, 1) + start + torch.tensor([2.0, 1.0])) * step - 1
    full = sample(ramp, moved, align_corners=align_corners)
    shrunk = sample(
        nn.functional.avg_pool2d(ramp, 2),
        shrunk_positions(moved, 2, align_corners=align_corners),
        align_corners=False,
    )
    # a ramp is found alike at any size; 1e-4 of values up to 31; borders see the zeros outside
    assert torch.allclose(
        shrunk[..., 1:-2, 1:-2], nn.functional.avg_pool2d(full, 2)[..., 1:-2, 1:-2], atol=1e-4
    )


class Identity(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image]


def test_training_starts_from_the_source_and_never_learns_confidences_of_a_single_view():
    torch.manual_seed(0)
    task = build_training(TrainingRequest("tiny", Identity(), None, 40))
    pair = FramePair(frames(2, size=64), frames(2, size=64, seed=1))
    made = task.model.reconstruct(pair.source, pair.driving)
    # 1e-5: positions of pixels are rounded
    assert torch.allclose(made.prediction, pair.source, atol=1e-5)
    optimizers = task.optimizers()
    for _ in range(3):
        losses = task.step(pair, optimizers, lambda loss: loss.backward())
    assert {"photometric", "coarse", "perceptual"} < losses.keys()
    moved = task.model.reconstruct(pair.source, pair.driving).prediction
    assert not torch.allclose(moved, pair.source, atol=1e-3)
    confidence = task.model.embedding(pair.source).confidence
    assert torch.equal(confidence, torch.ones_like(confidence))


def test_published_training_is_gradient_descent_with_momentum_on_the_photometric_loss_alone():
    torch.manual_seed(0)
    task = build_training(TrainingRequest("paper", Identity(), None, 10))
    assert set(task.networks) == {"pix2pixUnwrapped", "pix2pixSampler"}
    for optimizer in task.optimizers().values():
        assert isinstance(optimizer, torch.optim.SGD)
        (group,) = optimizer.param_groups
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-3, 0.9, 0)
    norms = [module for module in task.networks.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.weight.min() >= 0.02 and norm.weight.max() <= 1 for norm in norms)
