"""Anytime and Anytime-V2: interpolation, selector, both stages, both directions, two views, the frozen transformer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.anytime.checkpoint import RELEASES
from benchbed.methods.anytime.config import anytime_config
from benchbed.methods.anytime.method import Anytime, build
from benchbed.methods.anytime.official import official, official_names
from benchbed.methods.anytime.presets import presets
from benchbed.methods.anytime.training import build_training
from benchbed.methods.anytime_v2.checkpoint import two_view_networks
from benchbed.methods.anytime_v2.method import AnytimeV2
from benchbed.methods.anytime_v2.method import build as build_v2
from benchbed.methods.anytime_v2.training import build_training as build_v2_training
from benchbed.methods.blocks.anytime_animation import AnytimeAnimation, AnytimeGeneration, anytime_networks
from benchbed.methods.blocks.anytime_config import AnytimeConfig
from benchbed.methods.blocks.checkpoints import read_checkpoint
from benchbed.methods.blocks.grids import coordinate_grid, resize
from benchbed.methods.blocks.interpolation import (
    appearance_distances,
    background_between,
    best_candidate,
    between,
    pose_distances,
    shares,
)
from benchbed.methods.blocks.keypoint_set_animation import keypoint_set_networks
from benchbed.methods.blocks.motion import Keypoints
from benchbed.methods.blocks.vision_transformer import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FrozenTransformer,
    TransformerConfig,
    TransformerFeatures,
    load_dino,
    stored_transformer,
)
from benchbed.methods.tpsmm.config import tpsmm_config
from benchbed.methods.tpsmm.method import Tpsmm
from benchbed.methods.training.anytime_pairs import AnytimePairs, AnytimeReconstruction
from benchbed.methods.training.anytime_terms import (
    appearance_difference,
    feature_difference,
    structure_difference,
)
from benchbed.methods.training.keypoint_set_pairs import Dropout, start_spread
from benchbed.methods.training.keypoint_set_terms import warp_loss

from .released import (
    check_batch,
    check_same_frames,
    check_wrong_transfers,
    frames,
    on_meta,
    write_own,
    write_released,
)

TRANSFORMER = {
    "image_size": 16,
    "patch_size": 8,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "mlp_dim": 12,
}
TPSMM_SMALL: dict[str, Any] = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_tps": 2, "num_channels": 3, "bg": True, "multi_mask": True},
        "generator_params": {"block_expansion": 4, "max_features": 8, "num_down_blocks": 3},
        "dense_motion_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
            "scale_factor": 0.25,
        },
    },
}
SMALL: dict[str, Any] = {
    **TPSMM_SMALL,
    "model_params": {
        **TPSMM_SMALL["model_params"],
        "transformer_params": {**TRANSFORMER, "weights": ""},
    },
}
# TPSMM adds this share of the identity to every spline's whole system, so that equal points move by about as much.
STIFFNESS = 0.06
BOTH = pytest.mark.parametrize("kind", [Anytime, AnytimeV2])


def words(interpolation: Mapping[str, Any] = {}, losses: Mapping[str, Any] = {}) -> dict[str, Any]:
    """The small configuration with words of our own."""
    model = {**SMALL["model_params"], "interpolation_params": dict(interpolation)}
    return {**SMALL, "model_params": model, "loss_params": dict(losses)}


def lively(method: AnytimeAnimation) -> AnytimeAnimation:
    """Fresh networks put all points near the centre, where splines are steep, and keep the background still."""
    start_spread(method.kp_detector, method.config.num_sets)  # type: ignore[arg-type]
    nn.init.normal_(method.kp_detector.fg_encoder.fc.weight, std=0.02)
    assert method.bg_predictor is not None
    nn.init.normal_(method.bg_predictor.bg_encoder.fc.weight, std=0.01)
    return method


def small_method(kind: type[AnytimeAnimation] = Anytime, **published: Any) -> AnytimeAnimation:
    torch.manual_seed(0)
    config = anytime_config({**SMALL, **published})
    networks = (two_view_networks if kind is AnytimeV2 else anytime_networks)(config)
    return lively(kind(config, networks)).eval()  # type: ignore[call-arg, arg-type]


def small_pairs(
    kind: type[AnytimeAnimation] = Anytime, *, losses: Mapping[str, Any] = {}, **changes: Any
) -> AnytimePairs:
    """Training of a small network that predicts the background, at 32 pixels."""
    torch.manual_seed(0)
    published = words(losses=losses)
    config = anytime_config(published)
    networks = (two_view_networks if kind is AnytimeV2 else anytime_networks)(config)
    preset = replace(presets()["tiny"](), published=published, background_weight=10.0, **changes)
    return AnytimePairs(kind(config, networks), networks, preset)  # type: ignore[call-arg, arg-type]


class Taps(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images]


class Brightness(FrozenTransformer):
    """A transformer that sees the mean colour alone, or nothing at all."""

    def __init__(self, gain: float) -> None:
        super().__init__(TransformerConfig(**TRANSFORMER))
        self.gain = gain

    def forward(self, images: Tensor) -> TransformerFeatures:
        mean = self.gain * images.mean(dim=(2, 3))
        return TransformerFeatures(mean, mean.unsqueeze(1).expand(-1, 4, -1))


def points(seed: int, count: int = 2) -> Keypoints:
    """Two spread sets of five key points for every image."""
    return Keypoints(torch.rand(count, 10, 2, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9)


# ---- interpolation and selector ----


def test_the_way_between_begins_at_the_source_and_ends_at_the_driving_pose():
    source, driving = points(1), points(2)
    assert torch.equal(between(source, driving, torch.zeros(2)).value, source.value)
    assert torch.equal(between(source, driving, torch.ones(2)).value, driving.value)
    halfway = between(source, driving, torch.tensor([0.5, 0.25])).value
    assert torch.allclose(halfway[0], (source.value[0] + driving.value[0]) / 2, atol=1e-6)
    assert torch.allclose(halfway[1], 0.75 * source.value[1] + 0.25 * driving.value[1], atol=1e-6)


def test_the_pose_term_is_the_same_for_any_key_points():
    source, driving = points(1), points(2)
    poses = [between(source, driving, torch.full((2,), time)) for time in (0.3, 0.5, 0.7)]
    expected = torch.tensor([0.7, 0.5, 0.3]) / 1.5
    assert torch.allclose(shares(pose_distances(poses, driving)), expected.expand(2, 3), atol=1e-6)


def test_the_selector_weighs_appearance_against_a_bonus_for_later_times():
    pose = torch.tensor([[0.7, 0.5, 0.3]])
    # all as far from the source: the last; the last alone far away: an earlier one
    assert best_candidate(torch.ones(1, 3), pose).tolist() == [2]
    assert best_candidate(torch.tensor([[0.1, 0.1, 5.0]]), pose).tolist() == [1]
    # shares (0, 1/2, 1/2) against a bonus of at most 4/15
    assert best_candidate(torch.tensor([[0.0, 1.0, 1.0]]), pose).tolist() == [0]
    # nothing differs: the first
    assert best_candidate(torch.zeros(1, 3), torch.zeros(1, 3)).tolist() == [0]


def test_appearance_is_compared_by_euclidean_distance_with_the_source():
    source = torch.tensor([[1.0, 1.0]])
    far, same = torch.tensor([[4.0, 5.0]]), source.expand(1, 2)
    assert appearance_distances([far, same], source).tolist() == [[5.0, 0.0]]


@BOTH
def test_blind_selection_takes_the_last_time_and_a_keen_eye_an_earlier_one(kind):
    method, driving = small_method(kind), frames(3, seed=1)
    method.appearance = Brightness(gain=0.0)
    encoding = method.encode(frames(1))
    keypoints = method.driving_keypoints(encoding, driving)
    blind = method.generate(encoding, keypoints)
    assert isinstance(blind, AnytimeGeneration)
    assert blind.times.tolist() == pytest.approx([0.7] * 3)
    colours = iter([torch.full((3, 3), 0.5), torch.full((3, 3), 0.5), torch.full((3, 3), 9.0)])

    class Keen(Brightness):
        def forward(self, images: Tensor) -> TransformerFeatures:
            colour = next(colours)
            return TransformerFeatures(colour, colour.unsqueeze(1))

    method.appearance = Keen(1.0)
    dark = replace(encoding, token=torch.zeros(1, 3))
    assert method.generate(dark, keypoints).times.tolist() == pytest.approx([0.5] * 3)


def test_the_background_moves_all_the_way_by_the_end_and_keeps_its_last_row():
    background = torch.eye(3) + torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0, 0, 0]])
    both = background.expand(2, 3, 3)
    assert torch.equal(background_between(both, torch.ones(2)), both)
    halfway = background_between(both, torch.tensor([0.0, 0.5]))
    assert torch.equal(halfway[0], torch.eye(3))
    assert torch.allclose(halfway[1], (torch.eye(3) + background) / 2)
    assert halfway[1, 2].tolist() == [0, 0, 1]
    assert background_between(None, torch.ones(2)) is None


# ---- both stages ----


@BOTH
def test_a_source_driven_by_itself_stays_and_takes_the_first_time(kind):
    method, source = small_method(kind, animation={"background": "never"}), frames(1)
    spread = points(3, count=1)
    method.keypoints = lambda images: spread.expand(len(images))  # type: ignore[method-assign]
    encoding = method.encode(source)
    made = method.generate(encoding, spread)
    still = coordinate_grid(8, 8, like=source)
    assert (made.motion.deformation[0] - still).abs().max() < STIFFNESS
    assert made.times.tolist() == pytest.approx([0.3])
    assert made.prediction.isfinite().all()


@BOTH
def test_the_chosen_image_is_made_again_with_the_gradient_just_the_same(kind, monkeypatch):
    pairs = small_pairs(kind, dropout=Dropout(epochs=100, largest=0.5, first=0.5))
    method = lively(pairs.animation)
    seen: list[Tensor] = []
    step = method.step

    def watched(*given: Any) -> Tensor:
        seen.append(step(*given))
        return seen[-1]

    monkeypatch.setattr(method, "step", watched)
    made = pairs.reconstruct(frames(2), frames(2, seed=1))
    *candidates, again, _ = seen  # the last is that of the way back
    assert len(candidates) == 3 and not any(one.requires_grad for one in candidates)
    assert again.requires_grad
    for row, time in enumerate(made.times.tolist()):
        index = [0.3, 0.5, 0.7].index(round(time, 1))
        assert torch.equal(again[row], candidates[index][row])


@BOTH
def test_candidates_leave_running_statistics_alone(kind):
    pairs = small_pairs(kind)
    method = pairs.animation
    view, driving = method.view(frames(2)), method.keypoints(frames(2, seed=1))
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.choose(view, torch.zeros(1, 8), driving, None)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_key_points_of_the_second_stage_are_detected_or_those_of_the_interpolation():
    source, driving = frames(2), frames(2, seed=1)
    for choice in ("detect", "interpolate"):
        method = small_method(**words(interpolation={"stage2_keypoints": choice}))
        view, end = method.view(source), method.keypoints(driving)
        towards = between(view.keypoints, end, torch.tensor([0.3, 0.7]))
        passage = method.pass_through(view, towards, end, None, None, lambda images: None)
        found = passage.middle.keypoints.value
        detected = method.keypoints(passage.middle.image).value
        assert torch.equal(found, detected if choice == "detect" else towards.value)
        assert method.conventions["stage2_keypoints"] == choice


def test_gradients_flow_through_the_second_stage_into_the_first():
    method = small_method()
    view, end = method.view(frames(1)), method.keypoints(frames(1, seed=1))
    towards = Keypoints(between(view.keypoints, end, torch.tensor([0.5])).value.detach().requires_grad_())
    passage = method.pass_through(
        view, towards, Keypoints(end.value.detach()), None, None, lambda images: None
    )
    (gradient,) = torch.autograd.grad(passage.prediction.sum(), towards.value)
    assert gradient.abs().sum() > 0


def test_the_second_stage_predicts_the_background_from_the_image_between(monkeypatch):
    method, driving = small_method(), frames(2, seed=1)
    asked: list[tuple[Tensor, Tensor]] = []
    predictor = method.bg_predictor
    assert predictor is not None
    forward = predictor.forward

    def watched(images: Tensor, to: Tensor) -> Tensor:
        asked.append((images, to))
        return forward(images, to)

    monkeypatch.setattr(predictor, "forward", watched)
    encoding = method.encode(frames(1))
    method.animate(encoding, driving)
    (source, _), (middle, to) = asked
    assert torch.equal(source[0], encoding.image[0]) and torch.equal(to, driving)
    assert not torch.allclose(middle, source, atol=1e-3)
    asked.clear()
    method.animate(encoding, driving, initial_driving=driving[:1], transfer="relative")
    assert asked == []
    with pytest.raises(TypeError, match="together"):
        method.generate(encoding, method.keypoints(driving), background=torch.eye(3).expand(2, 3, 3))


# ---- both directions ----


@BOTH
def test_both_directions_go_by_the_same_key_points_from_opposite_ends(kind, monkeypatch):
    pairs = small_pairs(kind, losses={})
    method, passages = lively(pairs.animation), []
    whole = method.pass_through

    def watched(*given: Any) -> Any:
        passages.append(given)
        return whole(*given)

    monkeypatch.setattr(method, "pass_through", watched)
    made = pairs.reconstruct(frames(2), frames(2, seed=1))
    upper, lower = passages
    assert upper[1] is lower[1]
    assert torch.equal(upper[1].value, made.towards)
    assert upper[0] is made.of_source and lower[0] is made.of_driving
    assert upper[2] is made.of_driving.keypoints and lower[2] is made.of_source.keypoints
    # the background's motion of the first stages is as far along as the image between
    still = torch.eye(3)
    times = made.times.view(-1, 1, 1)
    assert torch.allclose(upper[3], (1 - times) * still + times * upper[4], atol=1e-6)
    assert torch.allclose(lower[3], times * still + (1 - times) * lower[4], atol=1e-6)


@BOTH
def test_two_directions_of_equal_ends_agree(kind):
    pairs, same = small_pairs(kind), frames(2)
    made = pairs.reconstruct(same, same)
    losses = pairs.losses(same, same, made)
    assert losses["feature"] == 0
    assert losses["appearance"] == 0
    assert made.lower is not None
    look = pairs.animation.appearance
    between_them = structure_difference(look(made.upper.middle.image), look(made.lower.middle.image))
    assert between_them == 0
    # of the structure loss only the ends remain, which are made by networks that cannot draw yet
    assert losses["structure"] > 0


def test_variants_leave_out_what_the_ablation_does():
    source, driving = frames(2), frames(2, seed=1)
    names = {}
    for name in ("tiny", "tiny-model1", "tiny-model2"):
        supervision = presets()[name]().published["loss_params"]
        pairs = small_pairs(losses=supervision)
        made = pairs.reconstruct(source, driving)
        names[name] = set(pairs.losses(source, driving, made))
        assert (made.lower is None) == (made.augmented is None) == (name == "tiny-model1")
    assert names["tiny"] - names["tiny-model2"] == {"appearance", "structure"}
    assert names["tiny-model2"] - names["tiny-model1"] == {"feature", "l1_back", "deformed_back"}
    assert names["tiny-model1"] == {"equivariance_value", "warp", "background", "coarse"}


def test_base_losses_can_be_left_out_and_norms_taken_as_printed():
    source, driving = frames(2), frames(2, seed=1)
    losses = {}
    for choice in ({}, {"base_losses": False}, {"literal_norms": True}):
        pairs = small_pairs(losses=choice)
        lively(pairs.animation)
        losses[str(choice)] = pairs.losses(source, driving, pairs.reconstruct(source, driving))
    usual, bare, literal = losses.values()
    assert set(usual) - set(bare) == {"equivariance_value", "warp", "background"}
    # 8 channels and 5 tokens; 1e-3: the pair is made anew
    assert torch.allclose(literal["appearance"], usual["appearance"] * 8**0.5, rtol=1e-3)
    assert torch.allclose(literal["structure"], usual["structure"] * 5, rtol=1e-3)


def test_the_terms_are_those_of_their_equations():
    zero, one = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    keys = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])
    first, second = TransformerFeatures(zero, keys[0]), TransformerFeatures(one, keys[1])
    assert appearance_difference(first, second, literal=True).item() == pytest.approx(5.0)
    assert appearance_difference(first, second).item() == pytest.approx(5 / 2**0.5)
    # similarities [[1, 0], [0, 1]] and [[1, 1], [1, 1]]
    assert structure_difference(first, second, literal=True).item() == pytest.approx(2**0.5)
    assert structure_difference(first, second).item() == pytest.approx(2**0.5 / 2)
    network = small_method().inpainting_network
    a, b = network.look(frames(1)), network.look(frames(1, seed=1))
    expected = sum((x - y).abs().mean().item() for x, y in zip(a.features, b.features, strict=True))
    assert len(a.features) == 4
    assert feature_difference(a, b).item() == pytest.approx(expected, rel=1e-5)


def test_keys_of_no_length_have_no_similarity():
    features = TransformerFeatures(torch.zeros(1, 2), torch.zeros(1, 3, 2))
    assert torch.equal(features.self_similarity(), torch.zeros(1, 3, 3))


@BOTH
def test_the_warp_loss_is_of_the_second_stage_of_both_directions(kind):
    pairs = small_pairs(kind, warp_weight=2.0)
    source, driving = frames(2), frames(2, seed=1)
    made = pairs.reconstruct(source, driving)
    network, total = pairs.animation.inpainting_network, torch.tensor(0.0)
    assert made.lower is not None
    for passage, end in ((made.upper, made.of_driving), (made.lower, made.of_source)):
        terms = [
            warp_loss(network, view.appearance, end.appearance, motion.deformation, motion.occlusion_maps)
            for view, motion in zip(passage.views, passage.motions, strict=True)
        ]
        assert len(terms) == (2 if kind is AnytimeV2 else 1)
        total = total + sum(terms) / len(terms)
    losses = pairs.losses(source, driving, made)
    assert losses["warp"].item() == pytest.approx(2 * total.item(), rel=1e-5)


def test_at_rest_only_the_way_there_is_gone():
    pairs = small_pairs()
    pairs.networks.eval()
    with torch.no_grad():
        made = pairs.reconstruct(frames(2), frames(2, seed=1))
    assert isinstance(made, AnytimeReconstruction) and made.lower is None


def test_a_step_trains_everything_but_the_transformer():
    for builder in (build_training, build_v2_training):
        task = builder(TrainingRequest("tiny", Taps(), steps=4))
        before = {name: value.clone() for name, value in task.networks["appearance"].state_dict().items()}
        optimizers = task.optimizers()
        assert "appearance" not in optimizers
        pair = FramePair(frames(2, size=64), frames(2, size=64, seed=1))
        losses = task.step(pair, optimizers, lambda loss: loss.backward())
        assert {"perceptual", "perceptual_augmented", "feature", "appearance", "structure"} < set(losses)
        after = task.networks["appearance"].state_dict()
        assert all(torch.equal(value, after[name]) for name, value in before.items())


# ---- two views ----


def test_two_equal_views_paint_as_one_view_does_but_for_what_is_visible():
    torch.manual_seed(0)
    method = small_method(AnytimeV2)
    network = method.inpainting_network
    view, end = method.view(frames(2)), points(4)
    motion = method.move(view.downsampled, view.keypoints, end)
    made, warped = method.combine((view, view), (motion, motion))
    one = keypoint_set_networks(method.config)["inpainting_network"]
    one.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("fusion")})
    single = one.paint(view.appearance, motion.deformation, motion.occlusion_maps)
    # alone, the first version's generator
    again = network.paint(view.appearance, motion.deformation, motion.occlusion_maps)
    assert torch.allclose(again, single, atol=1e-6)
    occlusion = motion.occlusion_maps[-1]
    stages = one.warped_stages(view.appearance, motion.deformation, motion.occlusion_maps)
    expected = one.decode(stages, warped, 2 * occlusion - occlusion**2)
    # 1e-5: the mean of two equal maps in another order of sums
    assert torch.allclose(made, expected, atol=1e-5)


def test_the_second_stage_pastes_each_view_by_what_of_it_is_visible():
    method = small_method(AnytimeV2)
    first, second = method.view(frames(1)), method.view(frames(1, seed=1))
    motions = [method.move(view.downsampled, view.keypoints, points(5, 1)) for view in (first, second)]
    hidden = replace(motions[1], occlusion_maps=tuple(0 * maps for maps in motions[1].occlusion_maps))
    _, warped = method.combine((first, second), (motions[0], hidden))
    _, alone = method.combine((first, first), (motions[0], motions[0]))
    # 1e-4: the 1e-6 that is added to what is visible
    assert torch.allclose(warped, alone, atol=1e-4)


def test_the_second_version_looks_at_the_source_first_and_the_first_does_not():
    for kind, count in ((Anytime, 1), (AnytimeV2, 2)):
        method = small_method(kind)
        source, end = method.view(frames(1)), points(6, 1)
        passage = method.pass_through(source, end, end, None, None, lambda images: None)
        assert len(passage.views) == len(passage.motions) == count
        assert passage.views[-1] is passage.middle
        assert count == 1 or passage.views[0] is source


# ---- the frozen transformer ----


def dino_tensors(config: TransformerConfig) -> dict[str, Tensor]:
    """Random tensors under DINO's names."""
    generator = torch.Generator().manual_seed(7)
    width, tokens = config.hidden_dim, (config.image_size // config.patch_size) ** 2 + 1

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.3

    tensors = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, tokens, width),
        "patch_embed.proj.weight": draw(width, 3, config.patch_size, config.patch_size),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": draw(width),
        "norm.bias": draw(width),
    }
    for block in range(config.num_layers):
        for name, shape in {
            "norm1": (width,),
            "attn.qkv": (3 * width, width),
            "attn.proj": (width, width),
            "norm2": (width,),
            "mlp.fc1": (config.mlp_dim, width),
            "mlp.fc2": (width, config.mlp_dim),
        }.items():
            tensors[f"blocks.{block}.{name}.weight"] = draw(*shape)
            tensors[f"blocks.{block}.{name}.bias"] = draw(shape[0])
    return tensors


