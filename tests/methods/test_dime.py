"""DiME: the behaviours its specification lists, its variants, its losses, and what every method owes."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.first_order import sparse_motions
from benchbed.methods.blocks.grids import coordinate_grid, sample
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.dime.checkpoint import inference_networks
from benchbed.methods.dime.config import EvolutionConfig, dime_config
from benchbed.methods.dime.evolution import MotionEvolution, VelocityNetwork
from benchbed.methods.dime.fusion import MovedView, fuse
from benchbed.methods.dime.method import Dime, build
from benchbed.methods.dime.official import official, official_names
from benchbed.methods.dime.pairs import DimePairs
from benchbed.methods.dime.presets import VARIANTS, presets
from benchbed.methods.dime.training import build_training
from benchbed.methods.fomm.config import fomm_config
from benchbed.methods.fomm.method import Fomm

from .released import check_batch, check_same_frames, check_wrong_transfers, frames, write_own

HOURGLASS = {"block_expansion": 4, "max_features": 16, "num_blocks": 2, "scale_factor": 0.5}
SMALL: dict[str, Any] = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_kp": 3, "num_channels": 3},
        "kp_detector_params": {"temperature": 0.1, **HOURGLASS},
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 1,
            "num_bottleneck_blocks": 1,
            "dense_motion_params": HOURGLASS,
        },
        "evolution_params": {"widths": [8, 8, 16], "solver": "rk4", "steps": 2},
        "self_flow_params": {
            "reduced_features": 4,
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
        },
    },
}


def words(evolution: dict[str, Any] | None = None, **variant: bool) -> dict[str, Any]:
    """A small configuration with other words for the evolution or of a variant."""
    published = deepcopy(SMALL)
    published["model_params"]["evolution_params"] |= evolution or {}
    published["model_params"]["variant_params"] = variant
    return published


def small(published: dict[str, Any] | None = None, *, stirred: bool = True) -> Dime:
    """A small method; `stirred` puts noise where training starts from zeros."""
    torch.manual_seed(0)
    method = Dime(dime_config(words() if published is None else published)).eval()
    if stirred:
        nn.init.normal_(method.self_flow.head.weight, std=0.05)
        if method.evolution is not None:
            nn.init.normal_(method.evolution.velocity.last.weight, std=0.05)
        if method.fusion is not None:
            nn.init.normal_(method.fusion.mix.weight, std=0.2)
    return method


def moved_views(method: Dime, source: Tensor, references: Tensor | None, driving: Tensor) -> list[MovedView]:
    """Every view in the pose of the driving frames."""
    with torch.no_grad():
        encoding = method.encode(source, references)
        keypoints = method.kp_detector(driving)
        return [
            method.move(encoding.repeated(number, len(driving)), keypoints, driving)
            for number in range(len(encoding))
        ]


def alphas(views: list[MovedView]) -> Tensor:
    """The weights of the views `(V, B, 1, h, w)`, by a plain softmax."""
    return torch.softmax(torch.stack([view.confidence for view in views]), dim=0)


def flow(seed: int = 0) -> Tensor:
    """A flow `(2, 8, 8, 2)` off the identity."""
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(2, 8, 8, 2, generator=generator, dtype=torch.float64)
    return coordinate_grid(8, 8, like=offsets) + 0.3 * offsets


class Linear(nn.Module):
    """Velocity a * offset, whatever the time."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, offsets: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
        return self.factor * offsets


def error_of_growth(solver: str, steps: int) -> float:
    """How far du/dt = -1.5 u is from exp(-1.5) after one unit of time."""
    evolution = MotionEvolution(EvolutionConfig(solver=solver, steps=steps))
    evolution.velocity = Linear(-1.5)
    start = flow()
    identity = coordinate_grid(8, 8, like=start)
    return (evolution(start) - identity - math.exp(-1.5) * (start - identity)).abs().max().item()


# The behaviours of the specification, in its order.


@pytest.mark.parametrize("solver", ["rk4", "euler"])
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_last_convolution_of_zeros_leaves_the_coarse_flow_bit_for_bit(solver, steps):
    evolution = MotionEvolution(EvolutionConfig(solver=solver, steps=steps))
    coarse = flow().float()
    assert torch.equal(evolution(coarse), coarse)


