"""The puppet evaluators: recorded figures, golden outputs, batch invariance, sizes and order of distances."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchbed.datasets.puppets.dataset import DrawnDataset, open_puppets
from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.metrics.evaluators import puppet_features, puppet_identity, puppet_keypoints
from benchbed.metrics.evaluators.puppet_backdrops import backdrops, exchanged
from benchbed.metrics.evaluators.puppet_measures import (
    area_under_curve,
    distances,
    distorted,
    identity_figures,
    keypoint_figures,
    perceptual_figures,
)
from benchbed.metrics.evaluators.puppet_samples import (
    Augmentation,
    PuppetSamples,
    augment,
    blurred,
    crossed_ids,
    render,
)
from benchbed.metrics.evaluators.puppet_weights import measured_figures, write_weights
from benchbed.weights import read_metadata

CPU = torch.device("cpu")
BUILDERS: dict[str, Callable[..., Any]] = {
    "puppet-keypoints": puppet_keypoints.build,
    "puppet-identity": puppet_identity.build,
    "puppet-features": puppet_features.build_perceptual,
    "puppet-features-pooled": puppet_features.build_pooled,
}
FILES = {
    "puppet-keypoints": puppet_keypoints.WEIGHTS,
    "puppet-identity": puppet_identity.WEIGHTS,
    "puppet-features": puppet_features.WEIGHTS,
}


@pytest.fixture(scope="module")
def puppets() -> DrawnDataset:
    return open_puppets(resolution=64)


@pytest.fixture(scope="module")
def held_out(puppets: DrawnDataset) -> PuppetSamples:
    """Every test character in two motions, every second frame."""
    return render(puppets, crossed_ids(puppets, "test", motions_each=2, seed=1), every=2)


@pytest.fixture(scope="module")
def frames(held_out: PuppetSamples) -> torch.Tensor:
    return held_out.frames[::16].float() / 255.0


def tensors_of(features: object) -> list[torch.Tensor]:
    flat: list[torch.Tensor] = []
    for value in vars(features).values():
        flat.extend(value if isinstance(value, tuple) else [value])
    return flat


@pytest.mark.parametrize("name", FILES)
def test_weights_record_what_they_were_trained_on_and_fit_the_wheel(name: str, puppets: DrawnDataset) -> None:
    metadata = read_metadata(FILES[name])
    assert metadata["name"] == name
    assert metadata["dataset.fingerprint"] == puppets.fingerprint
    assert metadata["command"].startswith("benchbed train ")
    assert {"seed", "torch", "preprocessing", "golden.seed"} <= metadata.keys()
    assert FILES[name].stat().st_size <= 1_000_000
    assert {str(tensor.dtype) for tensor in load_file(FILES[name]).values()} == {"torch.float16"}


def test_keypoint_targets_hold_on_held_out_identities_and_agree_with_the_record(
    held_out: PuppetSamples,
) -> None:
    recorded = measured_figures(FILES["puppet-keypoints"])
    figures = keypoint_figures(puppet_keypoints.build(device=CPU), held_out)
    for measured in (recorded, figures):
        assert float(measured["mean_error_px_64"]) <= 1.5
        assert float(measured["found_within_3px"]) >= 0.95
    # a quarter of the frames, other motions: 0.2 px and 3 % are about four standard errors over 24 characters
    assert float(figures["mean_error_px_64"]) == pytest.approx(float(recorded["mean_error_px_64"]), abs=0.2)
    assert float(figures["found_within_3px"]) == pytest.approx(float(recorded["found_within_3px"]), abs=0.03)


def test_identity_separates_held_out_characters_as_recorded(held_out: PuppetSamples) -> None:
    recorded = measured_figures(FILES["puppet-identity"])
    figures = identity_figures(puppet_identity.build(device=CPU), held_out)
    assert float(recorded["verification_auc"]) >= 0.97
    assert float(recorded["verification_auc_other_background"]) >= 0.97
    assert float(figures["verification_auc"]) >= 0.97
    assert float(figures["cosine_same"]) > float(figures["cosine_different"]) + 0.3


def test_perceptual_distance_orders_distortions_as_recorded(held_out: PuppetSamples) -> None:
    figures = perceptual_figures(puppet_features.build_perceptual(device=CPU), held_out.subset(slice(0, 96)))
    recorded = measured_figures(FILES["puppet-features"])
    # single frames may tie at neighbouring strengths; 5 % covers the smaller sample
    assert float(figures["distortion_order"]) == pytest.approx(float(recorded["distortion_order"]), abs=0.05)


@pytest.mark.parametrize("kind", ["blur", "noise", "shift", "contrast"])
def test_perceptual_distance_grows_with_the_strength_of_a_distortion(frames: torch.Tensor, kind: str) -> None:
    evaluator = puppet_features.build_perceptual(device=CPU)
    means = [distances(evaluator, frames, step).mean().item() for step in distorted(frames, kind)]
    assert means == sorted(means)
    assert means[0] > 0.0


def test_perceptual_distance_of_a_frame_to_itself_is_exactly_zero(frames: torch.Tensor) -> None:
    evaluator = puppet_features.build_perceptual(device=CPU)
    assert distances(evaluator, frames, frames.clone()).abs().max() == 0.0


def test_perceptual_layers_have_unit_length_and_weights_are_not_negative(frames: torch.Tensor) -> None:
    features = puppet_features.build_perceptual(device=CPU)(frames)
    for layer, weight in zip(features.layers, features.weights, strict=True):
        assert layer.shape[1] == len(weight)
        assert (weight >= 0).all()
        # float32 rounding of a sum of at most 128 squares
        torch.testing.assert_close(layer.norm(dim=1), torch.ones_like(layer[:, 0]), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("name", BUILDERS)
def test_one_frame_at_a_time_gives_what_a_batch_gives(name: str, frames: torch.Tensor) -> None:
    evaluator = BUILDERS[name](device=CPU)
    batched = tensors_of(evaluator(frames[:5]))
    single = [tensors_of(evaluator(frame[None])) for frame in frames[:5]]
    for index, tensor in enumerate(batched):
        if len(tensor) != 5:  # the per-layer weights
            continue
        together = torch.cat([parts[index] for parts in single])
        # convolutions may sum in another order for another batch size: float32 noise
        torch.testing.assert_close(tensor.float(), together.float(), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_same_frames_give_the_same_bits_from_a_second_instance(name: str, frames: torch.Tensor) -> None:
    first, second = (BUILDERS[name](device=CPU) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint.startswith(f"{name}:")
    for a, b in zip(tensors_of(first(frames)), tensors_of(second(frames)), strict=True):
        assert a.dtype in (torch.float32, torch.bool)
        assert torch.equal(a, b)


@pytest.mark.parametrize("resolution", [128, 256])
def test_keypoints_are_in_pixels_of_the_given_frames(resolution: int) -> None:
    dataset = open_puppets(resolution=resolution)
    clip = dataset.clips("test")[3].id
    known = dataset.keypoints(clip)
    features = puppet_keypoints.build(device=CPU)(dataset.frames(clip).float() / 255.0)
    error = np.linalg.norm(features.positions.numpy() - known.positions, axis=-1)[known.visible]
    # the target of 1.5 px at 64 px, scaled
    assert np.median(error) <= 1.5 * resolution / 64


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (128, 128)])
def test_frames_of_any_size_are_accepted(size: tuple[int, int]) -> None:
    frames = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert puppet_keypoints.build(device=CPU)(frames).positions.shape == (2, 15, 2)
    assert puppet_identity.build(device=CPU)(frames).vectors.shape == (2, puppet_identity.DIMENSIONS)
    assert puppet_features.build_pooled(device=CPU)(frames).vectors.shape == (2, puppet_features.CHANNELS[-1])
    assert puppet_features.build_perceptual(device=CPU)(frames).layers[0].shape[-2:] == size


def test_feature_maps_pass_gradients_to_the_frames_and_keep_the_network_frozen() -> None:
    network = puppet_features.feature_maps(CPU)
    frames = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    maps = network(frames)
    assert [map_.shape[1] for map_ in maps] == list(puppet_features.CHANNELS)
    sum(map_.mean() for map_ in maps).backward()
    assert frames.grad is not None
    assert frames.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", FILES)
def test_any_tensor_with_its_sign_flipped_is_noticed_at_load(name: str, tmp_path: Path) -> None:
    tensors, metadata = load_file(FILES[name]), read_metadata(FILES[name])
    for changed in tensors:
        path = tmp_path / "flipped.safetensors"
        flipped = {key: -tensor if key == changed else tensor for key, tensor in tensors.items()}
        save_file(flipped, path, metadata=metadata)
        with pytest.raises(CheckpointError, match="golden output"):
            BUILDERS[name](device=CPU, weights=path)


def test_damaged_missing_and_foreign_files_are_refused_with_a_sentence(tmp_path: Path) -> None:
    source = FILES["puppet-identity"]
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(source.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="damaged"):
        puppet_identity.build(device=CPU, weights=cut)
    cut.write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        puppet_identity.build(device=CPU, weights=cut)
    with pytest.raises(WeightsMissingError, match="missing: pip install"):
        puppet_identity.build(device=CPU, weights=tmp_path / "none.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    shutil.copy(FILES["puppet-features"], foreign)
    with pytest.raises(CheckpointError, match="do not fit"):
        puppet_identity.build(device=CPU, weights=foreign)


def test_metadata_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"measured.figure": "1.0", "name": "x"})
    assert read_metadata(path) == {"measured.figure": "1.0", "name": "x"}
    assert measured_figures(path) == {"figure": "1.0"}


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    network = puppet_features.load_network()
    first, second = (
        write_weights(tmp_path / name, network, {"b": "1", "a": "2"}, preprocessing="1") for name in "xy"
    )
    assert first.read_bytes() == second.read_bytes()
    assert read_metadata(first)["a"] == "2"


def test_exchanging_backgrounds_keeps_the_figure(puppets: DrawnDataset) -> None:
    ids = [f"test/c00{character}-m{motion:03d}" for character in (1, 2) for motion in range(8)]
    samples = render(puppets, ids, every=2)
    scenes = backdrops(samples)
    other = scenes[1 - samples.identity]
    moved = exchanged(samples.frames, scenes[samples.identity], other)
    changed = (moved != samples.frames).any(dim=1)
    # the corner never shows the figure; joints do wherever they are visible
    assert changed[:, 0, 0].all()
    pixels = samples.positions.round().long().clamp(0, 63)
    at_joints = changed[torch.arange(len(moved))[:, None], pixels[..., 1], pixels[..., 0]]
    assert at_joints[samples.visible].float().mean() < 0.05


def test_golden_output_is_recorded_as_numbers() -> None:
    for path in FILES.values():
        numbers = np.array(json.loads(read_metadata(path)["golden.output"]))
        assert np.isfinite(numbers).all()
        assert numbers.std() > 0


def test_augmentation_moves_key_points_with_the_pixels() -> None:
    frames = torch.zeros(8, 3, 64, 64)
    frames[:, :, 30:33, 40:43] = 1.0  # a square whose centre is (41, 31)
    positions = torch.tensor([[[41.0, 31.0]]]).expand(8, 1, 2)
    strength = Augmentation(shift=5, rotation=0.5, scale=0.2)
    moved, where = augment(frames, positions, strength, torch.Generator().manual_seed(3))
    mass = moved[:, 0] / moved[:, 0].sum(dim=(1, 2), keepdim=True)
    pixels = torch.arange(64.0)
    centre = torch.stack([(mass.sum(1) * pixels).sum(1), (mass.sum(2) * pixels).sum(1)], dim=1)
    # bilinear sampling keeps the centre of mass of a symmetric blob to a tenth of a pixel
    torch.testing.assert_close(centre, where[:, 0], atol=0.1, rtol=0.0)


def test_blur_of_radius_zero_changes_nothing_and_keeps_the_mean_of_a_flat_frame() -> None:
    frames = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blurred(frames, torch.zeros(2)), frames)
    flat = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(blurred(flat, torch.tensor([2.0])), flat)


def test_area_under_curve_by_hand() -> None:
    assert area_under_curve(np.array([3.0, 2.0]), np.array([1.0, 2.0])) == pytest.approx(0.875)
