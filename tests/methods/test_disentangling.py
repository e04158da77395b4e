"""The stage that trains the AVD network alone: its published numbers, what it changes, and what its file does."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.cli.main import main
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.keypoint_set_animation import AVD
from benchbed.methods.mraa.config import mraa_config
from benchbed.methods.mraa.method import Mraa
from benchbed.methods.mraa.presets import presets as mraa_presets
from benchbed.methods.mraa.training import RegionPoses
from benchbed.methods.tpsmm.config import tpsmm_config
from benchbed.methods.tpsmm.method import Tpsmm
from benchbed.methods.tpsmm.presets import presets as tpsmm_presets
from benchbed.methods.training.keypoint_set_poses import KeypointSetPoses
from benchbed.methods.training.recipe import BETAS
from benchbed.registry import card, cards
from benchbed.weights import load_tensors

METHODS = sorted(one.name for one in cards("method") if "tiny-avd" in one.data.get("presets", ()))
# what detects poses, by the norms that go on gathering statistics
DETECTORS = {"mraa": "region_predictor"}


class Taps(nn.Module):
    """A perceptual network of two taps; this stage has no use for it."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, frames]


class ReturnsPose(nn.Module):
    """An AVD network that has learned nothing of shapes."""

    def forward(self, identity: Tensor, pose: Tensor) -> Tensor:
        return pose


def stage(name: str, preset: str = "tiny-avd"):
    torch.manual_seed(4)
    return card("method", name).load("training")(TrainingRequest(preset, Taps(), identities=24))


