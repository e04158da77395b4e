"""CPABMM reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.methods.blocks.animation import AnimationConfig
from benchbed.methods.blocks.grids import coordinate_grid
from benchbed.methods.cpabmm.checkpoint import inference_networks
from benchbed.methods.cpabmm.config import CpabmmConfig, cpabmm_config
from benchbed.methods.cpabmm.fit import fit_transformations, moved_points
from benchbed.methods.cpabmm.flow import affine_fields, drift, integrate, velocity
from benchbed.methods.cpabmm.method import GLOBAL_SIDE, PARTIAL_SIDE, Cpabmm
from benchbed.methods.cpabmm.structure import key_self_similarity
from benchbed.methods.cpabmm.tessellation import cell_of, velocity_basis

from .fixtures import Fixture, Stage, load_fixture
from .keypoint_set_stages import Inputs, SharedStages, given, motion_outputs, reconstructed
from .published_networks import check_published, seeded
from .stages import StageFunction, check_stage

METHOD = "cpabmm"


@lru_cache(maxsize=1)
def networks(path: Path) -> nn.ModuleDict:
    """Everything the fixture lists parameters of, with its seeded weights; one fixture's at a time."""
    fixture = load_fixture(path)
    return seeded(fixture, inference_networks(cpabmm_config(fixture.config)))


def basis(fixture: Fixture, side: int) -> Tensor:
    return torch.from_numpy(fixture.arrays[f"basis_{side}x{side}"])


def method(fixture: Fixture, avd: bool = False, *, iterations: int | None = None) -> Cpabmm:
    """The method with the recorded bases, and one norm for the whole batch, as recorded."""
    config = cpabmm_config(fixture.config)
    if iterations is not None:
        config = CpabmmConfig(config.model, iterations, iterations)
    config = replace(config, model=replace(config.model, animation=AnimationConfig(avd, "never")))
    bases = (basis(fixture, PARTIAL_SIDE), basis(fixture, GLOBAL_SIDE))
    return Cpabmm(config, networks(fixture.path), bases=bases, joint_fit=True).eval()


def side_named(stage: Stage) -> int:
    found = re.search(r"_(\d+)x\1$", stage.name)
    if found is None:
        raise AssertionError(f"no tessellation in the name of stage '{stage.name}'")
    return int(found[1])


def cells_and_velocity(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    side = side_named(stage)
    name = f"{side}x{side}"
    points = inputs[f"points_{name}"].T
    fields = velocity(inputs[f"theta_{name}"][None], inputs[f"basis_{name}"], points)[0]
    return {f"cpab_cell_{name}": cell_of(points, side), f"cpab_velocity_{name}": fields.transpose(1, 2)}


def transform(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    name = f"{side_named(stage)}x{side_named(stage)}"
    own, weights = inputs[f"basis_{name}"], inputs[f"weights_{name}"].transpose(1, 2)
    theta = inputs[f"theta_{name}"][None].clone().requires_grad_()
    points = inputs[f"points_{name}"].T.expand(1, theta.shape[1], -1, -1)
    with torch.enable_grad():
        moved = drift(theta, own, points)[0]
        (gradient,) = torch.autograd.grad((moved * weights).sum(), theta)
        plain = integrate(affine_fields(theta, own)[0], points[0], side_named(stage))
        (through_steps,) = torch.autograd.grad((plain * weights).sum(), theta)
    return {
        f"cpab_points_{name}": moved.transpose(1, 2),
        f"cpab_gradient_{name}": gradient[0],
        f"cpab_gradient_autograd_{name}": through_steps[0],
    }


def fit(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    found = re.fullmatch(r"cpab_fit_(partial|global)_(\d+)", stage.name)
    if found is None:
        raise AssertionError(f"no kind and number of iterations in the name of stage '{stage.name}'")
    prefix = stage.name.removeprefix("cpab_")
    sets = cpabmm_config(fixture.config).model.num_sets if found[1] == "partial" else 1
    own = inputs[
        f"basis_{PARTIAL_SIDE}x{PARTIAL_SIDE}"
        if found[1] == "partial"
        else f"basis_{GLOBAL_SIDE}x{GLOBAL_SIDE}"
    ]
    driving, source = (given(inputs, role).value.unflatten(1, (sets, -1)) for role in ("driving", "source"))
    theta = fit_transformations(driving, source, own.double(), iterations=int(found[2]), joint=True)
    size = fixture.arrays[f"{prefix}_grid"].shape[2:4]
    grid = moved_points(theta, own, coordinate_grid(*size, like=driving).flatten(0, 1))
    return {
        f"{prefix}_theta": theta.flatten(0, 1),
        f"{prefix}_points": moved_points(theta, own, driving).flatten(0, 1).transpose(1, 2),
        f"{prefix}_grid": grid.unflatten(2, size),
    }


def dense_motion(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    model = method(fixture)
    low = model.dense_motion_network.downsample(inputs["image_source"])
    points = given(inputs, "source"), given(inputs, "driving")
    return motion_outputs("dm", model.move(low, *points, inputs["bg_param_given"]))


def dense_motion_alone(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """Motion k is the analytic map p -> p (1 + 0.05 k) + 0.03 k sin(2.5 swap(p) + k) of the stage's note."""
    model = method(fixture)
    low = model.dense_motion_network.downsample(inputs["image_source"])
    grid = coordinate_grid(*low.shape[2:], like=low)
    maps = [
        grid * (1 + 0.05 * k) + 0.03 * k * torch.sin(2.5 * grid.flip(-1) + k)
        for k in range(model.config.num_sets + 2)
    ]
    motions = torch.stack(maps).expand(len(low), -1, -1, -1, -1)
    points = given(inputs, "source"), given(inputs, "driving")
    return motion_outputs("dmt", model.dense_motion_network(low, *points, motions))


def reconstruct_early(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    found = re.fullmatch(r"reconstruction_(\d+)_iterations", stage.name)
    if found is None:
        raise AssertionError(f"no number of iterations in the name of stage '{stage.name}'")
    return reconstructed(method(fixture, iterations=int(found[1])), inputs, "recit")


def self_similarity(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"": key_self_similarity(inputs["keys_given"])}


FAMILIES = {
    **SharedStages(networks, method).by_kind(),
    r"cpab_cells_and_velocity_\d+x\d+": cells_and_velocity,
    r"cpab_transform_\d+x\d+": transform,
    r"cpab_fit_(partial|global)_\d+": fit,
    r"dense_motion_given_keypoints": dense_motion,
    r"dense_motion_given_transformations": dense_motion_alone,
    r"reconstruction_\d+_iterations": reconstruct_early,
    r"keys_self_similarity": self_similarity,
}


def stages(fixture: Fixture) -> dict[str, StageFunction]:
    """The function of every stage whose name, with its numbers, belongs to a family."""
    return {
        stage.kind: function
        for stage in fixture.stages
        for pattern, function in FAMILIES.items()
        if re.fullmatch(pattern, stage.kind)
    }


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(stages(load_fixture(fixture_path)), fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    fixture = load_fixture(fixture_path)
    built = networks(fixture_path)
    assert set(built) == set(fixture.record["parameter_counts"])
    check_published(fixture, built)


def test_our_basis_spans_the_recorded_space(fixture_path):
    fixture = load_fixture(fixture_path)
    for side in (PARTIAL_SIDE, GLOBAL_SIDE):
        ours, recorded = velocity_basis(side), basis(fixture, side).double()
        # 1e-6: the recorded basis is float32
        assert torch.allclose(ours @ ours.T, recorded @ recorded.T, atol=1e-6)