def by_hand(
    tensors: Mapping[str, Tensor], config: TransformerConfig, images: Tensor
) -> tuple[Tensor, Tensor]:
    """Class token and keys of the last block, written out from the description of the architecture."""
    side, patch, width, heads = config.image_size, config.patch_size, config.hidden_dim, config.num_heads
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    x = (resize(images, (side, side)) - mean) / std
    patches = [
        (tensors["patch_embed.proj.weight"] * x[:, None, :, i : i + patch, j : j + patch]).sum((2, 3, 4))
        + tensors["patch_embed.proj.bias"]
        for i in range(0, side, patch)
        for j in range(0, side, patch)
    ]
    tokens = torch.stack([tensors["cls_token"][:, 0].expand(len(images), -1), *patches], dim=1)
    tokens = tokens + tensors["pos_embed"]
    keys = tokens

    def normalised(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def dense(x: Tensor, name: str) -> Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    for block in range(config.num_layers):
        name, size = f"blocks.{block}", width // heads
        queries, keys, values = dense(normalised(tokens, f"{name}.norm1"), f"{name}.attn.qkv").chunk(
            3, dim=-1
        )
        seen = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            weights = (queries[..., part] @ keys[..., part].transpose(1, 2) / size**0.5).softmax(-1)
            seen.append(weights @ values[..., part])
        tokens = tokens + dense(torch.cat(seen, dim=-1), f"{name}.attn.proj")
        hidden = nn.functional.gelu(dense(normalised(tokens, f"{name}.norm2"), f"{name}.mlp.fc1"))
        tokens = tokens + dense(hidden, f"{name}.mlp.fc2")
    return tokens[:, 0], keys


def test_the_transformer_computes_what_dino_describes_from_tensors_of_its_names():
    config = TransformerConfig(**TRANSFORMER)
    tensors, images = dino_tensors(config), frames(2, size=24)
    features = load_dino(FrozenTransformer(config), tensors, "dino")(images)
    appearance, keys = by_hand(tensors, config, images)
    # 1e-4: sums of some dozens of products in another order
    assert torch.allclose(features.appearance, appearance, atol=1e-4)
    assert torch.allclose(features.keys, keys, atol=1e-4)
    similarity = features.self_similarity()
    cosine = torch.cosine_similarity(keys[:, :, None], keys[:, None], dim=-1)
    assert similarity.shape == (2, 5, 5)
    assert torch.allclose(similarity, cosine, atol=1e-4)


def test_the_transformer_is_never_trained_and_alike_whatever_else_is_random():
    torch.manual_seed(1)
    one = FrozenTransformer(TransformerConfig(**TRANSFORMER))
    state = torch.get_rng_state()
    other = FrozenTransformer(TransformerConfig(**TRANSFORMER))
    assert torch.equal(torch.get_rng_state(), state)
    assert list(one.parameters()) == [] and not one.train().training
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))
    image = frames(1).requires_grad_()
    (gradient,) = torch.autograd.grad(one(image).self_similarity().sum(), image)
    assert gradient.abs().sum() > 0