def test_an_untrained_method_samples_along_its_coarse_flow():
    for view in moved_views(small(stirred=False), frames(1), frames(2, seed=1), frames(3, seed=2)):
        assert torch.equal(view.deformation, view.coarse)


@pytest.mark.parametrize(("solver", "order"), [("rk4", 4), ("euler", 1)])
def test_the_solver_follows_linear_motion_to_its_order(solver, order):
    errors = [error_of_growth(solver, steps) for steps in (4, 8, 16)]
    for coarse, fine in pairwise(errors):
        # halving the step divides the error by 2 ** order, up to terms of the next order
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.35)
    assert error_of_growth("rk4", 4) < 1e-3 < error_of_growth("euler", 4)


def test_time_reaches_the_velocity_network_from_zero_to_one():
    times: list[float] = []

    class Clock(Linear):
        def forward(self, offsets: Tensor, time: Tensor, context: Tensor | None = None) -> Tensor:
            times.append(float(time))
            return super().forward(offsets, time)

    evolution = MotionEvolution(EvolutionConfig(solver="rk4", steps=4))
    evolution.velocity = Clock(1.0)
    evolution(flow())
    # four evaluations a step; the first of every step is at its beginning, the last at its end
    assert len(times) == 16
    assert times[::4] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert times[3::4] == pytest.approx([0.25, 0.5, 0.75, 1])


def test_without_references_the_only_view_weighs_exactly_one():
    method = small()
    (view,) = moved_views(method, frames(1), None, frames(2, seed=2))
    assert torch.equal(alphas([view]), torch.ones_like(view.confidence)[None])
    motion, identity = fuse([view])
    assert torch.equal(motion, view.warped)
    assert identity is not None and view.fetched is not None and torch.equal(identity, view.fetched)


def test_without_references_there_is_no_trace_of_their_code():
    method = small()
    source, driving = frames(1), frames(2, seed=2)
    alone = method.animate(method.encode(source), driving)
    none = method.animate(method.encode(source, torch.empty(0, 3, 32, 32)), driving)
    assert torch.equal(alone, none)
    method.self_flow.head.bias.data[2] += 7  # the confidence, of which there is nothing to compare
    assert torch.equal(method.animate(method.encode(source), driving), alone)


def test_the_order_of_references_does_not_matter():
    method = small()
    source, references, driving = frames(1), frames(4, seed=1), frames(2, seed=2)
    one = method.animate(method.encode(source, references), driving)
    other = method.animate(method.encode(source, references[[2, 0, 3, 1]]), driving)
    # 1e-6: sums over views in another order
    assert torch.allclose(one, other, atol=1e-6)
    assert not torch.allclose(one, method.animate(method.encode(source), driving), atol=1e-6)


def test_references_that_are_the_source_give_the_motion_features_of_the_source_alone():
    method = small()
    source, driving = frames(1), frames(2, seed=2)
    motion, _ = fuse(moved_views(method, source, source.expand(3, -1, -1, -1), driving))
    alone, _ = fuse(moved_views(method, source, None, driving))
    # 1e-5: a batch of four views is encoded with other float noise than one
    assert torch.allclose(motion, alone, atol=1e-5)


def test_equal_key_points_give_the_identity_as_the_coarse_flow():
    method = small(stirred=False)
    source = frames(2)
    points = Keypoints(torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1)
    view = method.move(method.look(source, points), points, source)
    identity = coordinate_grid(16, 16, like=source).expand(2, -1, -1, -1)
    # 1e-6: candidate motions of equal points, weighed by a softmax
    assert torch.allclose(view.coarse, identity, atol=1e-6)
    assert torch.allclose(sparse_motions(points, points, (16, 16)), identity[:, None], atol=1e-6)


def test_an_untrained_head_fetches_from_the_same_place_and_trusts_all_views_alike():
    method = small(stirred=False)
    views = moved_views(method, frames(1), frames(3, seed=1), frames(2, seed=2))
    for view in views:
        identity = coordinate_grid(16, 16, like=view.warped).expand(2, -1, -1, -1)
        assert view.fetched is not None
        assert torch.equal(view.fetched, sample(view.warped, identity, align_corners=False))
    assert torch.equal(alphas(views), torch.full_like(alphas(views), 1 / 4))


