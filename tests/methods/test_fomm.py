"""FOMM: official configurations, weights files, batches, transfer, training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair
from benchbed.methods.blocks.best_frame import best_frame, outward_passes
from benchbed.methods.fomm.checkpoint import inference_networks
from benchbed.methods.fomm.config import fomm_config
from benchbed.methods.fomm.method import Fomm, build
from benchbed.methods.fomm.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.fomm.presets import presets, published_preset
from benchbed.methods.fomm.training import build_discriminator, fomm_training

from .released import (
    OPTIMIZER,
    check_batch,
    check_wrong_transfers,
    frames,
    on_meta,
    write_own,
    write_released,
)

SMALL = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_kp": 4, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {
            "temperature": 0.1,
            "block_expansion": 4,
            "max_features": 8,
            "scale_factor": 0.5,
            "num_blocks": 2,
        },
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "dense_motion_params": {
                "block_expansion": 4,
                "max_features": 8,
                "num_blocks": 2,
                "scale_factor": 0.5,
            },
        },
        "discriminator_params": {
            "scales": [1],
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
            "sn": True,
            "use_kp": True,
        },
    },
}


class Taps(nn.Module):
    """A stand-in feature network of four maps."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, frames[:, :, ::2], frames[..., ::2], frames.square()]


def small_method(seed: int = 0) -> Fomm:
    torch.manual_seed(seed)
    method = Fomm(fomm_config(SMALL)).eval()
    # Without this the fresh jacobians are the same for every image.
    nn.init.normal_(method.kp_detector.jacobian.weight, std=0.01)
    return method


def small_file(folder: Path, method: Fomm, **changes: Tensor) -> Path:
    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in method.state_dict().items()
    }
    return write_own(folder, tensors, SMALL, **changes)


@pytest.fixture(scope="module")
def official_file(tmp_path_factory) -> Path:
    """A file in the released format: nested state dicts, optimiser states, an epoch."""
    return write_released(
        tmp_path_factory.mktemp("official") / "mgif-cpk.pth.tar",
        on_meta(inference_networks, fomm_config(official("mgif-256"))),
        discriminator={"discs.1.conv.bias": torch.zeros(1)},
        optimizer_generator=OPTIMIZER,
    )


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = fomm_config(official(name))
    networks = on_meta(inference_networks, config)
    count = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    # One shared jacobian map saves 9 of 10 heads of 4 x (35 x 7 x 7 + 1).
    shared = 36 * (35 * 49 + 1) if name == "mgif-256" else 0
    assert count == {"generator": 45_575_391, "kp_detector": 14_215_368 - shared}
    assert config.discriminator is not None
    conditioned = 10 * 64 * 16 if "adv" in name else 0
    discriminator = build_discriminator(config.discriminator)
    assert sum(p.numel() for p in discriminator.parameters()) == 2_758_849 + conditioned
    assert config.resolution == (256, 256)


def test_every_official_file_and_configuration_has_its_dataset():
    assert set(OFFICIAL_FILES.values()) == set(official_names()) == set(DATASETS)


def test_options_after_a_configuration_change_sampling_and_movement_scale():
    config = fomm_config(official("vox-256+aligned+adapted"))
    assert config.align_corners
    assert config.generator is not None and config.generator.dense_motion.align_corners
    assert config.transfer.adapt_movement_scale
    with pytest.raises(UnknownNameError, match="vox-256"):
        official("vox-256+sideways")


def test_a_method_without_weights_names_the_official_files():
    with pytest.raises(WeightsMissingError, match=r"vox-cpk\.pth\.tar"):
        build(checkpoint=None, configuration=None)


def test_an_official_file_loads_by_its_tensors_and_name(official_file):
    method = build(checkpoint=official_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("mgif", (256, 256))
    assert method.conventions["configuration"] == "mgif-256"
    assert method.conventions["align_corners"] == "false"
    # The constants of the constructor stay, whatever the file says of them.
    assert method.kp_detector.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)
    renamed = official_file.rename(official_file.with_name("found.pth.tar"))
    try:
        other = build(checkpoint=renamed, configuration=None)
        aligned = build(checkpoint=renamed, configuration="mgif-256+aligned")
    finally:
        renamed.rename(official_file)
    assert (other.trained_on, other.conventions["configuration"]) == ("unknown", "mgif-256")
    assert aligned.conventions["align_corners"] == "true"


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(official_file):
    with pytest.raises(CheckpointError, match=r"2 misshapen \(kp_detector\.jacobian\.weight.*fit 'mgif-256'"):
        build(checkpoint=official_file, configuration="vox-256")