def test_tensors_that_are_no_transformer_are_refused():
    config = TransformerConfig(**TRANSFORMER)
    tensors = dino_tensors(config)
    del tensors["blocks.1.attn.qkv.bias"]
    with pytest.raises(
        CheckpointError, match=r"fit dino: 1 missing \(encoder\.layers\.encoder_layer_1\.self"
    ):
        load_dino(FrozenTransformer(config), tensors, "dino")


def test_the_transformer_comes_from_the_weights_store_or_stops_with_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    config = TransformerConfig(**TRANSFORMER)
    missing = r"weights missing: benchbed weights pull dino-vitb8 \(or put dino_vitbase8_pretrain\.pth"
    with pytest.raises(WeightsMissingError, match=missing):
        stored_transformer(config)
    for builder, preset in ((build_training, "paper"), (build_v2_training, "nemo-256")):
        with torch.device("meta"), pytest.raises(WeightsMissingError, match=missing):
            builder(TrainingRequest(preset, Taps()))
    path = write_own(tmp_path, keypoint_set_networks(tpsmm_config(TPSMM_SMALL)).state_dict(), TPSMM_SMALL)
    with pytest.raises(WeightsMissingError, match=missing):
        build(checkpoint=path, configuration=None)
    tensors = dino_tensors(config)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(tensors, tmp_path / "hub" / "checkpoints" / "dino_vitbase8_pretrain.pth")
    appearance, _ = by_hand(tensors, config, frames(1))
    assert torch.allclose(stored_transformer(config)(frames(1)).appearance, appearance, atol=1e-4)