def test_without_all_its_parts_it_is_a_first_order_model_of_order_zero_without_occlusion():
    published = words(refinement=False, identity=False, one_shot=True)
    method = small(published)
    model = published["model_params"]
    fomm = Fomm(
        fomm_config(
            {
                "resolution": 32,
                "model_params": {
                    "common_params": {**model["common_params"], "estimate_jacobian": False},
                    "kp_detector_params": model["kp_detector_params"],
                    "generator_params": {**model["generator_params"], "estimate_occlusion_map": False},
                },
            }
        )
    ).eval()
    fomm.kp_detector.load_state_dict(method.kp_detector.state_dict())
    fomm.generator.load_state_dict(method.generator.state_dict())
    source, references, driving = frames(1), frames(3, seed=1), frames(3, seed=2)
    expected = fomm.animate(fomm.encode(source), driving)
    # references are not looked at by the one-shot variant
    assert torch.equal(method.animate(method.encode(source, references), driving), expected)
    moved = fomm.animate(fomm.encode(source), driving, initial_driving=driving[:1], transfer="relative")
    again = method.animate(method.encode(source), driving, initial_driving=driving[:1], transfer="relative")
    assert torch.equal(moved, again)


@pytest.mark.parametrize("count", range(7))
def test_one_set_of_weights_runs_with_any_number_of_references(count):
    method = small()
    encoding = method.encode(frames(1), frames(count, seed=1) if count else None)
    with torch.inference_mode():
        made = check_batch(method, encoding, frames(3, seed=2))
    assert len(encoding) == 1 + count
    assert made.min() >= 0 and made.max() <= 1


# The parts.


def test_fusing_one_view_after_another_is_a_softmax_over_all_of_them():
    generator = torch.Generator().manual_seed(4)
    views = [
        MovedView(
            flow(),
            flow(),
            torch.randn(2, 5, 8, 8, generator=generator),
            torch.randn(2, 5, 8, 8, generator=generator),
            # far apart: the largest confidence comes late
            20 * torch.randn(2, 1, 8, 8, generator=generator).requires_grad_(),
        )
        for _ in range(4)
    ]
    weights = alphas(views)
    expected = (weights * torch.stack([view.warped for view in views])).sum(0)
    motion, identity = fuse(views)
    assert torch.allclose(motion, expected, atol=1e-6)
    fetched = torch.stack([view.fetched for view in views if view.fetched is not None])
    assert identity is not None and torch.allclose(identity, (weights * fetched).sum(0), atol=1e-6)
    logits = [view.confidence for view in views]
    for given, wanted in zip(
        torch.autograd.grad(motion.square().sum(), logits, retain_graph=True),
        torch.autograd.grad(expected.square().sum(), logits),
        strict=True,
    ):
        # 1e-5: gradients are of the size of ten
        assert torch.allclose(given, wanted, atol=1e-5)


def test_fusion_passes_the_motion_features_through_at_first():
    method = small(stirred=False)
    motion, identity = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    assert method.fusion is not None
    assert torch.equal(method.fusion(motion, identity), motion)


def test_the_velocity_depends_on_flow_and_time_and_on_no_other_sample():
    torch.manual_seed(2)
    velocity = VelocityNetwork(EvolutionConfig(widths=(8, 16, 16)))
    nn.init.normal_(velocity.last.weight)
    offsets, early, late = torch.randn(2, 2, 16, 16), torch.tensor(0.1), torch.tensor(0.9)
    # 1e-5: another batch size sums in another order
    assert torch.allclose(velocity(offsets, early)[:1], velocity(offsets[:1], early), atol=1e-5)
    assert not torch.allclose(velocity(offsets, early), velocity(offsets, late), atol=1e-3)


def test_images_as_context_are_seen_by_the_evolution():
    method = small(words({"context": "images"}))
    source, driving = frames(1), frames(1, seed=2)
    encoding, keypoints = method.encode(source), method.kp_detector(driving)
    one, other = (method.move(encoding, keypoints, shown) for shown in (driving, 1 - driving))
    assert torch.equal(one.coarse, other.coarse)
    assert not torch.allclose(one.deformation, other.deformation, atol=1e-4)


def test_a_switch_brings_the_occlusion_map_back():
    published = words()
    published["model_params"]["generator_params"]["estimate_occlusion_map"] = True
    method = small(published)
    occlusion = method.generator.dense_motion_network.occlusion
    assert occlusion is not None
    nn.init.constant_(occlusion.bias, -50.0)  # all is hidden
    nn.init.zeros_(occlusion.weight)
    (view,) = moved_views(method, frames(1), None, frames(1, seed=2))
    assert view.warped.abs().max() < 1e-6


