"""MOFD: TPSMM at the start, orthogonal subspaces, windows, channel attention, whom its losses reach, presets."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.grids import coordinate_grid
from benchbed.methods.mofd.checkpoint import mofd_networks
from benchbed.methods.mofd.config import FeatureDecouplingConfig, MotionOptimisationConfig, mofd_config
from benchbed.methods.mofd.domain_discriminator import DomainDiscriminator
from benchbed.methods.mofd.feature_decoupling import FeatureDecoupling, orthonormal_rows
from benchbed.methods.mofd.losses import confusion_loss, motion_code_loss, recognition_loss
from benchbed.methods.mofd.method import Mofd, build
from benchbed.methods.mofd.motion_attention import MotionAttention
from benchbed.methods.mofd.motion_optimisation import (
    MotionOptimisation,
    from_patches,
    swin_block,
    to_patches,
)
from benchbed.methods.mofd.official import official, official_names
from benchbed.methods.mofd.presets import presets
from benchbed.methods.mofd.training import MofdPairs, MofdTraining, build_training
from benchbed.methods.training.keypoint_set_pairs import start_spread
from benchbed.registry import card

from .released import check_batch, check_same_frames, check_wrong_transfers, frames, on_meta, write_own

IDENTITIES = 5
SMALL = {
    "resolution": 32,
    "model_params": {
        "common_params": {
            "num_tps": 2,
            "num_channels": 3,
            "bg": True,
            "multi_mask": True,
            "resnet_width": 4,
        },
        "generator_params": {"block_expansion": 4, "max_features": 8, "num_down_blocks": 3},
        "dense_motion_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
            "scale_factor": 0.25,
        },
        "avd_network_params": {"id_bottle_size": 4, "pose_bottle_size": 4},
        "motion_optimisation_params": {
            "grid": 4,
            "windows": [2, 2],
            "embedding": 8,
            "heads": 2,
            "flow_channels": 2,
        },
        "feature_decoupling_params": {
            "width": 16,
            "identity_vectors": 4,
            "motion_vectors": 4,
            "resnet_width": 4,
        },
    },
}


def changed(part: str, **words: object) -> dict:
    """The small configuration with other words in one section; without the section where there are none."""
    published = json.loads(json.dumps(SMALL))
    if words:
        published["model_params"].setdefault(part, {}).update(words)
    else:
        del published["model_params"][part]
    return published


def trained_method(published: dict = SMALL) -> Mofd:
    """A small method as training might leave it: nothing is at its start any more."""
    torch.manual_seed(0)
    method = Mofd(mofd_config(published)).eval()
    nn.init.normal_(method.kp_detector.fg_encoder.fc.weight, std=0.1)
    # apart, as splines through points close together are steep and blow up float noise
    start_spread(method.kp_detector, method.config.num_sets)
    for name, parameter in method.named_parameters():
        if name.startswith("motion_attention"):
            nn.init.normal_(parameter, std=1.0 if name.endswith("gamma") else 0.5)
        if "fusion.2" in name:
            nn.init.normal_(parameter, std=0.02)
    return method


class Taps(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, frames: Tensor) -> list[Tensor]:
        return [frames]


def small_pairs(published: dict = SMALL, **changes: object) -> MofdPairs:
    torch.manual_seed(0)
    return MofdPairs(replace(presets()["tiny"](), published=published, **changes), IDENTITIES)


def pair() -> FramePair:
    return FramePair(frames(4), frames(4, seed=1), identity=torch.tensor([0, 1, 2, 4]))


# 1 of the specification: what is new changes nothing at the start


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_with_the_weights_of_tpsmm_and_nothing_learned_yet_it_is_tpsmm(tmp_path, transfer):
    torch.manual_seed(0)
    method = Mofd(mofd_config(SMALL)).eval()
    nn.init.normal_(method.kp_detector.fg_encoder.fc.weight, std=0.1)
    nn.init.normal_(method.bg_predictor.bg_encoder.fc.weight, std=0.01)
    own = ("motion_optimisation", "feature_decoupling", "motion_attention")
    model = {word: part for word, part in SMALL["model_params"].items() if not word.startswith(own)}
    tensors = {key: value for key, value in method.state_dict().items() if not key.startswith(own)}
    path = write_own(tmp_path, tensors, {**SMALL, "model_params": model})
    tpsmm = card("method", "tpsmm").load()(checkpoint=path, configuration=None)
    source, driving = frames(1), frames(3, seed=1)
    options = {"initial_driving": driving[:1], "transfer": transfer}
    wanted = tpsmm.animate(tpsmm.encode(source), driving, **options)
    # 1e-5: positions are turned into offsets and back
    assert torch.allclose(method.animate(method.encode(source), driving, **options), wanted, atol=1e-5)
    learned = trained_method()
    assert not torch.allclose(learned.animate(learned.encode(source), driving, **options), wanted, atol=1e-3)


def test_without_both_parts_it_has_no_tensors_but_those_of_tpsmm():
    bare = changed("motion_optimisation_params")
    del bare["model_params"]["feature_decoupling_params"]
    assert set(mofd_networks(mofd_config(bare))) == {
        "kp_detector",
        "dense_motion_network",
        "inpainting_network",
        "bg_predictor",
        "avd_network",
    }


# 2: the subspaces


def test_the_basis_is_orthonormal_after_any_update_and_the_codes_are_orthogonal():
    torch.manual_seed(0)
    decoupling = FeatureDecoupling(FeatureDecouplingConfig(512, 20, 20, resnet_width=4)).eval()
    for scale in (0.0, 0.1, 100.0):
        with torch.no_grad():
            decoupling.vectors.add_(scale * torch.randn_like(decoupling.vectors))
        basis = torch.cat(decoupling.basis())
        # 1e-5: float32
        assert torch.allclose(basis @ basis.T, torch.eye(40), atol=1e-5)
        source, driving = frames(3), frames(3, seed=1)
        identity, motion = decoupling.identity(source), decoupling.motion(driving)
        size = identity.norm(dim=1) * motion.norm(dim=1)
        assert ((identity * motion).sum(dim=1).abs() <= 1e-5 * size).all()
        assert size.min() > 0


def test_orthonormalisation_is_that_of_gram_and_schmidt():
    vectors = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    wanted: list[Tensor] = []
    for vector in vectors.double():
        for earlier in wanted:
            vector = vector - (vector @ earlier) * earlier
        wanted.append(vector / vector.norm())
    # 1e-5: float32 against float64
    assert torch.allclose(orthonormal_rows(vectors).double(), torch.stack(wanted), atol=1e-5)


def test_half_precision_stays_out_of_the_basis():
    decoupling = FeatureDecoupling(FeatureDecouplingConfig(64, 20, 20, resnet_width=4)).eval()
    with torch.autocast("cpu", torch.bfloat16):
        basis, code = torch.cat(decoupling.basis()), decoupling.motion(frames(2))
    assert torch.allclose(basis @ basis.T, torch.eye(40), atol=1e-5)
    assert code.dtype == torch.float32


def test_motion_codes_reach_the_identity_vectors_through_the_orthonormalisation_alone():
    torch.manual_seed(0)
    decoupling = FeatureDecoupling(FeatureDecouplingConfig(16, 3, 4, resnet_width=4))
    decoupling.motion(frames(2)).square().sum().backward()
    assert decoupling.vectors.grad is not None
    assert decoupling.vectors.grad[:3].abs().sum() > 0
    assert all(parameter.grad is None for parameter in decoupling.identity_head.parameters())


# 3: windows


@pytest.mark.parametrize("window", [8, 4])
def test_what_crosses_a_window_is_seen_by_shifted_blocks_alone(window):
    torch.manual_seed(0)
    assert 32 % window == 0
    before, after = window - 1, window  # neighbours in two windows
    base = torch.randn(1, 32, 32, 16)
    moved = base.clone()
    moved[0, 5, [before, after]] = base[0, 5, [after, before]]
    beyond = base.clone()
    beyond[0, 5, after] = torch.randn(16)
    for shifted in (False, True):
        block = swin_block(16, 2, window, shifted=shifted).eval()
        with torch.no_grad():
            difference = (block(beyond) - block(base))[0].abs().amax(dim=-1)
            seen = difference[5, before] > 1e-6
            assert seen == shifted
            # tokens of one window at most see a change of one token
            assert (difference > 1e-6).sum() <= window**2
            crossing = (block(moved) - block(base))[0].abs().amax(dim=-1) > 1e-6
        columns = crossing.any(dim=0).nonzero().flatten()
        wanted = (before - window // 2 + 1, after + window // 2 - 1) if shifted else (0, 2 * window - 1)
        assert (columns.min(), columns.max()) == wanted


@pytest.mark.parametrize("window", [8, 4])
def test_shifted_windows_do_not_join_opposite_borders(window):
    torch.manual_seed(0)
    block = swin_block(16, 2, window, shifted=True).eval()
    base = torch.randn(1, 32, 32, 16)
    changed_border = base.clone()
    changed_border[0, 16, 0] = torch.randn(16)
    with torch.no_grad():
        difference = (block(changed_border) - block(base))[0].abs().amax(dim=-1)
    assert difference[16, 0] > 1e-3
    assert difference[:, 16:].max() < 1e-6


def test_the_relative_positions_are_biased_by_a_learned_table():
    block = swin_block(16, 2, 8, shifted=False)
    assert block.attn.relative_position_bias_table.shape == ((2 * 8 - 1) ** 2, 2)
    assert not any("position_index" in key for key in block.state_dict())


# 4: attention


def test_attention_is_one_of_channels_and_its_rows_sum_to_one():
    torch.manual_seed(0)
    module, code, warped = MotionAttention(16, 6), torch.randn(2, 16), torch.randn(2, 6, 8, 8)
    attention = module.attention(code, warped)
    assert attention.shape == (2, 6, 6)
    # 1e-6: float32
    assert torch.allclose(attention.sum(dim=-1), torch.ones(2, 6), atol=1e-6)
    nn.init.ones_(module.gamma)
    taken = module(code, warped) - warped
    assert taken.flatten(2).std(dim=-1).min() > 1e-2


@pytest.mark.parametrize("scaled", [True, False])
def test_attention_is_the_equation_written_out(scaled):
    torch.manual_seed(0)
    module, code, warped = (
        MotionAttention(16, 6, scaled=scaled),
        torch.randn(2, 16),
        torch.randn(2, 6, 8, 8),
    )
    nn.init.constant_(module.gamma, 0.5)
    broadcast = module.reduce(code)[:, :, None, None].expand(-1, -1, 8, 8)
    query, key, value = module.query(broadcast), module.key(warped), module.value(warped)
    logits = query.flatten(2) @ key.flatten(2).transpose(1, 2) / (64 if scaled else 1)
    wanted = warped + 0.5 * (logits.softmax(dim=-1) @ value.flatten(2)).view_as(warped)
    # 1e-5: sums in another order
    assert torch.allclose(module(code, warped), wanted, atol=1e-5)


def test_the_attention_asks_with_the_motion_code_and_with_the_identity_where_told():
    source, driving = frames(1), frames(2, seed=1)
    plain = trained_method()
    both = trained_method(changed("feature_decoupling_params", identity_in_generator=True))
    encoding = plain.encode(source)
    assert encoding.identity is not None and encoding.identity.shape == (1, 16)
    code = plain.motion_code(driving)
    assert plain.query(code, encoding.identity) is code
    assert torch.equal(both.query(code, encoding.identity), code + encoding.identity)
    assert not torch.allclose(plain.animate(encoding, driving), both.animate(both.encode(source), driving))


# 5: whom the losses of identity reach, and with which sign


def test_the_identity_losses_reach_only_their_own_side():
    torch.manual_seed(0)
    discriminator, codes = DomainDiscriminator(16, IDENTITIES), torch.randn(4, 16, requires_grad=True)
    identity = torch.tensor([0, 1, 2, 4])
    recognition_loss(discriminator, codes, identity).backward()
    assert codes.grad is None
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    discriminator.zero_grad(set_to_none=True)
    nn.init.zeros_(discriminator[-1].bias)
    # a little below chance, so that there is something to lose
    with torch.no_grad():
        codes.copy_(4 * codes)
    recognised = discriminator(codes).argmax(dim=1)
    confusion_loss(discriminator, codes, recognised).backward()
    assert codes.grad is not None and codes.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in discriminator.parameters())


def test_confusion_is_worth_no_more_than_chance():
    discriminator = DomainDiscriminator(16, IDENTITIES)
    codes = torch.randn(8, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    nn.init.constant_(discriminator[-1].bias, -50.0)
    with torch.no_grad():
        discriminator[-1].bias[0] = 50.0
    loss = confusion_loss(discriminator, codes, torch.full((8,), 3))
    assert loss.item() == pytest.approx(math.log(IDENTITIES))
    loss.backward()
    assert codes.grad.abs().sum() == 0


def test_the_discriminator_learns_who_it_is_and_the_encoder_to_hide_it():
    pairs = small_pairs()
    batch = pair()
    made = replace(pairs.reconstruct(batch.source, batch.driving), identity=batch.identity)
    losses = pairs.losses(batch.source, batch.driving, made)
    told = recognition_loss(pairs.discriminator, made.motion_code, batch.identity)
    assert losses["recognition"].item() == pytest.approx(10 * told.item())
    assert losses["confusion"].item() == pytest.approx(-min(told.item(), math.log(IDENTITIES)))
    losses["recognition"].backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in pairs.networks.parameters())
    assert all(parameter.grad is not None for parameter in pairs.discriminator.parameters())
    pairs.discriminator.zero_grad(set_to_none=True)
    losses["confusion"].backward()
    assert all(parameter.grad is None for parameter in pairs.discriminator.parameters())
    decoupling = pairs.mofd.feature_decoupling
    for part in (decoupling.encoder, decoupling.motion_head):
        assert all(parameter.grad is not None for parameter in part.parameters())
    assert decoupling.vectors.grad is not None


def test_the_discriminator_has_its_own_optimiser_and_stays_out_of_the_file():
    task = MofdTraining(small_pairs(), Taps())
    optimizers = task.optimizers()
    discriminator = task.mofd.discriminator
    held = {id(p) for group in optimizers["domain_discriminator"].param_groups for p in group["params"]}
    assert held == {id(parameter) for parameter in discriminator.parameters()}
    before = [parameter.clone() for parameter in discriminator.parameters()]
    task.step(pair(), optimizers, lambda loss: loss.backward())
    assert not all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))
    assert not any("discriminator" in key for key in task.export()[0])


# 6: the code of the generated image


def test_the_motion_code_loss_is_nothing_where_the_generated_image_is_the_driving_frame():
    pairs = small_pairs()
    batch = pair()
    made = pairs.reconstruct(batch.source, batch.driving)
    same = replace(made, prediction=batch.driving, identity=batch.identity)
    assert pairs.losses(batch.source, batch.driving, same)["motion_code"] == 0
    assert pairs.losses(batch.source, batch.driving, made)["motion_code"] > 0


def test_the_motion_code_of_the_driving_frame_is_a_fixed_target():
    generated, driving = (torch.randn(2, 4, requires_grad=True) for _ in range(2))
    motion_code_loss(generated, driving).backward()
    assert driving.grad is None and generated.grad is not None


@pytest.mark.parametrize("trains", [True, False])
def test_the_motion_code_loss_trains_the_encoder_it_looks_through_unless_told_otherwise(trains):
    pairs, batch = small_pairs(motion_code_trains_encoder=trains), pair()
    prediction = batch.source.clone().requires_grad_()
    made = replace(pairs.reconstruct(batch.source, batch.driving), prediction=prediction)
    loss = pairs.losses(batch.source, batch.driving, made)["motion_code"]
    loss.backward()
    assert prediction.grad.abs().sum() > 0
    decoupling = pairs.mofd.feature_decoupling
    for parameter in (*decoupling.encoder.parameters(), *decoupling.motion_head.parameters()):
        assert (parameter.grad is not None) == trains
    same = replace(made, prediction=batch.driving)
    assert pairs.losses(batch.source, batch.driving, same)["motion_code"] == 0


# 7: patches


def test_patches_are_put_back_where_they_were():
    maps = torch.randn(2, 3, 8, 16)
    patches = to_patches(maps, 4)
    assert patches.shape == (2, 4, 4, 3 * 2 * 4)
    assert torch.equal(patches[1, 2, 3].view(3, 2, 4), maps[1, :, 4:6, 12:16])
    assert torch.equal(from_patches(patches, (2, 4)), maps)


def test_patching_and_unpatching_are_undone_where_both_layers_do_nothing():
    # two channels of features and two of motion, in patches of 2 x 2
    config = MotionOptimisationConfig(grid=4, windows=(2, 2), embedding=16, heads=2, flow_channels=4)
    module = MotionOptimisation(2, (8, 8), config)
    for layer in (module.embed, module.unembed):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    maps = torch.randn(2, 4, 8, 8)
    tokens = module.embed(to_patches(maps, module.grid))
    assert tokens.shape == (2, 4, 4, 16)
    # 1e-6: a product with the identity
    assert torch.allclose(from_patches(module.unembed(tokens), module.patch), maps, atol=1e-6)


# the motion optimisation as a whole


def test_a_fresh_module_corrects_nothing_and_its_window_weights_are_one():
    module = MotionOptimisation(
        3, (16, 16), MotionOptimisationConfig(grid=8, windows=(4, 2), embedding=8, heads=2, flow_channels=4)
    )
    assert torch.equal(module.window_weights, torch.ones(2, 2))
    correction = module(torch.randn(2, 2, 16, 16), torch.randn(2, 3, 16, 16))
    assert torch.equal(correction, torch.zeros(2, 2, 16, 16))


def test_the_optimised_motion_is_the_given_one_corrected_or_the_literal_correction():
    added, literal = trained_method(), trained_method(changed("motion_optimisation_params", residual=False))
    features = added.encode(frames(1)).appearance.features[-1]
    given = coordinate_grid(8, 8, like=features).unsqueeze(0) * 0.5
    finer = coordinate_grid(4, 4, like=features)
    difference = added.flow(0, features, given) - literal.flow(0, features, given)
    # 1e-5: the given motion, resized with aligned corners, minus standing still
    assert torch.allclose(difference, -0.5 * finer.unsqueeze(0), atol=1e-5)


def test_the_optimised_motion_is_what_the_warped_features_teach():
    pairs = small_pairs()
    batch = pair()
    losses = pairs.losses(batch.source, batch.driving, pairs.reconstruct(batch.source, batch.driving))
    losses["warp"].backward()
    for module in pairs.mofd.motion_optimisation:
        assert module.fusion[2].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in pairs.mofd.motion_attention.parameters())
    assert pairs.method.dense_motion_network.maps.weight.grad.abs().sum() > 0


# configurations, variants, files


@pytest.mark.parametrize("name", official_names())
def test_the_configurations_are_tpsmms_networks_and_the_papers_numbers(name):
    config = mofd_config(official(name))
    counts = {
        key: sum(parameter.numel() for parameter in network.parameters())
        for key, network in on_meta(mofd_networks, config).items()
    }
    assert counts["kp_detector"] == 11_227_812
    assert ("bg_predictor" in counts) == (name in ("vox-256", "taichi-256"))
    assert config.stage_sizes() == [(side, side) for side in (32, 64, 128, 256)]
    assert (config.optimisation.grid, config.optimisation.windows) == (32, (8, 4))
    decoupling = config.decoupling
    assert (decoupling.width, decoupling.identity_vectors, decoupling.motion_vectors) == (512, 20, 20)
    # patches of 1, 2, 4 and 8 pixels
    modules = on_meta(mofd_networks, config)["motion_optimisation"]
    assert [module.patch for module in modules] == [(side, side) for side in (1, 2, 4, 8)]


@pytest.mark.parametrize(
    ("part", "words", "sentence"),
    [
        ("motion_optimisation_params", {"grid": 3}, "do not tile, a grid of 3"),
        ("motion_optimisation_params", {"windows": [2]}, "windows has 1 sizes"),
        ("motion_optimisation_params", {"heads": 3}, "embedding 8 cannot be shared by 3 heads"),
        ("motion_optimisation_params", {"grid": 8}, r"resolution \(32, 32\) is no multiple of 64"),
        ("feature_decoupling_params", {"width": 7}, "8 basis vectors cannot be orthogonal in 7"),
        ("feature_decoupling_params", {"attention_scale": "n"}, "attention_scale 'n' is none of"),
        ("motion_optimization_params", {"grid": 4}, "unknown section motion_optimization_params"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_answered_with_a_sentence(part, words, sentence):
    with pytest.raises(BenchbedError, match=f"the MOFD configuration .*{sentence}"):
        mofd_config(changed(part, **words))


def test_an_optimised_motion_needs_a_resolution():
    with pytest.raises(BenchbedError, match="needs a resolution"):
        mofd_config({**SMALL, "resolution": None})


@pytest.mark.parametrize(
    ("left_out", "switches"),
    [
        (None, ("on", "on")),
        ("motion_optimisation_params", ("off", "on")),
        ("feature_decoupling_params", ("on", "off")),
    ],
)
def test_a_variants_file_rebuilds_the_variant(tmp_path, left_out, switches):
    published = SMALL if left_out is None else changed(left_out)
    method = trained_method(published)
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), published), configuration=None)
    assert isinstance(loaded, Method)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    assert (
        loaded.conventions["motion_optimisation"],
        loaded.conventions["feature_decoupling"],
    ) == switches


def test_a_method_without_weights_says_how_to_get_some():
    with pytest.raises(WeightsMissingError, match="benchbed train --method mofd"):
        build(checkpoint=None, configuration=None)
    with pytest.raises(UnknownNameError, match="fashion-256"):
        official("ted-384")


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(transfer):
    # smooth images: white noise turns float noise of positions into visible differences
    source, *driving = nn.functional.interpolate(frames(6, size=4, seed=2), size=32, mode="bicubic").clamp(
        0, 1
    )
    method, batch = trained_method(), torch.stack(driving)
    options = {"initial_driving": batch[:1], "transfer": transfer}
    with torch.inference_mode():
        check_batch(method, method.encode(source[None]), batch, **options)


def test_wrong_calls_are_answered_with_a_sentence():
    method = trained_method()
    check_wrong_transfers(method, "mofd", frames(1))
    with pytest.raises(BenchbedError, match="takes 32x32 only"):
        method.encode(frames(1, size=48))
    with pytest.raises(BenchbedError, match="takes 32x32 only"):
        method.animate(method.encode(frames(1)), frames(1, size=48))
    unoptimised = trained_method(changed("motion_optimisation_params"))
    assert unoptimised.encode(frames(1, size=48)).image.shape[-1] == 48
    with pytest.raises(BenchbedError, match="multiples of 16"):
        unoptimised.encode(frames(1, size=40))


# training


def test_the_paper_preset_is_the_published_recipe():
    preset = presets()["paper"]()
    recipe = preset.recipe
    assert (recipe.schedule.batch_size, recipe.schedule.resolution) == (12, 256)
    assert recipe.schedule.steps == 100 * (424 * 75 // 12)
    assert set(recipe.learning_rates.values()) == {2e-4}
    assert [milestone * 100 // recipe.schedule.steps for milestone in recipe.milestones] == [70, 90]
    weights = (preset.warp_weight, preset.equivariance_weight, preset.background_weight)
    assert (recipe.perceptual, weights) == ((10,) * 5, (10,) * 3)
    own = (preset.recognition_weight, preset.confusion_weight, preset.motion_code_weight)
    assert own == (10, -1, 10)
    assert preset.published == official("vox-256")


@pytest.mark.parametrize("name", ["fashion-256", "mgif-256"])
def test_recipes_without_background_train_none(name):
    preset = presets()[name]()
    assert not preset.published["model_params"]["common_params"]["bg"]
    assert "bg_predictor" not in preset.recipe.gradient_norms
    assert preset.dropout.largest == 0.5


@pytest.mark.parametrize(
    ("variant", "lacks"),
    [
        ("without-decoupling", {"feature_decoupling", "motion_attention", "domain_discriminator"}),
        ("without-motion-optimisation", {"motion_optimisation"}),
    ],
)
def test_an_ablation_trains_without_its_part_and_says_so_in_its_file(variant, lacks):
    torch.manual_seed(0)
    full = build_training(TrainingRequest("tiny", Taps(), identities=IDENTITIES))
    task = build_training(TrainingRequest(f"tiny-{variant}", Taps(), identities=IDENTITIES))
    assert set(full.networks) - set(task.networks) == lacks
    batch = FramePair(frames(2, 64), frames(2, 64, seed=1), identity=torch.tensor([0, 3]))
    names = set(task.step(batch, task.optimizers(), lambda loss: loss.backward()))
    assert ({"recognition", "confusion", "motion_code"} <= names) == ("decoupling" not in variant)
    published = json.loads(task.export()[1]["configuration"])
    assert published["name"] == f"tiny-{variant}"
    rebuilt = mofd_config(published)
    assert (rebuilt.optimisation is None, rebuilt.decoupling is None) == (
        "optimisation" in variant,
        "decoupling" in variant,
    )


def test_another_resolution_has_larger_patches():
    task = build_training(TrainingRequest("tiny", Taps(), resolution=128, identities=IDENTITIES))
    assert [module.patch[0] for module in task.mofd.mofd.motion_optimisation] == [2, 4, 8, 16]
