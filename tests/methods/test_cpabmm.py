"""CPABMM: published configurations, weights files, CPAB transformations, fits, batches and transfer."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.methods.blocks.vision_transformer import FrozenTransformer, TransformerConfig
from benchbed.methods.cpabmm.checkpoint import inference_networks
from benchbed.methods.cpabmm.config import cpabmm_config
from benchbed.methods.cpabmm.fit import fit_transformations, moved_points
from benchbed.methods.cpabmm.flow import drift, velocity
from benchbed.methods.cpabmm.method import Cpabmm, build
from benchbed.methods.cpabmm.official import DATASETS, official, official_names
from benchbed.methods.cpabmm.presets import presets
from benchbed.methods.cpabmm.structure import key_self_similarity, structure_loss
from benchbed.methods.cpabmm.tessellation import cell_of, constraints, velocity_basis
from benchbed.methods.cpabmm.training import FittedPairs

from .released import (
    OPTIMIZER,
    check_batch,
    check_same_frames,
    check_wrong_transfers,
    frames,
    on_meta,
    write_own,
    write_released,
)

SMALL = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_cpab": 2, "num_channels": 3, "bg": True, "multi_mask": True},
        "generator_params": {"block_expansion": 4, "max_features": 8, "num_down_blocks": 3},
        "dense_motion_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_blocks": 2,
            "scale_factor": 0.25,
            "max_iter": 5,
        },
        "avd_network_params": {"id_bottle_size": 4, "pose_bottle_size": 4},
    },
}


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, 2, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def small_method(iterations: int = 5, **animation: object) -> Cpabmm:
    torch.manual_seed(0)
    published = json.loads(json.dumps({**SMALL, "animation": animation}))
    published["model_params"]["dense_motion_params"]["max_iter"] = iterations
    method = Cpabmm(cpabmm_config(published)).eval()
    # Fresh networks put all points near the centre and keep the background still.
    nn.init.normal_(method.kp_detector.fg_encoder.fc.weight, std=0.1)
    assert method.bg_predictor is not None and method.avd_network is not None
    nn.init.normal_(method.avd_network.decoder[9].bias, std=0.3)
    nn.init.normal_(method.bg_predictor.bg_encoder.fc.weight, std=0.01)
    return method


@pytest.mark.parametrize("name", official_names())
def test_published_configurations_add_one_motion_to_those_of_thin_plates(name):
    config = cpabmm_config(official(name))
    networks = on_meta(inference_networks, config)
    counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
    assert counts["kp_detector"] == 11_227_812
    assert counts["inpainting_network"] == 24_737_283
    assert counts.get("bg_predictor") == (None if name == "mgif-256" else 11_188_998)
    dense = networks["dense_motion_network"]
    assert dense.hourglass.encoder.down_blocks[0].conv.in_channels == 87
    assert dense.maps.out_channels == 12
    assert [conv.in_channels for conv in dense.occlusion] == [256, 151, 75, 37]
    steps = (200, 300) if name == "taichi-256" else (100, 150)
    assert (config.partial_iterations, config.global_iterations) == steps


def test_both_words_for_the_number_of_sets_are_read():
    assert cpabmm_config(official("vox-256")).model.num_sets == 10
    assert cpabmm_config(SMALL).model.num_sets == 2
    assert set(DATASETS) == set(official_names())
    with pytest.raises(UnknownNameError, match="unknown CPABMM configuration 'vox'"):
        official("vox")


@pytest.mark.parametrize(("value", "sentence"), [(0, "at least one step"), (None, "lacks 'max_iter'")])
def test_a_fit_without_steps_is_refused(value, sentence):
    published = json.loads(json.dumps(SMALL))
    published["model_params"]["dense_motion_params"]["max_iter"] = value
    if value is None:
        del published["model_params"]["dense_motion_params"]["max_iter"]
    with pytest.raises(BenchbedError, match=f"the CPABMM configuration .*{sentence}"):
        cpabmm_config(published)


def test_a_method_without_weights_says_that_none_were_released():
    with pytest.raises(WeightsMissingError, match="its authors released none"):
        build(checkpoint=None, configuration=None)


def test_a_file_of_the_training_code_loads_under_its_configuration_alone(tmp_path):
    networks = on_meta(inference_networks, cpabmm_config(official("vox-256")), frozenset({"bg_predictor"}))
    path = write_released(tmp_path / "00000099-checkpoint.pth.tar", networks, optimizer=OPTIMIZER)
    method = build(checkpoint=path, configuration="taichi-256")
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("unknown", (256, 256))
    assert method.conventions["fit_iterations"] == "200 and 300"
    assert method.conventions["absolute_background"] == "predicted"
    with pytest.raises(CheckpointError, match="name the one it was trained with"):
        build(checkpoint=path, configuration=None)
    with pytest.raises(CheckpointError, match=r"unexpected \(bg_predictor\.bg_encoder.*fit 'vox-256'"):
        build(checkpoint=path, configuration="mgif-256")
    with pytest.raises(CheckpointError, match=r"leave out \+avd"):
        build(checkpoint=path, configuration="vox-256+avd")


def test_our_file_carries_its_configuration_and_no_basis(tmp_path):
    method = small_method()
    assert not any("basis" in name for name in method.state_dict())
    path = write_own(tmp_path, method.state_dict(), SMALL)
    loaded = build(checkpoint=path, configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
@pytest.mark.parametrize("avd", [False, True])
def test_a_batch_equals_frame_by_frame(transfer, avd):
    method, driving = small_method(avd=avd), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **options)


def test_converged_fits_do_not_depend_on_the_batch():
    method, driving = small_method(iterations=60), frames(3, seed=3)
    encoding = method.encode(frames(1))
    # Within its bound although the fits have converged and oscillate.
    check_batch(method, encoding, driving)


def test_frames_are_generated_under_inference_mode_as_without():
    method, driving = small_method(), frames(2, seed=4)
    plain = method.animate(method.encode(frames(1)), driving)
    with torch.inference_mode():
        assert torch.equal(method.animate(method.encode(frames(1)), driving), plain)


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    method, initial = small_method(), frames(1, seed=3)
    encoding = method.encode(frames(1))
    found = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.equal(found.value, encoding.keypoints.value)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "cpabmm", frames(1))
    with pytest.raises(BenchbedError, match="cpabmm cannot work on frames of 30x30"):
        method.encode(frames(1, size=30))


@pytest.mark.parametrize(("side", "equations", "dimension"), [(4, 400, 58), (6, 896, 130)])
def test_the_basis_is_orthonormal_and_meets_every_equation(side, equations, dimension):
    basis = velocity_basis(side)
    assert constraints(side).shape == (equations, 24 * side**2)
    assert basis.shape == (24 * side**2, dimension)
    # 1e-10: float64, shifts by ten squares
    assert np.abs(constraints(side) @ basis.numpy()).max() < 1e-10
    assert torch.allclose(basis.T @ basis, torch.eye(dimension, dtype=torch.float64), atol=1e-10)


def test_triangles_of_a_square_lie_around_its_centre_and_go_on_outside():
    inside = torch.tensor([[0.5, 0.1], [0.9, 0.5], [0.5, 0.9], [0.1, 0.5]])
    assert cell_of(inside, 1).tolist() == [0, 1, 2, 3]
    outside = torch.tensor([[0.5, -3.0], [4.0, 0.5], [0.5, 4.0], [-3.0, 0.5]])
    assert cell_of(outside, 1).tolist() == [0, 1, 2, 3]
    corners = torch.tensor([[-1.0, -2.0], [-2.0, -1.0], [3.0, 2.0], [2.0, 3.0]])
    assert cell_of(corners, 1).tolist() == [0, 3, 1, 2]
    # second row, third column of 4 x 4, right triangle
    assert cell_of(torch.tensor([0.74, 0.375]), 4).item() == 4 * (1 * 4 + 2) + 1


@pytest.mark.parametrize("side", [4, 6])
def test_the_velocity_is_continuous_inside_and_across_the_border(side):
    basis = velocity_basis(side)
    theta = torch.randn(1, 1, basis.shape[1], generator=torch.Generator().manual_seed(side)).double()
    around = torch.rand(4000, 2, generator=torch.Generator().manual_seed(9)).double() * 1.4 - 0.2
    # Beyond the corners the border triangles meet without a condition.
    around = around[((around > 0) & (around < 1)).any(dim=1)]
    near = around + 1e-7
    jump = velocity(theta, basis, near) - velocity(theta, basis, around)
    # 1e-4: a slope of less than a thousand times 1e-7
    assert jump.abs().max() < 1e-4


def test_a_field_of_zero_moves_nothing_and_another_agrees_with_an_integrator():
    basis = velocity_basis(4)
    start = (points(1, 1, 6, seed=1).double() + 1) / 2
    assert torch.equal(drift(torch.zeros(1, 1, 58).double(), basis, start), start)
    theta = 0.3 * torch.randn(1, 1, 58, generator=torch.Generator().manual_seed(2)).double()
    moved = drift(theta, basis, start)[0, 0]
    for before, after in zip(start[0, 0], moved, strict=True):
        path = solve_ivp(
            lambda _, p: velocity(theta, basis, torch.from_numpy(p)[None])[0, 0, 0].numpy(),
            (0, 1),
            before.numpy(),
            rtol=1e-8,
            atol=1e-10,
        )
        # 1e-3: a step that crosses a border goes on in the cell it began in
        assert np.allclose(path.y[:, -1], after.numpy(), atol=1e-3)


def test_the_gradient_agrees_with_finite_differences():
    basis = velocity_basis(4)
    start = (points(1, 1, 6, seed=1).double() + 1) / 2
    theta = 0.3 * torch.randn(1, 1, 58, generator=torch.Generator().manual_seed(2)).double()
    theta.requires_grad_()
    drift(theta, basis, start).square().sum().backward()
    assert theta.grad is not None
    for index in (0, 20, 57):
        step = torch.zeros_like(theta)
        step[..., index] = 1e-6
        with torch.no_grad():
            ends = [drift(theta + sign * step, basis, start).square().sum() for sign in (1, -1)]
        # 1e-3: the published gradient is that of the midpoint rule
        assert theta.grad[0, 0, index].item() == pytest.approx(((ends[0] - ends[1]) / 2e-6).item(), abs=1e-3)


def test_fits_bring_points_closer_and_are_independent_unless_joint():
    driving, basis = points(3, 2, 5, seed=4), velocity_basis(4)
    source = driving + 0.1 * points(3, 2, 5, seed=5)
    theta = fit_transformations(driving, source, basis, iterations=60)
    error = (moved_points(theta, basis, driving) - source).norm(dim=-1).mean()
    assert error < 0.2 * (driving - source).norm(dim=-1).mean()
    alone = fit_transformations(driving[:1], source[:1], basis, iterations=60)
    # 1e-6: float64 noise, blown up by an oscillating fit
    assert torch.allclose(theta[:1], alone, atol=1e-6)
    joint = fit_transformations(driving, source, basis, iterations=60, joint=True)
    assert not torch.allclose(joint[:1], alone, atol=1e-4)


def test_a_basis_can_be_passed_in():
    basis = velocity_basis(4), velocity_basis(6)
    turned = (-basis[0].flip(1), basis[1])
    networks = inference_networks(cpabmm_config(SMALL))
    method = Cpabmm(cpabmm_config(SMALL), networks, bases=turned).eval()
    assert torch.equal(method.partial_basis, turned[0])


def test_self_similarity_of_equal_tokens_is_one_and_of_no_token_zero():
    keys = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]]] * 2)
    wanted = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(key_self_similarity(keys), wanted)


def small_pairs(*, spline_gradient: bool) -> FittedPairs:
    torch.manual_seed(0)
    pairs = FittedPairs(replace(presets()["tiny"](), published=SMALL, spline_gradient=spline_gradient))
    pairs.networks.train()
    return pairs


def moved(pairs: FittedPairs) -> Tensor:
    """Where the fitted transformations take every pixel, with the gradient to the detector."""
    source, driving = (pairs.detect(frames(2, seed=seed)) for seed in (0, 1))
    return pairs.fitted.set_motions(source, driving, (8, 8))


def test_transformations_are_constants_and_key_points_learn_through_their_heat_maps():
    pairs = small_pairs(spline_gradient=False)
    assert not moved(pairs).requires_grad
    pairs.reconstruct(frames(2), frames(2, seed=1)).prediction.sum().backward()
    assert pairs.networks["kp_detector"].fg_encoder.fc.weight.grad.abs().sum() > 0


def test_splines_lend_transformations_of_sets_their_gradient_and_nothing_else():
    with_splines, without = (small_pairs(spline_gradient=guided) for guided in (True, False))
    found = moved(with_splines)
    assert torch.equal(found, moved(without))
    weight = with_splines.networks["kp_detector"].fg_encoder.fc.weight
    (partial,) = torch.autograd.grad(found[:, :-1].sum(), weight, retain_graph=True)
    (whole,) = torch.autograd.grad(found[:, -1].sum(), weight, allow_unused=True)
    assert partial.abs().sum() > 0
    assert whole is None or whole.abs().sum() == 0


def test_fits_are_joint_in_training_and_single_at_rest():
    pairs = small_pairs(spline_gradient=True)
    joint = []
    for train in (True, False):
        pairs.networks.train(train)
        pairs.reconstruct(frames(2), frames(2, seed=1))
        joint.append(pairs.fitted.joint_fit)
    assert joint == [True, False]


def test_the_structure_loss_sums_over_the_batch_and_reaches_generated_frames_alone():
    transformer = FrozenTransformer(TransformerConfig(32, 16, 2, 2, 16, 16))
    generated, real = frames(2).requires_grad_(), frames(2, seed=1).requires_grad_()
    loss = structure_loss(transformer, generated, real)
    expected = 0.0
    for one, other in zip(generated, real, strict=True):
        keys = (
            transformer(image[None]).keys.unflatten(-1, (2, 8))[0].transpose(0, 1) for image in (one, other)
        )
        expected += (torch.sub(*map(key_self_similarity, keys))).square().mean().item()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert generated.grad.abs().sum() > 0 and real.grad is None


def test_a_transformer_adds_the_weighted_structure_loss_to_all_others():
    torch.manual_seed(0)
    preset = replace(presets()["tiny"](), published=SMALL, structure_weight=0.1)
    transformer = FrozenTransformer(TransformerConfig(32, 16, 2, 2, 16, 16))
    pairs = FittedPairs(preset, transformer)
    source, driving = frames(2), frames(2, seed=1)
    made = pairs.reconstruct(source, driving)
    losses = pairs.losses(source, driving, made)
    expected = 0.1 * structure_loss(transformer, made.prediction, driving).item()
    assert losses["structure"].item() == pytest.approx(expected, rel=1e-4)
    assert "transformer" not in " ".join(pairs.networks.state_dict())