def test_relative_transfer_of_the_initial_frame_keeps_the_pose_of_the_source():
    method = small()
    source, references, driving = frames(1), frames(2, seed=1), frames(1, seed=2)
    encoding = method.encode(source, references)
    relative = method.animate(encoding, driving, initial_driving=driving, transfer="relative")
    # 1e-4: stirred networks enlarge the float noise of (driving - driving) + source
    assert torch.allclose(relative, method.animate(encoding, source), atol=1e-4)
    assert not torch.allclose(relative, method.animate(encoding, driving), atol=1e-3)
    check_wrong_transfers(method, "dime", source)


@pytest.mark.parametrize("published", [words(), words(refinement=False), words(identity=False)])
def test_a_file_rebuilds_its_own_variant(tmp_path, published):
    method = small(published)
    tensors = {
        f"{name}.{key}": value
        for name in ("kp_detector", "generator", "self_flow", "evolution", "fusion")
        if isinstance(network := getattr(method, name), nn.Module)
        for key, value in network.state_dict().items()
    }
    loaded = build(checkpoint=write_own(tmp_path, tensors, published), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=2))
    assert (loaded.evolution is None) == (method.evolution is None)
    assert (loaded.fusion is None) == (method.fusion is None)


def test_bad_input_is_answered_with_one_sentence():
    method = small()
    with pytest.raises(BenchbedError, match=r"dime cannot work on frames of 20x32 pixels.*multiples of 8"):
        method.encode(frames(1, (32, 20)))
    with pytest.raises(BenchbedError, match=r"references of 16x16 pixels with a source of 32x32"):
        method.encode(frames(1), frames(2, 16))
    with pytest.raises(WeightsMissingError, match="benchbed train --method dime"):
        build(checkpoint=None, configuration=None)
    with pytest.raises(UnknownNameError, match="unknown DiME configuration 'vox'; known: vox-256"):
        official("vox")


@pytest.mark.parametrize(
    ("evolution", "sentence"),
    [
        ({"solver": "heun"}, "solver 'heun' is none of rk4, euler"),
        ({"steps": 0}, "give at least 1"),
        ({"context": "sound"}, "neither 'images' nor absent"),
    ],
)
def test_a_wrong_word_of_the_evolution_is_named(evolution, sentence):
    with pytest.raises(BenchbedError, match=sentence):
        dime_config(words(evolution))


def test_the_full_size_model_is_the_one_of_the_paper():
    assert official_names() == ("vox-256",)
    config = dime_config(official("vox-256"))
    assert (config.keypoint_detector.num_kp, config.keypoint_detector.estimate_jacobian) == (10, False)
    assert not config.generator.dense_motion.estimate_occlusion_map
    assert config.evolution is not None
    assert (config.evolution.solver, config.evolution.steps, config.evolution.context) == ("rk4", 4, None)
    assert (config.features, config.size_multiple, config.identity, config.one_shot) == (
        256,
        128,
        True,
        False,
    )
    with torch.device("meta"):
        networks = inference_networks(config)
    assert networks["self_flow"].head.out_channels == 3


# Training.