def test_the_full_size_transformer_has_the_published_size():
    config = anytime_config(official("taichi-256")).transformer
    assert (config.weights, config.image_size, config.patch_size) == ("dino-vitb8", 224, 8)
    with torch.device("meta"):
        network = FrozenTransformer(config)
    # DINO's ViT-B/8 as published: 85.8 M
    assert sum(value.numel() for value in network.transformer.buffers()) == 85_807_872
    assert network.transformer.encoder.pos_embedding.shape == (1, 785, 768)


# ---- files, configurations, the contract ----


def test_weights_of_tpsmm_load_into_the_first_version_unchanged(tmp_path):
    config = anytime_config({**SMALL})
    torch.manual_seed(3)
    tpsmm = Tpsmm(tpsmm_config(TPSMM_SMALL)).eval()
    networks = anytime_networks(config)
    ours = Anytime(config, networks).eval()
    missing, unexpected = ours.load_state_dict(tpsmm.state_dict(), strict=False)
    assert unexpected == [] and all(name.startswith("appearance.") for name in missing)
    source, end = frames(2), points(8)
    stage = ours.step(ours.view(source), end, None)
    encoded = [tpsmm.generate(tpsmm.encode(one[None]), Keypoints(at[None])).prediction for one, at in zip(source, end.value, strict=True)]  # fmt: skip
    assert torch.allclose(stage, torch.cat(encoded), atol=1e-6)
    # and a released file, whole
    full = on_meta(keypoint_set_networks, tpsmm_config(official("vox-256")), frozenset({"bg_predictor"}))
    path = write_released(tmp_path / "vox.pth.tar", full)
    read = read_checkpoint(path, "vox-256", RELEASES)
    assert set(read.networks.state_dict()) == set(full.state_dict())


