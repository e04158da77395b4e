"""LIA reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from benchbed.methods.lia.animator import along
from benchbed.methods.lia.checkpoint import inference_networks
from benchbed.methods.lia.config import lia_config
from benchbed.methods.lia.method import Encoding, Lia

from .fixtures import Fixture, Stage, load_fixture
from .stages import check_stage

METHOD = "lia"
Inputs = dict[str, Tensor]


@lru_cache(maxsize=1)
def method(path: Path) -> Lia:
    """The method with the fixture's seeded weights; constants are those of the constructor."""
    fixture = load_fixture(path)
    config = lia_config(fixture.config)
    networks = inference_networks(config)
    networks["gen"].load_state_dict(fixture.weights("gen"), strict=False)
    return Lia(config, networks).eval()


def by_role(stage: Stage, results: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Results by full name, as the runner asks for them."""
    return {stage.role(name): value for name, value in results.items()}


def unit(image: Tensor) -> Tensor:
    """From [-1, 1], the range of the fixtures, to [0, 1]."""
    return (image + 1) / 2


def encoding(fixture: Fixture, inputs: Inputs) -> Encoding:
    return method(fixture.path).encode(unit(inputs["source"]))


def decoded(fixture: Fixture, source: Encoding, path: Tensor) -> Tensor:
    """The image before it is clamped."""
    return method(fixture.path).gen.dec(source.appearance.latent + path, source.appearance.features)


def magnitudes(fixture: Fixture, image: Tensor) -> Tensor:
    encoder = method(fixture.path).gen.enc
    return encoder.magnitudes(encoder.net_app.latent(image))


def encode_source(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    encoder = method(fixture.path).gen.enc
    appearance = encoder.net_app(inputs["source"])
    results = {"latent_source": appearance.latent, "alpha_source": encoder.magnitudes(appearance.latent)}
    for features in appearance.features:
        results[f"feat_{features.shape[-1]}"] = features
    return by_role(stage, results)


def encode_driving(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return by_role(stage, {"alpha_driving": magnitudes(fixture, inputs["driving"])})


def encode_start(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return by_role(stage, {"alpha_start": magnitudes(fixture, inputs["start"])})


def direction(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    directions = method(fixture.path).gen.directions()
    assert directions is not None
    path = along(directions, inputs["alpha_given"])
    return by_role(stage, {"direction_Q": directions, "direction_of_alpha": path})


def decode(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    generator = method(fixture.path).gen
    appearance = generator.enc.net_app(inputs["source"])
    latent = inputs["latent_given"] + along(generator.directions(), inputs["alpha_given"])
    results: dict[str, Tensor] = {}
    for level in generator.dec.pyramid(latent, appearance.features):
        size = level.flow.shape[-1]
        results[f"decode_flowmask_{size}"] = level.flow
        results[f"decode_warped_{size}"] = level.warped
        results[f"decode_hidden_{size}"] = level.blended
        results["decode_image"] = level.image
    return by_role(stage, results)


def reconstruct_absolute(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source = encoding(fixture, inputs)
    path = method(fixture.path).driving_path(source, unit(inputs["driving"]))
    return by_role(stage, {"recon_image": decoded(fixture, source, path)})


def relative_transfer(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source = encoding(fixture, inputs)
    path = method(fixture.path).driving_path(
        source, unit(inputs["driving"]), initial_driving=unit(inputs["start"]), transfer="relative"
    )
    return by_role(stage, {"relative_image": decoded(fixture, source, path)})


def canonical(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source = encoding(fixture, inputs)
    return by_role(stage, {"canonical_image": decoded(fixture, source, torch.zeros_like(source.path))})


def linear_manipulation(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    source = encoding(fixture, inputs)
    path = source.path + along(source.directions, inputs["alpha_manip"])
    return by_role(stage, {"manip_image": decoded(fixture, source, path)})


STAGES = {
    "encode_source": encode_source,
    "encode_driving": encode_driving,
    "encode_start": encode_start,
    "direction": direction,
    "decode": decode,
    "reconstruct_absolute": reconstruct_absolute,
    "relative_transfer": relative_transfer,
    "canonical": canonical,
    "linear_manipulation": linear_manipulation,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_the_network_has_the_published_names_shapes_and_count(fixture_path):
    fixture, network = load_fixture(fixture_path), method(fixture_path).gen
    state = {f"gen.{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    assert {name for name in state if name not in fixture.record["parameters"]} == set(
        fixture.record["constants"]
    )
    assert all(state[name] == tuple(shape) for name, shape in fixture.record["parameters"].items())
    assert sum(p.numel() for p in network.parameters()) == fixture.record["parameter_counts"]


def test_the_method_returns_the_recorded_transfers_clamped_to_the_unit_range(fixture_path):
    fixture, lia = load_fixture(fixture_path), method(fixture_path)
    images = {name: torch.from_numpy(fixture.arrays[name]) for name in ("source", "driving", "start")}
    source = lia.encode(unit(images["source"]))
    for transfer, name in (("absolute", "recon_image"), ("relative", "relative_image")):
        generated = lia.animate(
            source, unit(images["driving"]), initial_driving=unit(images["start"]), transfer=transfer
        )
        bounds = fixture.record["outputs"][name]
        thinned = generated[tuple(slice(None, None, step) for step in bounds.get("stride", ()))]
        recorded = unit(torch.from_numpy(fixture.arrays[name]).clamp(-1, 1))
        assert torch.allclose(thinned, recorded, atol=bounds["atol"], rtol=bounds["rtol"])