class Taps(nn.Module):
    """A perceptual network of two taps."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images, nn.functional.avg_pool2d(images, 2)]


def pair(references: int, count: int = 2, size: int = 64) -> FramePair:
    """Noise: sources, driving frames and further views."""
    views = frames(count * references, size, seed=3).unflatten(0, (count, references)) if references else None
    return FramePair(frames(count, size), frames(count, size, seed=1), views)


def test_the_published_recipe_is_the_one_of_the_specification():
    preset = presets()["paper"]()
    recipe = preset.recipe
    assert (recipe.schedule.references, recipe.schedule.batch_size, recipe.schedule.resolution) == (
        3,
        12,
        256,
    )
    assert recipe.schedule.steps == 100 * (424 * 75 // 12)
    assert recipe.milestones == (recipe.schedule.steps * 60 // 100, recipe.schedule.steps * 90 // 100)
    assert set(recipe.learning_rates.values()) == {2e-4}
    assert (recipe.perceptual, recipe.scales) == ((10,) * 5, (1, 0.5, 0.25, 0.125))
    assert (preset.equivariance_weight, preset.one_shot_share) == (10, 0.25)
    assert recipe.gradient_norms == {"evolution": 1.0, "self_flow": 1.0}
    assert preset.views_weight == preset.blend_weight == recipe.additions.l1_weight == 0


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_every_variant_trains_and_its_file_rebuilds_it(variant, tmp_path):
    torch.manual_seed(1)
    name = "tiny" if variant is None else f"tiny-{variant}"
    task = build_training(TrainingRequest(name, Taps(), steps=2))
    given = pair(task.schedule.references)
    losses = task.step(given, task.optimizers(), lambda loss: loss.backward())
    assert set(losses) == {"total", "perceptual", "l1", "equivariance_value", "views", "blend"}
    assert (task.schedule.references == 0) == (variant == "one-shot")
    tensors, metadata = task.export()
    assert any(key.startswith("evolution.") for key in tensors) == (variant != "without-refinement")
    assert any(key.startswith("fusion.") for key in tensors) == (variant != "without-identity")
    save_file(tensors, tmp_path / "tiny.safetensors", metadata=metadata)
    method = build(checkpoint=tmp_path / "tiny.safetensors", configuration=None)
    assert method.conventions["configuration"] == name
    views = None if given.references is None else given.references[0]
    made = method.animate(method.encode(given.source[:1], views), given.driving[:1])
    # 2e-5: the task keeps its weights in another memory layout, and folds all views into one batch
    assert torch.allclose(task.sample(given)[:1], made, atol=2e-5)


def test_the_paper_preset_takes_a_step_at_full_width():
    torch.manual_seed(1)
    # 128 pixels: the smallest frames that networks of full depth take
    task = build_training(TrainingRequest("paper", Taps(), resolution=128, steps=2))
    losses = task.step(pair(1, count=1, size=128), task.optimizers(), lambda loss: loss.backward())
    assert set(losses) == {"total", "perceptual", "equivariance_value"}
    assert all(loss.isfinite() for loss in losses.values())
    tensors, metadata = task.export()
    assert len(tensors) > 100 and '"name": "vox-256"' in metadata["configuration"]


def tiny_pairs() -> DimePairs:
    torch.manual_seed(1)
    return build_training(TrainingRequest("tiny", Taps(), steps=2)).model


def test_training_sees_further_views_in_three_of_four_steps():
    model = tiny_pairs()
    given = pair(2, count=1)
    with torch.no_grad():
        counts = [
            model.reconstruct(given.source, given.driving, given.references).views.shape[1] for _ in range(40)
        ]
    assert set(counts) == {1, 3}
    # 40 draws of probability 0.25: ten, give or take three standard deviations
    assert 2 <= counts.count(1) <= 18
    model.networks.eval()
    assert model.reconstruct(given.source, given.driving, given.references).views.shape[1] == 3


def test_the_views_loss_is_of_every_view_and_the_blend_of_their_weighted_sum():
    model = tiny_pairs()
    model.networks.eval()  # takes all views, and a start that stands still
    given = pair(2)
    with torch.no_grad():
        made = model.reconstruct(given.source, given.driving, given.references)
        losses = model.losses(given.source, given.driving, made)
    views = (
        torch.cat((given.source[:, None], given.references), dim=1) if given.references is not None else None
    )
    assert views is not None
    warped = model._warped_images(made)
    assert warped.shape == views.shape
    expected = torch.stack([(warped[:, number] - given.driving).abs().mean() for number in range(3)]).mean()
    assert losses["views"] == pytest.approx(model.preset.views_weight * expected.item(), rel=1e-5)
    # all views are trusted alike before training
    blend = (warped.mean(dim=1) - given.driving).abs().mean()
    assert losses["blend"] == pytest.approx(model.preset.blend_weight * blend.item(), rel=1e-4)


def test_a_view_that_shows_the_driving_frame_gains_confidence():
    model = tiny_pairs()
    model.networks.eval()
    head = model.method.self_flow.head
    source, driving = frames(2, 64), frames(2, 64, seed=1)
    made = model.reconstruct(source, driving, driving[:, None])
    made.moved.confidence.retain_grad()
    model.losses(source, driving, made)["blend"].backward()
    gradient = made.moved.confidence.grad
    assert gradient is not None and head.weight.grad is not None
    of_source, of_reference = gradient.unflatten(0, (2, 2)).mean(dim=(0, 2, 3, 4))
    assert of_reference < 0 < of_source
