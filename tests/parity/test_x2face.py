"""X2Face reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from benchbed.methods.x2face.checkpoint import inference_networks
from benchbed.methods.x2face.config import x2face_config
from benchbed.methods.x2face.driving_network import positions_of
from benchbed.methods.x2face.embedding_network import mosaic
from benchbed.methods.x2face.method import X2Face
from benchbed.methods.x2face.pose import PoseMaps

from .fixtures import Fixture, Stage, load_fixture
from .stages import check_stage

METHOD = "x2face"
Inputs = dict[str, Tensor]


@lru_cache(maxsize=1)
def method(path: Path) -> X2Face:
    """The method with the fixture's seeded weights."""
    fixture = load_fixture(path)
    config = x2face_config(fixture.config)
    networks = inference_networks(config)
    fixture.load("state_dict", networks)
    return X2Face(config, networks).eval()


def pose_maps(fixture: Fixture) -> PoseMaps:
    maps = PoseMaps(x2face_config(fixture.config).inner_nc)
    fixture.load("posereg", maps.posereg)
    fixture.load("posetobottle", maps.posetobottle)
    return maps.eval()


def views(inputs: Inputs) -> list[Tensor]:
    """The sources, in their order."""
    return [inputs[name] for name in sorted(inputs) if name.startswith("source")]


def embedding_network(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"unwrap_raw": method(fixture.path).pix2pixUnwrapped.netG(inputs["source1"])}


def embed_one(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    return {"unwrapped_one": method(fixture.path).pix2pixUnwrapped(inputs["source1"]).faces}


def embed_many(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    embedded = [method(fixture.path).pix2pixUnwrapped(view) for view in views(inputs)]
    faces = torch.stack([each.faces for each in embedded])
    confidence = torch.stack([each.confidence for each in embedded])
    count = len(embedded)
    return {
        f"mosaic_{count}": mosaic(faces, confidence, floor=0),
        f"confidence_{count}": confidence.movedim(0, -1),
    }


def driving_network(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    network = method(fixture.path).pix2pixSampler
    bottleneck = network.bottleneck(inputs["driving"])
    raw = network.netG.expand(bottleneck)
    return {
        "driving_raw": raw,
        "driving_grid": positions_of(raw),
        "driving_bottleneck_relu": bottleneck.relu().flatten(1),
    }


def animate(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    """The method itself, as the bench calls it; a mean of samples of [0, 1] needs no clamp."""
    source, *references = views(inputs)
    encoding = method(fixture.path).encode(source, torch.cat(references) if references else None)
    image = method(fixture.path).animate(encoding, inputs["driving"])
    return {
        f"image_{1 + len(references)}source": image,
        "l1_loss": (image - inputs["driving"]).abs().mean(),
    }


def pose_drive(fixture: Fixture, stage: Stage, inputs: Inputs) -> Mapping[str, Tensor]:
    x2face, maps = method(fixture.path), pose_maps(fixture)
    vectors = x2face.driving_vectors(inputs["source1"])
    turned = maps.turned(vectors, inputs["pose"])
    return {
        "source_bottleneck_raw": vectors,
        "source_pose": maps.pose(vectors),
        "image_pose": x2face.generate(x2face.encode(inputs["source1"]), turned),
    }


STAGES = {
    "embedding_network": embedding_network,
    "embed_one": embed_one,
    "embed_many": embed_many,
    "driving_network": driving_network,
    "animate_one_source": animate,
    "animate_three_sources": animate,
    "pose_drive": pose_drive,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_the_networks_have_the_published_names_and_counts(fixture_path):
    fixture, x2face = load_fixture(fixture_path), method(fixture_path)
    published = [
        name.removeprefix("state_dict.")
        for name in fixture.record["parameters"]
        if name.startswith("state_dict.")
    ]
    assert list(x2face.state_dict()) == published
    counts = fixture.record["parameter_counts"]
    for name, network in (
        ("state_dict", x2face),
        ("embedding_network", x2face.pix2pixUnwrapped),
        ("driving_network", x2face.pix2pixSampler),
    ):
        assert sum(p.numel() for p in network.parameters()) == counts[name]
