"""Every metric card is complete and describes what its code does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchbed.interfaces.evaluator import (
    ExpressionFeatures,
    IdentityFeatures,
    KeypointFeatures,
    PerceptualFeatures,
)
from benchbed.interfaces.metric import Sample, SetFeatures
from benchbed.registry import Card, cards, load_entry
from benchbed.weights import catalogue

METRICS = [card for card in cards("metric") if card.package == "benchbed.metrics"]
VARIANTS = [(card, variant) for card in METRICS for variant in card.data["variant"]]
EVALUATORS = [card for card in cards("evaluator") if card.package == "benchbed.metrics"]
ROLES = {"keypoints", "identity", "expression", "perceptual", "pooled", "segments"}
NAMES = {"l1", "psnr", "ssim", "ms-ssim", "lpips", "fid", "kid", "video-fid", "akd", "mkr", "aed", "csim"}
PERFECT = {"psnr": np.inf, "ssim": 1.0, "ms-ssim": 1.0, "csim": 1.0}


def variant_ids(pair) -> str:
    return pair[1]["id"]


def sample(side: int = 176) -> Sample:
    """Random frames with random features of every role."""
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.functional.normalize(torch.rand(3, 4, 5, 5, generator=generator))
    return Sample(
        torch.rand(3, 3, side, side, generator=generator),
        {
            "keypoints": KeypointFeatures(
                torch.rand(3, 6, 2, generator=generator) * side, torch.ones(3, 6, dtype=torch.bool)
            ),
            "identity": IdentityFeatures(
                torch.randn(3, 8, generator=generator), torch.ones(3, dtype=torch.bool)
            ),
            "perceptual": PerceptualFeatures((layer,), (torch.rand(4, generator=generator),)),
            "expression": ExpressionFeatures(
                torch.randn(3, 8, generator=generator), torch.ones(3, dtype=torch.bool)
            ),
        },
    )


def test_all_metrics_of_the_design_so_far_have_a_card():
    assert {card.name for card in METRICS} >= NAMES


@pytest.mark.parametrize("card", METRICS, ids=lambda card: card.name)
def test_a_metric_has_exactly_one_default_and_ids_that_name_it(card: Card):
    variants = card.data["variant"]
    assert [variant["default"] for variant in variants].count(True) == 1
    assert len({variant["id"] for variant in variants}) == len(variants)
    assert all(variant["id"].startswith(f"{card.name}/") for variant in variants)
    assert card.data["direction"] in ("lower", "higher")
    assert card.data["level"] in ("frame", "set")


@pytest.mark.parametrize("pair", VARIANTS, ids=variant_ids)
def test_a_variant_spells_out_what_the_acronym_hides(pair):
    card, variant = pair
    assert variant["version"] >= 1
    assert variant["quantisation"] in ("none", "round", "truncate")
    assert variant["reduction"] in (("set",) if card.data["level"] == "set" else ("frames", "clips"))
    assert set(variant["needs"]) <= ROLES
    assert variant["id"].endswith(("truncated", "/legacy")) == (variant["quantisation"] == "truncate")
    assert variant.get("frames", "all") in ("all", "after-first")
    assert variant.get("against", "target") in ("target", "source")
    assert set(variant.get("evaluators", {})) <= set(variant["needs"])
    assert all(name in {c.name for c in EVALUATORS} for name in variant.get("evaluators", {}).values())
    assert all(variant[text] for text in ("missing", "formula", "source"))
    assert isinstance(variant["used_by"], list)


@pytest.mark.parametrize("pair", VARIANTS, ids=variant_ids)
def test_identical_frames_score_the_best_value_exactly(pair):
    card, variant = pair
    metric = load_entry(variant["entry"], owner=variant["id"])(**variant["params"])
    same = sample()
    if card.data["level"] == "set":
        rows = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
        features = SetFeatures(rows, 12 if variant["needs"] == ["pooled"] else 12 * 16)
        value = metric.finish(metric.statistics(features, features))
        # KID is unbiased: of equal sets it is below zero. Subsets of 1000 do not exist here: no value.
        assert value <= 1e-8 or np.isnan(value)
        return
    perfect = 100.0 if "capped" in variant["id"] else PERFECT.get(card.name, 0.0)
    scores = metric.per_frame(same, same)
    assert scores.dtype == np.float64 and scores.shape == (3,)
    np.testing.assert_array_equal(scores, perfect)


# Set metrics have no frames to miss.
FRAME_VARIANTS = [pair for pair in VARIANTS if pair[0].data["level"] == "frame"]


@pytest.mark.parametrize("pair", FRAME_VARIANTS, ids=variant_ids)
def test_the_worst_value_is_on_the_bad_side_of_random_frames(pair):
    card, variant = pair
    metric = load_entry(variant["entry"], owner=variant["id"])(**variant["params"])
    same, worst = sample(), metric.worst((176, 176))
    other = Sample(
        same.frames.flip(0),
        {
            **same.features,
            "keypoints": KeypointFeatures(
                same.features["keypoints"].positions.flip(0), same.features["keypoints"].found
            ),
            "identity": IdentityFeatures(
                same.features["identity"].vectors.flip(0), same.features["identity"].found
            ),
        },
    )
    scores = metric.per_frame(other, same)
    if worst is not None:
        assert (scores <= worst).all() if card.data["direction"] == "lower" else (scores >= worst).all()


@pytest.mark.parametrize("card", EVALUATORS, ids=lambda card: card.name)
def test_an_evaluator_card_names_a_role_and_weights_that_can_be_pulled_or_are_bundled(card: Card):
    assert card.data["role"] in ROLES
    assert card.data["weights"]
    known = catalogue()
    for weights in card.data["weights"]:
        assert (
            weights in known
            or (card.folder / weights).exists()
            or (card.folder / "weights" / weights).exists()
        )
    assert callable(card.load())
    for table in card.data["serves"]:
        assert set(table) == {"metrics", "datasets", "domains", "default", "canonical", "papers"}
        assert all(name == "*" or name in {c.name for c in METRICS} for name in table["metrics"])


@pytest.mark.parametrize("domain", ["face", "body", "robot", "animal"])
def test_no_metric_has_two_default_evaluators_on_one_domain(domain):
    for metric in METRICS:
        for role in {role for variant in metric.data["variant"] for role in variant["needs"]}:
            defaults = [
                card.name
                for card in EVALUATORS
                for table in card.data["serves"]
                if card.data["role"] == role
                and table["default"]
                and {"*", metric.name} & set(table["metrics"])
                and "*" in table["datasets"]
                and {"*", domain} & set(table["domains"])
            ]
            assert len(defaults) <= 1, (metric.name, defaults)


def test_minimum_sizes_are_those_the_code_enforces():
    sizes = {variant["id"]: variant.get("minimum_size") for _, variant in VARIANTS}
    assert sizes["ssim/gaussian-frames"] == 11
    assert sizes["ms-ssim/gaussian-frames"] == 161
