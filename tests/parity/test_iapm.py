"""IAPM reproduces what the published implementation computes, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.methods.blocks.grids import resize
from benchbed.methods.iapm.checkpoint import inference_networks
from benchbed.methods.iapm.config import iapm_config
from benchbed.methods.iapm.generator import Generation, MaskedGenerator, Source
from benchbed.methods.iapm.mask_generator import MaskGenerator, padded
from benchbed.methods.iapm.method import Iapm
from benchbed.methods.iapm.perturbation import perturb

from .fixtures import Fixture, Stage, load_fixture
from .published_networks import check_published, seeded
from .stages import check_stage

METHOD = "iapm"
Inputs = dict[str, Tensor]
Results = Mapping[str, Tensor]


@lru_cache(maxsize=2)
def networks(path: Path) -> nn.ModuleDict:
    """Both networks with their seeded weights."""
    fixture = load_fixture(path)
    return seeded(fixture, inference_networks(iapm_config(fixture.config)))


def parts(fixture: Fixture) -> tuple[MaskGenerator, MaskedGenerator]:
    built = networks(fixture.path)
    masks, generator = built["mask_generator"], built["generator"]
    if not isinstance(masks, MaskGenerator) or not isinstance(generator, MaskedGenerator):
        raise AssertionError("the fixture's networks are of another kind")
    return masks, generator


def threshold(fixture: Fixture) -> float:
    return iapm_config(fixture.config).generator.threshold


def given(generation: Generation, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}_low_res": generation.guess, f"{prefix}_high_res": generation.prediction}


def find_masks(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
    masks, _ = parts(fixture)
    return {
        "mask_low_input": masks.downsample(inputs["image_source"]),
        "mask_source": masks(inputs["image_source"]),
        "mask_driving": masks(inputs["image_driving"]),
    }


def perturb_mask(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
    return {
        "mask_driving_perturbed": perturb(padded(inputs["mask_driving_given"]), threshold(fixture)),
    }


def animate_given_mask(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
    _, generator = parts(fixture)
    image = inputs["image_source"]
    source = Source.of(image, padded(inputs["mask_source_given"]))
    refined = generator.refine(source, inputs["mask_perturbed_given"])
    return {"given_fixed_mask": resize(refined, image.shape[2:])} | given(generator(source, refined), "given")


def reconstruct_given_masks(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
    _, generator = parts(fixture)
    image, driving = inputs["image_source"], padded(inputs["mask_driving_given"])
    generation = generator(Source.of(image, padded(inputs["mask_source_given"])), driving)
    return {"recgiven_driving_mask": resize(driving, image.shape[2:])} | given(generation, "recgiven")


def end_to_end(fixture: Fixture, stage: Stage, inputs: Inputs) -> Results:
    """The method itself, a source at a time as the bench calls it, and its intermediate results."""
    perturbed = stage.kind == "animate"
    config = replace(iapm_config(fixture.config), perturbed=perturbed)
    method = Iapm(config, networks(fixture.path)).eval()
    found: dict[str, list[Tensor]] = {}
    for image, driving in zip(inputs["image_source"], inputs["image_driving"], strict=True):
        source = method.encode(image[None])
        mask = method.driving_mask(source, driving[None])
        weak = perturb(padded(method.mask_generator(driving[None])), threshold(fixture))
        results = {
            "low_res": method.generator.guess(source, mask),
            "high_res": method.animate(source, driving[None]),
            "fixed_mask": resize(mask, driving.shape[1:]),
            "perturbed_mask": resize(weak, driving.shape[1:]),
        }
        for name, value in results.items():
            found.setdefault(name, []).append(value)
    return {f"{'anim' if perturbed else 'rec'}_{name}": torch.cat(values) for name, values in found.items()}


STAGES = {
    "masks": find_masks,
    "perturb": perturb_mask,
    "animate_given_perturbed_mask": animate_given_mask,
    "reconstruct_given_masks": reconstruct_given_masks,
    "reconstruction": end_to_end,
    "animate": end_to_end,
}


def test_stage_equals_the_recorded_outputs_within_their_bounds(fixture_path, stage_name, record_property):
    check_stage(STAGES, fixture_path, stage_name, record_property)


def test_networks_have_the_published_names_shapes_and_counts(fixture_path):
    check_published(load_fixture(fixture_path), networks(fixture_path))
