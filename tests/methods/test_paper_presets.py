"""The published recipes: their numbers, what they need that is not bundled, and that each takes a step at full width."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import WeightsMissingError
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks import anytime_animation
from benchbed.methods.blocks.vision_transformer import FrozenTransformer, TransformerConfig
from benchbed.methods.cpabmm import presets as cpabmm
from benchbed.methods.cpabmm import training as cpabmm_training
from benchbed.methods.facevid2vid import presets as facevid2vid
from benchbed.methods.facevid2vid import training as facevid2vid_training
from benchbed.methods.facevid2vid.head_pose_teacher import HeadPoseTeacher
from benchbed.methods.hdam import presets as hdam
from benchbed.methods.iapm import presets as iapm
from benchbed.methods.lia import presets as lia
from benchbed.methods.monkeynet import presets as monkeynet
from benchbed.methods.x2face import presets as x2face
from benchbed.registry import card, cards

PAPERS = sorted(one.name for one in cards("method") if "paper" in one.data.get("presets", ()))
# The smallest side that the full-size networks halve as often as they need to, 128 where not said.
SIDES = {"lia": 32, "mofd": 256, "x2face": 256}
# What no term of the first step reaches, by how names begin, with the reason.
SILENT: dict[str, tuple[str, ...]] = {
    # published training begins to predict backgrounds in its tenth epoch
    "cpabmm": ("bg_predictor.",),
    # blocks that nothing uses; masks are refined from the second epoch on
    "iapm": ("generator.down_blocks.", "generator.mask_fix_net.", "generator.ref."),
    # noise that is never added and an image head that is never read
    "lia": (
        "gen.dec.conv1.noise",
        "gen.dec.to_rgb1.",
        *(f"gen.dec.convs.{level}.noise" for level in range(12)),
    ),
    # as CPABMM's, and the paper computes an identity code and uses it nowhere
    "mofd": ("bg_predictor.", "feature_decoupling.identity_head."),
    # a constant that published files count among the parameters
    "mtia": ("kp_detector.transformer.pos_embedding",),
    "tpsmm": ("bg_predictor.",),
}
ALL_TAPS = (10, 10, 10, 10, 10)
PYRAMID = (1, 0.5, 0.25, 0.125)
JITTER = (0.1, 0.1, 0.1, 0.1)


class FiveTaps(nn.Module):
    """A perceptual network of as many taps as there are published weights."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames, *(nn.functional.avg_pool2d(frames, side) for side in (2, 2, 4, 4))]


@dataclass(frozen=True)
class Published:
    """A recipe as the specification has it, milestones in percent of the steps."""

    batch: int
    steps: int
    rate: float
    milestones: tuple[int, ...] = ()
    perceptual: tuple[float, ...] = ()
    id_sampling: bool = True
    flips: bool = True
    jitter: tuple[float, ...] = JITTER