@BOTH
def test_our_file_carries_its_configuration(kind, tmp_path):
    method = small_method(kind)
    builder = build_v2 if kind is AnytimeV2 else build
    path = write_own(tmp_path, method.state_dict(), SMALL)
    loaded = builder(checkpoint=path, configuration=None)
    assert isinstance(loaded, Method)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    other = build if kind is AnytimeV2 else build_v2
    with pytest.raises(CheckpointError, match=r"inpainting_network\.fusion"):
        other(checkpoint=path, configuration=None)


def test_a_variant_rebuilds_itself(tmp_path):
    for name in ("tiny-model1", "tiny-model2"):
        task = build_training(TrainingRequest(name, Taps(), steps=4))
        tensors, metadata = task.export()
        path = tmp_path / f"{name}.safetensors"
        save_file(tensors, path, metadata=metadata)
        loaded = build(checkpoint=path, configuration=None)
        assert loaded.conventions["configuration"] == name
        assert loaded.config.supervision.bidirectional == (name == "tiny-model2")
        assert not loaded.config.supervision.similarity
        assert json.loads(metadata["configuration"])["loss_params"]["similarity"] is False


@BOTH
@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(kind, transfer):
    # smooth images: in noise two stages of sampling enlarge the rounding of the key points some twentyfold
    method = small_method(kind)
    source, driving = (resize(frames(count, size=4, seed=count), (32, 32)) for count in (1, 4))
    with torch.inference_mode():
        encoding = method.encode(source)
        check_batch(method, encoding, driving, initial_driving=driving[:1], transfer=transfer)