def test_our_file_carries_its_configuration_and_half_precision_is_close(tmp_path):
    method = small_method()
    loaded = build(checkpoint=small_file(tmp_path, method), configuration=None)
    assert (loaded.trained_on, loaded.resolution) == ("puppets", (32, 32))
    source, driving = frames(1), frames(2, seed=1)
    # 2e-2: weights were rounded to 11 bits
    assert torch.allclose(
        loaded.animate(loaded.encode(source), driving),
        method.animate(method.encode(source), driving),
        atol=2e-2,
    )


def test_misshapen_missing_and_extra_tensors_are_named(tmp_path):
    path = small_file(tmp_path, small_method(), **{"generator.final.bias": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.final\.bias \[4\] instead of \[3\]"):
        build(checkpoint=path, configuration=None)
    path = small_file(tmp_path, small_method(), **{"generator.more": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 unexpected \(generator\.more"):
        build(checkpoint=path, configuration=None)


def test_a_file_of_another_network_fits_no_configuration(tmp_path):
    save_file({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="fits no official FOMM configuration"):
        build(checkpoint=tmp_path / "other.safetensors", configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(transfer):
    method, driving = small_method(), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    method, initial = small_method(), frames(1, seed=3)
    encoding = method.encode(frames(1))
    points = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(points.value, encoding.keypoints.value, atol=1e-6)
    # 1e-4: an inverse in float32
    assert torch.allclose(points.jacobian, encoding.keypoints.jacobian, atol=1e-4)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "fomm", frames(1))
    with pytest.raises(BenchbedError, match="multiples of 8"):
        method.encode(frames(1, size=30))
    with pytest.raises(BenchbedError, match="lacks 'model_params'"):
        fomm_config({})


def test_best_frame_finds_the_same_shape_elsewhere_and_larger():
    generator = torch.Generator().manual_seed(4)
    landmarks = torch.rand(4, 68, 2, generator=generator).numpy()
    assert best_frame(landmarks[2] * 3 + 7, landmarks) == 2
    assert outward_passes(2, 5) == ([2, 3, 4], [2, 1, 0])


def test_adversarial_training_moves_all_three_networks():
    torch.manual_seed(7)
    training = official("vox-adv-256")
    training["train_params"]["loss_weights"]["feature_matching"] = [10, 10]
    training["train_params"]["loss_weights"]["perceptual"] = [10, 10, 10, 10]
    published = {
        **SMALL,
        "train_params": training["train_params"],
        "dataset_params": training["dataset_params"],
    }
    task = fomm_training(published_preset("small", published, 32, 10), Taps())
    optimizers = task.optimizers()
    before = {name: [p.clone() for p in net.parameters()] for name, net in task.networks.items()}
    losses = task.step(FramePair(frames(2), frames(2, seed=1)), optimizers, lambda loss: loss.backward())
    assert {"generator_gan", "feature_matching", "discriminator_gan"} < set(losses)
    for name, network in task.networks.items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], network.parameters(), strict=True)), (
            name
        )
    assert set(task.export()[0]) == {f"generator.{n}" for n in task.networks["generator"].state_dict()} | {
        f"kp_detector.{n}" for n in task.networks["kp_detector"].state_dict()
    }


def test_paper_recipe_has_the_published_steps_and_milestones():
    preset = presets()["paper"]()
    # 424 persons x 75 repeats in batches of 40, 100 epochs
    assert preset.recipe.schedule.steps == 79_500
    config = fomm_config(preset.published)
    assert config.training is not None
    assert config.training.loss_weights.generator_gan == 0
    assert config.training.epoch_milestones == (60, 90)
    assert (config.training.batch_size, config.training.id_sampling) == (40, True)