def frames(count: int, side: int) -> FramePair:
    coarse = torch.rand(2, count, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    return FramePair(*(nn.functional.interpolate(images, size=side, mode="bilinear") for images in coarse))


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_every_method_with_an_avd_network_has_the_stage():
    assert METHODS == ["anytime", "anytime-v2", "cpabmm", "mofd", "mraa", "tpsmm"]


# persons times repeats in batches of 256; TPSMM's scheduler falls an epoch after its milestones
@pytest.mark.parametrize(
    ("name", "epochs", "epoch", "milestones"),
    [
        ("mraa", 30, 424 * 2000 // 256, (20, 25)),
        ("tpsmm", 200, 424 * 300 // 256, (141, 181)),
        ("cpabmm", 200, 424 * 300 // 256, (141, 181)),
        ("mofd", 200, 424 * 300 // 256, (141, 181)),
    ],
)
def test_full_size_presets_have_the_published_numbers(name, epochs, epoch, milestones):
    preset = stage(name, "paper-avd").preset
    schedule, recipe = preset.recipe.schedule, preset.recipe
    assert (schedule.batch_size, schedule.steps, schedule.resolution) == (256, epochs * epoch, 256)
    assert recipe.milestones == tuple(epoch * one for one in milestones)
    assert (recipe.learning_rates[AVD], recipe.betas, recipe.weight_decay) == (1e-3, BETAS, 0)
    assert (preset.stretch, schedule.id_sampling, schedule.jitter) == (0.25, True, (0.1,) * 4)


def test_anytime_trains_it_on_tai_chi_as_tpsmm_does():
    preset = card("method", "anytime").load("training").__globals__["presets"](682)["paper-avd"]()
    epoch = 682 * 150 // 256
    assert preset.recipe.schedule.steps == 100 * epoch
    assert preset.recipe.milestones == (71 * epoch, 91 * epoch)


@pytest.mark.parametrize("name", METHODS)
def test_every_step_changes_the_avd_network_and_of_the_others_only_the_statistics_of_the_detector(name):
    task = stage(name)
    pair = frames(6, task.schedule.resolution)
    optimizers = task.optimizers()
    before = {key: value.clone() for key, value in task.networks.state_dict().items()}
    reached: set[str] = set()

    def backward(loss: Tensor) -> None:
        loss.backward()
        reached.update(key for key, value in task.networks.named_parameters() if value.grad is not None)

    totals = []
    for step in range(12):
        torch.manual_seed(step)
        totals.append(task.step(pair, optimizers, backward)["total"].item())
    parameters = {key for key, _ in task.networks.named_parameters()}
    assert reached == {key for key in parameters if key.startswith(AVD)}
    changed = moved(before, task.networks.state_dict())
    assert changed & parameters == reached
    statistics = {key.split(".")[0] for key in changed - parameters}
    assert statistics == {AVD, DETECTORS.get(name, "kp_detector")}
    assert totals[-1] < totals[0] / 2
    assert {AVD, *task.frozen} == set(task.networks)


@pytest.mark.parametrize("name", METHODS)
def test_its_file_takes_absolute_poses_through_the_avd_network(name, tmp_path):
    task = stage(name)
    pair = frames(2, task.schedule.resolution)
    task.step(pair, task.optimizers(), lambda loss: loss.backward())
    tensors, metadata = task.export()
    path = tmp_path / "avd.safetensors"
    save_file(tensors, path, metadata=metadata)
    method = card("method", name).load()(checkpoint=path, configuration=None)
    assert method.conventions["absolute_pose"] == "avd"
    assert method.conventions["configuration"] == "tiny+avd"
    made = torch.cat(
        [
            method.animate(method.encode(s[None]), d[None])
            for s, d in zip(pair.source, pair.driving, strict=True)
        ]
    )
    assert torch.allclose(task.sample(pair), made, atol=2e-5)


def test_key_points_are_wanted_as_they_are_and_given_stretched():
    config = tpsmm_config(tpsmm_presets()["tiny-avd"]().published)
    method = Tpsmm(config)
    networks = nn.ModuleDict({"kp_detector": method.kp_detector, AVD: ReturnsPose()})
    pair = frames(4, 64)
    factors = torch.tensor([[1.0, 1.0], [1.25, 1.0], [1.0, 0.75], [0.9, 1.1]])
    with torch.no_grad():
        points = method.kp_detector(pair.driving).value
        found = KeypointSetPoses(method, networks).losses(pair.source, pair.driving, factors)
    expected = (points * (factors - 1)[:, None]).abs().mean()
    assert found["keypoints"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_centres_and_shapes_of_regions_are_wanted_as_they_are_and_given_stretched():
    method = Mraa(mraa_config(mraa_presets()["tiny-avd"]().published))
    method.avd_network = ReturnsPose()
    pair = frames(4, 64)
    factors = torch.tensor([[1.0, 1.0], [1.25, 1.0], [1.0, 0.75], [0.9, 1.1]])
    with torch.no_grad():
        regions = method.region_predictor(pair.driving)
        found = RegionPoses(method, nn.ModuleDict()).losses(pair.source, pair.driving, factors)
    stretch = torch.diag_embed(factors - 1)[:, None]
    assert found["shift"].item() == pytest.approx(
        (stretch @ regions.shift[..., None]).abs().mean().item(), rel=1e-5
    )
    assert found["affine"].item() == pytest.approx((stretch @ regions.affine).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["tpsmm", "mraa"])
def test_the_command_line_goes_on_from_trained_weights_and_keeps_them(name, tmp_path):
    given = card("method", name).folder / "weights" / "puppets.safetensors"
    words = ["train", "--method", name, "--preset", "tiny-avd", "--steps", "2", "--split", "test"]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--device", "cpu", "--start", str(given), "--out", str(tmp_path)])
    before, after = (load_tensors(path).tensors for path in (given, tmp_path / f"{name}.safetensors"))
    assert not {key for key in moved(before, after) if "running_" not in key and "num_batches" not in key}
    assert {key.split(".")[0] for key in set(after) - set(before)} == {AVD}


@pytest.mark.parametrize(
    ("name", "start", "sentence"),
    [
        (
            "tpsmm",
            None,
            "does not train kp_detector, dense_motion_network, inpainting_network; give their trained",
        ),
        ("mofd", "tpsmm", "tensors that this preset does not train"),
    ],
)
def test_without_its_trained_networks_it_is_refused(name, start, sentence, tmp_path, capsys):
    words = ["train", "--method", name, "--preset", "tiny-avd", "--out", str(tmp_path)]
    if start is not None:
        words += ["--start", str(card("method", start).folder / "weights" / "puppets.safetensors")]
    with pytest.raises(SystemExit, match="2"):
        main(words)
    said = capsys.readouterr().err.splitlines()
    assert sentence in said[-1] and said[-1].startswith("benchbed: ")