@BOTH
def test_the_source_is_looked_at_once(kind):
    method = small_method(kind)
    encoding = method.encode(frames(1))
    assert torch.equal(encoding.token, method.appearance(frames(1)).appearance)
    made = method.generate(encoding, method.keypoints(frames(3, seed=1)))
    assert made.times.shape == (3,) and made.interpolated.shape == made.prediction.shape == (3, 3, 32, 32)
    assert {round(time, 1) for time in made.times.tolist()} <= {0.3, 0.5, 0.7}


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    method, initial = small_method(), frames(1, seed=3)
    encoding = method.encode(frames(1))
    found = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.equal(found.value, encoding.keypoints.value)
    assert method.generate(encoding, found).times.tolist() == pytest.approx([0.3])


def test_wrong_calls_are_answered_with_a_sentence():
    for kind, name in ((Anytime, "anytime"), (AnytimeV2, "anytime-v2")):
        method = small_method(kind)
        check_wrong_transfers(method, name, frames(1))
        with pytest.raises(BenchbedError, match=f"{name} cannot work .* multiples of 16"):
            method.encode(frames(1, size=30))
    with pytest.raises(WeightsMissingError, match="benchbed train --method anytime-v2"):
        build_v2(checkpoint=None, configuration=None)


@pytest.mark.parametrize(
    ("published", "sentence"),
    [
        (words(interpolation={"times": [0.5, 0.3]}), "do not ascend"),
        (words(interpolation={"times": [0.5, 1.0]}), "not all between 0 and 1"),
        (words(interpolation={"stage2_keypoints": "guess"}), "none of detect, interpolate"),
        (words(interpolation={"views": 2}), "views"),
        (words(losses={"bidirectional": False}), "set bidirectional as well"),
        (words(losses={"gan": True}), "gan"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_answered_with_a_sentence(published, sentence):
    with pytest.raises(BenchbedError, match=f"the Anytime configuration .*{sentence}"):
        anytime_config(published)


@pytest.mark.parametrize("name", official_names())
def test_full_size_configurations_are_tpsmms(name):
    config = anytime_config(official(name))
    assert isinstance(config, AnytimeConfig)
    assert config.interpolation.times == (0.3, 0.5, 0.7)
    assert config.background == (name in ("vox-256", "taichi-256"))
    networks = on_meta(anytime_networks, config, frozenset({"bg_predictor"}))
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    assert counts["kp_detector"] == 11_227_812
    assert counts["dense_motion_network"] == 37_941_397
    assert counts["inpainting_network"] == 24_737_283
    with pytest.raises(UnknownNameError, match="nemo-256"):
        official("ted-384")


def test_the_paper_preset_is_the_published_recipe():
    preset = presets(identities=250)["paper"]()
    steps = preset.recipe.schedule.steps
    assert preset.name == "taichi-256"
    assert steps == 100 * (250 * 150 // 4)
    assert [milestone * 100 // steps for milestone in preset.recipe.milestones] == [70, 90]
    assert set(preset.recipe.learning_rates.values()) == {1e-4}
    assert preset.recipe.perceptual == (10,) * 5
    assert (preset.feature_weight, preset.appearance_weight, preset.structure_weight) == (10, 10, 10)
    assert (preset.equivariance_weight, preset.warp_weight, preset.background_weight) == (10, 10, 10)
    assert (preset.coarse_weight, preset.recipe.additions.l1_weight) == (0, 0)
    assert presets()["nemo-256"]().recipe.schedule.steps == 100 * (1110 * 75 // 4)
    assert "bg_predictor" not in presets()["fashion-256"]().recipe.gradient_norms
