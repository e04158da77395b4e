"""LIA: StyleGAN2 layers, configurations, weights files, batches, transfer, training."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.patch_discriminator import PatchScores
from benchbed.methods.blocks.style_convolution import Blur, ModulatedConv, Upsample, fir_kernel
from benchbed.methods.lia.checkpoint import inference_networks
from benchbed.methods.lia.config import lia_config
from benchbed.methods.lia.discriminator import Discriminator, with_deviation
from benchbed.methods.lia.losses import LOGISTIC
from benchbed.methods.lia.method import Lia, build
from benchbed.methods.lia.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.lia.presets import preset_named
from benchbed.methods.lia.training import LiaTraining, build_training
from benchbed.methods.training.pair_training import PairTraining

from .released import check_batch, check_wrong_transfers, write_own
from .released import frames as noise

SMALL = {
    "size": 16,
    "style_dim": 12,
    "motion_dim": 4,
    "channels": {"4": 6, "8": 6, "16": 5},
}


frames = partial(noise, size=16)


def small_method(**changes: object) -> Lia:
    torch.manual_seed(0)
    return Lia(lia_config({**SMALL, **changes})).eval()


@pytest.fixture(scope="module")
def official_file(tmp_path_factory) -> Path:
    """A file in the released format: network, discriminator, optimiser states, training arguments."""
    with torch.device("meta"):
        shapes = inference_networks(lia_config(official("taichi-256")))["gen"].state_dict()
    content = {
        "gen": {name: torch.zeros(value.shape) for name, value in shapes.items()},
        "dis": {"convs.0.0.weight": torch.zeros(1)},
        "g_optim": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1.6e-3}]},
        "d_optim": {"state": {}, "param_groups": []},
        "args": argparse.Namespace(size=256, dataset="taichi"),
    }
    path = tmp_path_factory.mktemp("official") / "taichi.pt"
    torch.save(content, path)
    return path


def resampled(image: Tensor, up: int, padding: tuple[int, int], kernel: Tensor) -> Tensor:
    """The definition, step by step: zeros after every sample, padding, filtering with the flipped kernel."""
    height, width = image.shape[2:]
    spread = torch.zeros(*image.shape[:2], up * height, up * width)
    spread[:, :, ::up, ::up] = image
    padded = functional.pad(spread, (*padding, *padding))
    filtered = functional.conv2d(padded.flatten(0, 1).unsqueeze(1), kernel.flip(0, 1)[None, None])
    return filtered.view(*image.shape[:2], *filtered.shape[2:])


def test_the_fir_kernel_sums_to_its_gain():
    assert fir_kernel().sum().item() == pytest.approx(1)
    assert (fir_kernel(4)[0] * 64 / 4).tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize(
    ("layer", "up", "padding", "gain"),
    [(Blur((2, 2)), 1, (2, 2), 1), (Blur((1, 1), gain=4), 1, (1, 1), 4), (Upsample(), 2, (2, 1), 4)],
)
def test_resampling_equals_its_definition(layer, up, padding, gain):
    image = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    # 1e-6: another order of summation
    assert torch.allclose(layer(image), resampled(image, up, padding, fir_kernel(gain)), atol=1e-6)


@pytest.mark.parametrize(("demodulate", "up"), [(True, False), (False, False), (True, True)])
def test_a_modulated_convolution_scales_the_weights_of_every_sample(demodulate, up):
    torch.manual_seed(2)
    layer = ModulatedConv(4, 5, 3, 7, demodulate=demodulate, up=up)
    features, style = torch.randn(2, 4, 6, 6), torch.randn(2, 7)
    result = layer(features, style)
    for index in range(2):
        weight = layer.weight[0] * layer.scale * layer.modulation(style[index])[None, :, None, None]
        if demodulate:
            weight = weight * torch.rsqrt(weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        one = features[index : index + 1]
        if up:
            expected = layer.blur(functional.conv_transpose2d(one, weight.transpose(0, 1), stride=2))
        else:
            expected = functional.conv2d(one, weight, padding=1)
        # 1e-5: another order of summation
        assert torch.allclose(result[index : index + 1], expected, atol=1e-5)


@pytest.mark.parametrize("name", official_names())
def test_configurations_differ_from_the_published_network_in_the_motion_alone(name):
    config = lia_config(official(name))
    with torch.device("meta"):
        network = inference_networks(config)["gen"]
    count = sum(p.numel() for p in network.parameters())
    # fc.4 has 512 weights and a bias per output, the dictionary 512 weights per direction.
    outputs, directions = (config.motion_dim,) * 2 if config.motion_dictionary else (512, 0)
    assert count == 45_116_317 + 513 * (outputs - 20) + 512 * (directions - 20)
    assert config.resolutions == (8, 16, 32, 64, 128, 256)


def test_every_official_file_has_its_dataset_and_configuration():
    assert set(OFFICIAL_FILES.values()) == set(DATASETS) <= set(official_names())
    with pytest.raises(UnknownNameError, match="vox-256"):
        official("vox-256+sideways")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"style_dim": None}, "cannot be read"),
        ({"size": 24}, "no power of two"),
        ({"channels": {"4": 6, "8": 6}}, "no width for resolution 16"),
        ({"motion_dim": 13}, "not between 1 and style_dim"),
        ({"size": 64, "channels": None, "channel_multiplier": 2}, "cannot be blended"),
    ],
)
def test_an_impossible_configuration_is_refused(change, sentence):
    with pytest.raises(BenchbedError, match=sentence):
        lia_config({**SMALL, **change})


def test_a_method_without_weights_names_the_official_files():
    with pytest.raises(WeightsMissingError, match=r"vox\.pt"):
        build(checkpoint=None, configuration=None)


def test_an_official_file_loads_by_its_tensors_and_name(official_file):
    method = build(checkpoint=official_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("taichi-hd", (256, 256))
    assert method.conventions["configuration"] == "taichi-256"
    # The constants of the constructor stay, whatever the file says of them.
    assert method.gen.dec.to_rgbs[0].upsample.kernel.sum().item() == pytest.approx(4)


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(official_file):
    with pytest.raises(
        CheckpointError, match=r"misshapen \(gen\.enc\.fc\.4\.weight \[20, 512\].*fit 'vox-256'"
    ):
        build(checkpoint=official_file, configuration="m5-256")


def test_a_file_of_another_network_fits_no_configuration(tmp_path):
    save_file({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="fits no official LIA configuration"):
        build(checkpoint=tmp_path / "other.safetensors", configuration=None)


def test_our_file_carries_its_configuration_and_half_precision_is_close(tmp_path):
    method = small_method()
    tensors = {name: value.half() for name, value in method.state_dict().items()}
    loaded = build(checkpoint=write_own(tmp_path, tensors, SMALL), configuration=None)
    assert (loaded.trained_on, loaded.resolution) == ("puppets", (16, 16))
    source, driving = frames(1), frames(2, seed=1)
    # 2e-2: weights were rounded to 11 bits
    assert torch.allclose(
        loaded.animate(loaded.encode(source), driving),
        method.animate(method.encode(source), driving),
        atol=2e-2,
    )


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(transfer, dictionary):
    method, driving = small_method(motion_dictionary=dictionary), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    batch = check_batch(method, encoding, driving, **options)
    assert batch.min() >= 0 and batch.max() <= 1 and batch.std() > 0


def test_relative_transfer_of_the_initial_frame_keeps_the_pose_of_the_source():
    method, initial = small_method(), frames(1, seed=3)
    encoding = method.encode(frames(1))
    path = method.driving_path(encoding, initial, initial_driving=initial, transfer="relative")
    # 1e-6: a sum of rounded differences
    assert torch.allclose(path, encoding.path, atol=1e-6)


def test_absolute_transfer_of_the_source_and_no_manipulation_give_the_same():
    method, source = small_method(), frames(1)
    encoding = method.encode(source)
    still = method.manipulate(encoding, torch.zeros(1, 4))
    # 1e-5: the source is encoded twice
    assert torch.allclose(method.animate(encoding, source), still, atol=1e-5)
    assert not torch.allclose(method.manipulate(encoding, torch.eye(4)), still, atol=1e-2)


def test_directions_are_orthonormal():
    directions = small_method().gen.directions()
    # 1e-6: float32
    assert torch.allclose(directions.t() @ directions, torch.eye(4), atol=1e-6)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "lia", frames(1))
    with pytest.raises(BenchbedError, match="takes 16x16 only"):
        method.encode(frames(1, size=32))
    with pytest.raises(BenchbedError, match="lacks 'size'"):
        lia_config({})


class Blur(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, functional.avg_pool2d(frames, 2)]


def patches(seed: int, size: int = 32) -> Tensor:
    """Four images of colour patches `[4, 3, size, size]`."""
    coarse = torch.rand(4, 3, size // 8, size // 8, generator=torch.Generator().manual_seed(seed))
    return coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)


def tiny(size: int = 32) -> PairTraining:
    torch.manual_seed(0)
    return build_training(TrainingRequest("tiny", Blur(), size, 10))


def test_a_network_that_starts_as_a_copier_returns_its_source_whatever_the_driving_frame():
    source, model = patches(0), tiny().model
    made = model.reconstruct(source, patches(1))
    # a twentieth of the finest mask hides, and flows begin small, not at zero
    assert (made.prediction - source).abs().mean() < 0.06
    assert (made.deformed - source).abs().mean() < 0.03


def test_the_reconstruction_loss_sees_images_beyond_the_range_that_frames_are_clamped_to():
    model, driving = tiny().model, torch.ones(4, 3, 32, 32)
    made = model.reconstruct(driving, driving)
    last = made.levels[-1]
    beyond = replace(made, levels=(*made.levels[:-1], replace(last, image=torch.full_like(last.image, 3.0))))
    losses = model.losses(driving, driving, beyond)
    # images in [-1, 1] are 1 throughout
    assert losses["reconstruction"].item() == pytest.approx(2 * model.preset.reconstruction_weight)


def test_the_flow_of_every_coarse_level_is_taught_at_its_resolution():
    model, source, driving = tiny().model, patches(0), patches(1)
    made = model.reconstruct(source, driving)
    still = tuple(replace(level, flow=torch.zeros_like(level.flow)) for level in made.levels)
    taught = model.losses(source, driving, replace(made, levels=still))["deformed_pyramid"]
    errors = [functional.avg_pool2d(source - driving, 32 // r).abs().mean().item() for r in (8, 16)]
    assert taught.item() == pytest.approx(model.preset.pyramid_weight * sum(errors), rel=1e-4)


def test_training_moves_encoder_dictionary_and_decoder():
    task = tiny()
    optimizers = task.optimizers()
    before = {name: value.clone() for name, value in task.networks.named_parameters()}
    for step in range(2):
        task.step(FramePair(patches(step), patches(step + 2)), optimizers, lambda loss: loss.backward())
    unmoved = {name for name, value in task.networks.named_parameters() if torch.equal(value, before[name])}
    # published dead weights: noise that is never added, an image head that is never read
    assert {name for name in unmoved if "noise" not in name and "to_rgb1" not in name} == set()


def test_the_network_has_the_size_of_the_frames_it_is_trained_on():
    tensors, metadata = tiny(16).export()
    published = json.loads(metadata["configuration"])
    assert (published["size"], published["resolution"], published["align_corners"]) == (16, 16, True)
    assert set(Lia(lia_config(published)).state_dict()) == set(tensors)
    with pytest.raises(
        BenchbedError,
        match="at 48 pixels with preset 'tiny'; choose a power of two, 8 or a multiple up to 256",
    ):
        tiny(48)


def adversarial() -> LiaTraining:
    preset = preset_named("tiny").resized(16, 10)
    rates = {**preset.recipe.learning_rates, "discriminator": 2e-3}
    recipe = replace(preset.recipe, learning_rates=rates, own_betas={"discriminator": (0.0, 0.9)})
    torch.manual_seed(0)
    return LiaTraining(replace(preset, recipe=recipe, adversarial_weight=1.0), Blur())


def test_the_full_size_discriminator_halves_to_four_pixels_at_the_widths_of_the_encoder():
    with torch.device("meta"):
        network = Discriminator(lia_config(official("vox-256")))
        (judged,) = network([torch.empty(4, 3, 256, 256)])
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert judged.scores.shape == (4, 1, 1, 1)
    assert shapes["convs.0.0.weight"] == (64, 3, 1, 1)
    assert shapes["final_conv.0.weight"] == (512, 513, 3, 3)
    assert shapes["final_linear.0.weight"] == (512, 512, 4, 4)


@pytest.mark.parametrize(("count", "group"), [(1, 1), (2, 2), (8, 4), (6, 3), (5, 1)])
def test_images_see_how_much_their_group_differs(count, group):
    features = noise(count, size=4)
    joined = with_deviation(features)
    assert torch.equal(joined[:, :-1], features)
    for index in range(count):
        members = features[index % (count // group) :: count // group]
        wanted = (members.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        assert torch.allclose(joined[index, -1], wanted, atol=1e-6)


def test_the_logistic_objective_is_that_of_its_formulas():
    real, generated = ([PatchScores((), torch.tensor([[[[value]]]]))] for value in (0.3, -1.2))
    assert LOGISTIC.generator(generated).item() == pytest.approx(math.log1p(math.exp(1.2)))
    expected = math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-1.2))
    assert LOGISTIC.discriminator(real, generated).item() == pytest.approx(expected)


def test_the_discriminator_sees_images_beyond_the_range_and_trains_with_an_adam_of_its_own():
    task, source, driving = adversarial(), patches(0, 16), patches(1, 16)
    made = task.reconstruct(FramePair(source, driving))
    image = 3 * made.levels[-1].image
    beyond = replace(made, levels=(*made.levels[:-1], replace(made.levels[-1], image=image)))
    (judged,) = task.networks["discriminator"]([image])
    expected = functional.softplus(-judged.scores).mean()
    assert task.adversarial_losses(driving, beyond)["generator_gan"].item() == pytest.approx(expected.item())
    optimizers = task.optimizers()
    assert {name: one.param_groups[0]["betas"] for name, one in optimizers.items()} == {
        "gen": (0.5, 0.99),
        "discriminator": (0.0, 0.9),
    }
    before = {name: value.clone() for name, value in task.networks["discriminator"].named_parameters()}
    losses = task.step(FramePair(source, driving), optimizers, lambda loss: loss.backward())
    assert {"generator_gan", "discriminator_gan"} <= set(losses)
    after = dict(task.networks["discriminator"].named_parameters())
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []
    assert not any(name.startswith("discriminator") for name in task.export()[0])