def recipe_of(preset) -> Published:
    recipe, schedule = preset.recipe, preset.recipe.schedule
    assert schedule.horizontal_flip == schedule.time_flip
    assert schedule.resolution == 256
    assert recipe.scales == (PYRAMID if recipe.perceptual else (1.0,))
    return Published(
        schedule.batch_size,
        schedule.steps,
        next(iter(recipe.learning_rates.values())),
        tuple(step * 100 // schedule.steps for step in recipe.milestones),
        recipe.perceptual,
        schedule.id_sampling,
        schedule.horizontal_flip,
        schedule.jitter,
    )


NOTHING = (0.0, 0.0, 0.0, 0.0)
# an epoch of VoxCeleb: 424 persons 75 times, or 19522 clips once
RECIPES = {
    "cpabmm": (cpabmm.presets()["paper"], Published(8, 100 * 3975, 1e-4, (70, 90), ALL_TAPS)),
    "facevid2vid": (
        lambda: facevid2vid.preset_named("paper"),
        Published(32, 300 * 993, 2e-4, (60,), ALL_TAPS),
    ),
    "hdam": (hdam.presets()["paper"], Published(48, 100 * 662, 2e-4, (60, 90), ALL_TAPS)),
    "iapm": (iapm.PRESETS["paper"], Published(16, 100 * 1987, 2e-4, (60, 90), (10, 10, 10, 0, 0))),
    "lia": (
        lambda: lia.preset_named("paper"),
        Published(32, 800_000, 1.6e-3, (), ALL_TAPS, id_sampling=False, flips=False, jitter=NOTHING),
    ),
    "monkeynet": (
        monkeynet.PRESETS["paper"],
        Published(20, 20 * 976, 2e-4, id_sampling=False, jitter=NOTHING),
    ),
    "x2face": (
        x2face.PRESETS["paper"],
        Published(16, 6_000_000, 1e-3, id_sampling=False, flips=False, jitter=NOTHING),
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_schedule_rates_and_augmentation_are_the_published_ones(name):
    make, expected = RECIPES[name]
    assert recipe_of(make()) == expected


def test_loss_weights_and_optimisers_are_the_published_ones():
    masks = iapm.PRESETS["paper"]()
    assert (masks.mask_correction, masks.guess, masks.epochs, masks.refinement_start) == (100, 0, 100, 1)
    anchors = hdam.presets()["paper"]()
    assert (anchors.root_weight, anchors.intermediate_weight, anchors.orthogonality_weight) == (1, 10, 10)
    assert (anchors.completeness_weight, anchors.threshold, anchors.equivariance_value) == (10, 0.33, 10)
    assert anchors.recipe.gradient_norms == {"kp_detector": 1.0}
    clips = monkeynet.PRESETS["paper"]()
    assert (clips.reconstruction, *clips.features) == (10, 10, 10, 10, 1)
    assert (clips.generator_gan, clips.discriminator_gan, clips.reconstruction_deformed) == (1, 1, 0)
    assert clips.published["align_corners"] is True
    heads = facevid2vid.preset_named("paper")
    assert (heads.equivariance_weight, heads.keypoint_prior_weight) == (10, 10)
    assert (heads.head_pose_weight, heads.expression_weight) == (20, 5)
    assert heads.adversary == facevid2vid.AdversaryWeights(1, 1, (10, 10, 10, 10))
    latent = lia.preset_named("paper")
    assert (latent.reconstruction_weight, latent.adversarial_weight) == (1, 1)
    assert latent.recipe.learning_rates["discriminator"] == pytest.approx(0.002 * 16 / 17)
    assert latent.recipe.own_betas["gen"] == (0, pytest.approx(0.99**0.8))
    assert latent.recipe.own_betas["discriminator"] == (0, pytest.approx(0.99 ** (16 / 17)))
    splines = cpabmm.presets()["paper"]()
    assert (splines.structure_weight, splines.warp_weight, splines.background_weight) == (0.1, 10, 10)
    assert (splines.equivariance_weight, splines.background_start, splines.spline_gradient) == (10, 10, False)
    pixels = x2face.PRESETS["paper"]()
    assert (pixels.photometric, pixels.coarse, pixels.recipe.momentum) == (1, 0, 0.9)


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_that_is_not_published_is_added(name):
    make, _ = RECIPES[name]
    additions = make().recipe.additions
    assert not (additions.l1_weight or additions.deformed_weight or additions.copier)
    assert not (additions.warm_cosine or additions.relative_perceptual)
    assert (additions.freeze_norm_after, additions.colour_rate, additions.augmented_share) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cpabmm", r"weights missing: benchbed weights pull dino-vitb8 \(or put dino_vitbase8_pretrain\.pth"),
        ("facevid2vid", r"weights missing: .*hopenet_robust_alpha1\.pkl"),
    ],
)
def test_a_published_loss_whose_network_is_missing_stops_before_training_with_one_sentence(
    name, sentence, tmp_path, monkeypatch
):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    with pytest.raises(WeightsMissingError, match=sentence) as caught:
        card("method", name).load("training")(TrainingRequest("paper", FiveTaps()))
    assert "\n" not in str(caught.value)


def small_transformer(config: TransformerConfig) -> FrozenTransformer:
    return FrozenTransformer(TransformerConfig(32, 16, 2, 2, 16, 16))


@pytest.mark.parametrize("name", PAPERS)
def test_the_full_width_networks_take_a_step_in_mixed_precision(name, monkeypatch):
    for module in (anytime_animation, cpabmm_training):
        monkeypatch.setattr(module, "stored_transformer", small_transformer)
    monkeypatch.setattr(facevid2vid_training, "stored_teacher", HeadPoseTeacher)
    side = SIDES.get(name, 128)
    torch.manual_seed(0)
    task = card("method", name).load("training")(TrainingRequest("paper", FiveTaps(), side))
    views = torch.rand(1, task.schedule.references, 3, side, side) if task.schedule.references else None
    pair = FramePair(torch.rand(1, 3, side, side), torch.rand(1, 3, side, side), views)
    without: list[list[str]] = []

    def backward(loss: Tensor) -> None:
        loss.backward()
        without.append([key for key, value in task.networks.named_parameters() if value.grad is None])

    before = {key: value.clone() for key, value in task.networks.named_parameters() if value.ndim == 1}
    with torch.autocast("cpu", torch.bfloat16):
        losses = task.step(pair, task.optimizers(), backward)
    assert all(value.isfinite() for value in losses.values())
    # the first of perhaps two backward passes is that of all networks, through the discriminator
    silent = SILENT.get(name, ())
    assert [key for key in without[0] if not key.startswith(silent)] == []
    moved = {
        key.split(".")[0] for key in before if not torch.equal(before[key], task.networks.get_parameter(key))
    }
    assert moved == {key.split(".")[0] for key in before if not key.startswith(silent)}
    assert len(without) == 1 + ("discriminator" in task.networks)
