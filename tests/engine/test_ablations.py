"""Ablation studies: printed directions, changes over seeds and identities, and the study as a user runs it."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

from benchbed.ablations.arms import FULL, Arm, starting_method, study_arms
from benchbed.ablations.directions import Effect, effects
from benchbed.ablations.published import printed_changes
from benchbed.ablations.report import Study, study_table, write_study
from benchbed.ablations.scores import Scored, score_arms
from benchbed.ablations.training import Recipe, is_trained, train_arms, weights_file
from benchbed.errors import BenchbedError
from benchbed.pairing import CaseScore
from benchbed.registry import card, cards
from benchbed.statistics import seeded_interval
from benchbed.tensor_files import read_metadata

SEEDS = (0, 1, 2)


def printed(method: str) -> dict[tuple[str, str, str, str], tuple[str, str]]:
    return {
        (one.arm, one.protocol, one.metric, one.dataset): (one.full.digits, one.changed.digits)
        for one in printed_changes(method, study_arms(method))
    }


def test_printed_changes_are_those_of_the_papers():
    dime = printed("dime")
    assert dime["without-refinement", "reconstruction", "akd", "DFDC"] == ("1.28", "1.53")
    assert dime["without-identity", "animation", "csim", "DFDC"] == ("0.92", "0.90")
    assert dime["one-shot", "reconstruction", "psnr", "DFDC"] == ("27.99", "24.24")
    mofd = printed("mofd")
    assert mofd["without-motion-optimisation", "reconstruction", "akd", "TaiChiHD"] == ("4.34", "4.40")
    assert mofd["tpsmm", "reconstruction", "l1", "MGif"] == ("0.0193", "0.0212")
    anytime = printed("anytime")
    assert anytime["model1", "reconstruction", "mkr", "TaiChiHD"] == ("0.014", "0.026")
    assert anytime["tpsmm", "reconstruction", "l1", "TaiChiHD"] == ("0.047", "0.045")
    lia = printed("lia")
    assert lia["no-dictionary", "reconstruction", "l1", "VoxCeleb"] == ("0.041", "0.049")
    assert lia["m5", "reconstruction", "lpips", "TED-talks"] == ("0.11", "0.15")
    assert lia["m100", "reconstruction", "l1", "TED-talks"] == ("0.028", "0.028")


@pytest.mark.parametrize("method", [one.name for one in cards("method") if one.data.get("ablation")])
def test_every_arm_is_a_preset_of_its_method_and_every_variant_is_printed(method):
    arms = study_arms(method)
    for arm in arms:
        assert arm.preset in card("method", arm.method).data["presets"]
    assert {one.arm for one in printed_changes(method, arms)} == {arm.name for arm in arms} - {FULL}


def test_few_shot_rows_get_the_views_of_the_printed_ones():
    views = {arm.name: arm.views for arm in study_arms("dime")}
    assert views == {FULL: 3, "without-refinement": 3, "without-identity": 3, "one-shot": 0}
    assert (
        starting_method(card("method", "anytime")) == "tpsmm"
        and starting_method(card("method", "mofd")) is None
    )


def test_the_full_method_trained_like_its_variants_is_no_variant_of_a_study():
    named = {one["name"] for one in card("method", "dime").data["ablation"]}
    assert named - {arm.name for arm in study_arms("dime")} == {"all-trained-alike"}


def test_bundled_variants_rebuild_what_their_names_say():
    found = {}
    for one in card("method", "dime").data["ablation"]:
        metadata = read_metadata(card("method", "dime").folder / one["checkpoints"]["puppets"])
        assert (metadata["steps"], metadata["seed"]) == ("400", "0")
        found[one["name"]] = json.loads(metadata["configuration"])["model_params"]["variant_params"]
    assert found == {
        "all-trained-alike": {},
        "without-refinement": {"refinement": False},
        "without-identity": {"identity": False},
        "one-shot": {"one_shot": True},
    }


def test_a_method_without_variants_names_those_that_have_some():
    with pytest.raises(BenchbedError, match=r"'fomm' names no variants to ablate; methods that do: .*dime"):
        study_arms("fomm")


@pytest.mark.parametrize(
    ("seed_spread", "identity_spread"), [(1.0, 0.2), (0.3, 1.0), (0.02, 1.0), (1.0, 1.0)]
)
def test_intervals_over_seeds_and_identities_hold_the_truth(seed_spread, identity_spread):
    generator = np.random.default_rng(5)
    seeds, identities, inside = 3, 16, []
    for _ in range(2000):
        change = (
            0.4
            + generator.normal(0, seed_spread, (seeds, 1))
            + generator.normal(0, identity_spread, (1, identities))
            + generator.normal(0, 0.3, (seeds, identities))
        )
        error = change.mean(0).std(ddof=1) / math.sqrt(identities)
        estimate = seeded_interval(change.mean(1), error, identities - 1, n_identities=identities)
        inside.append(estimate.low <= 0.4 <= estimate.high)
    assert 0.94 <= np.mean(inside) <= 0.99


def test_one_seed_has_no_interval_and_equal_values_have_none_to_doubt():
    assert math.isnan(seeded_interval([0.2], 0.1, 9, n_identities=10).low)
    assert math.isnan(seeded_interval([0.2, math.nan], 0.1, 9, n_identities=10).low)
    same = seeded_interval([0.2, 0.2], 0.0, 9, n_identities=10)
    assert (same.low, same.value, same.high) == (0.2, 0.2, 0.2)


ARMS = (Arm(FULL, "mofd", "tiny"), Arm("without-decoupling", "mofd", "tiny-without-decoupling"))


def measured(change: float, *, noise: float = 0.001, direction: str = "lower") -> Effect:
    """The effect on L1 of an arm whose frames are `change` worse than those of the full method."""
    generator = np.random.default_rng(1)

    def scored(value: float) -> Scored:
        cases = {
            f"case{i}": CaseScore(f"person{i}", f"person{i}", value + generator.normal(0, noise, 4))
            for i in range(12)
        }
        mean = float(np.mean([case.frames.mean() for case in cases.values()]))
        return Scored(mean, cases, "frames", direction, "l1/frames@1")

    scores = {
        (name, seed): {("reconstruction", "l1"): scored(value)}
        for name, value in ((FULL, 0.03), ("without-decoupling", 0.03 + change))
        for seed in SEEDS
    }
    found = [
        one
        for one in effects(ARMS, printed_changes("mofd", ARMS), scores, SEEDS)
        if one.metric == "l1"
    ]  # fmt: skip
    assert len(found) == 1
    return found[0]


def test_verdicts_say_on_which_side_of_zero_the_interval_lies():
    assert measured(0.005).printed_direction == "worse"
    assert measured(0.005).verdict == "reproduced"
    assert measured(-0.005).verdict == "not reproduced"
    assert measured(0.0001, noise=0.01).verdict == "undecided"


def test_a_change_is_that_of_frames_which_both_scored():
    effect = measured(0.005, noise=0.0)
    assert effect.measured is not None and effect.measured.value == pytest.approx(0.005)
    assert effect.per_seed == pytest.approx((0.005,) * 3)


def test_what_was_not_scored_is_said_to_be_not_measured():
    scores = {(arm.name, seed): {} for arm in ARMS for seed in SEEDS}
    found = effects(ARMS, printed_changes("mofd", ARMS), scores, SEEDS)
    assert found and {one.verdict for one in found} == {"not measured"}


def test_a_metric_that_scored_no_case_in_all_trainings_is_not_measured():
    def scored(case: str) -> Scored:
        return Scored(0.03, {case: CaseScore("a", "a", np.full(4, 0.03))}, "frames", "lower", "l1/frames@1")

    scores = {
        (arm.name, seed): {("reconstruction", "l1"): scored(f"case {seed}")} for arm in ARMS for seed in SEEDS
    }
    found = effects(ARMS, printed_changes("mofd", ARMS), scores, SEEDS)
    assert {one.verdict for one in found} == {"not measured"}


def test_a_study_is_a_table_and_three_files(tmp_path):
    study = Study("mofd", ARMS, Recipe("puppets", SEEDS, 400), (400,) * 6, (measured(0.005),))
    (row,) = study_table(study).rows
    assert row.group == "without-decoupling"
    assert row.cells[0].text == "+0.0007 MGif, +0.0006 TaiChiHD"
    assert row.cells[-1].text == "reproduced"
    path = write_study(study, tmp_path)
    assert "3 training seeds, 400 steps each" in path.read_text()
    record = json.loads((tmp_path / "ablation-mofd.json").read_text())
    assert record["effects"][0]["verdict"] == "reproduced"
    assert len(record["effects"][0]["per_seed"]) == 3
    assert (tmp_path / "ablation-mofd.csv").read_text().count("\n") >= 2


def test_arms_are_trained_once_and_other_steps_are_refused(tmp_path):
    arm, recipe = Arm(FULL, "x2face", "tiny"), Recipe("puppets", (0,), 2, device="cpu")
    done: list[str] = []
    train_arms([arm], recipe, tmp_path, advance=done.append)
    path = weights_file(tmp_path, arm, 0)
    assert read_metadata(path)["steps"] == "2" and is_trained(tmp_path, arm, 0, recipe)
    written = path.stat().st_mtime_ns
    train_arms([arm], recipe, tmp_path, advance=done.append)
    assert path.stat().st_mtime_ns == written and done == ["x2face tiny, seed 0"] * 2
    with pytest.raises(BenchbedError, match="was trained for 2 steps, asked for are 3"):
        train_arms([arm], Recipe("puppets", (0,), 3, device="cpu"), tmp_path)


def test_a_failed_training_is_named_and_the_others_are_carried_out(tmp_path):
    arms = [Arm("wrong", "x2face", "tinier"), Arm(FULL, "x2face", "tiny")]
    with pytest.raises(
        BenchbedError, match="1 of 2 trainings failed; the first: x2face tinier, seed 0: unknown preset"
    ):
        train_arms(arms, Recipe("puppets", (0,), 1, device="cpu"), tmp_path)
    assert weights_file(tmp_path, arms[1], 0).is_file()


def test_weights_are_scored_on_the_test_split_and_equal_ones_alike(tmp_path):
    bundled = card("method", "x2face").folder / "weights" / "puppets.safetensors"
    arms = (Arm(FULL, "x2face", "tiny"), Arm("other", "x2face", "tiny-other"))
    for arm in arms:
        weights_file(tmp_path, arm, 0).parent.mkdir(parents=True)
        shutil.copy(bundled, weights_file(tmp_path, arm, 0))
    scores = score_arms(
        arms, ["reconstruction"], Recipe("puppets", (0,), device="cpu"), tmp_path, command=["test"]
    )
    full, other = (scores[arm.name, 0]["reconstruction", "l1"] for arm in arms)
    assert full.value == other.value and full.variant == "l1/frames@1" and full.direction == "lower"
    assert len(full.scores) == 24
    assert scores[FULL, 0]["reconstruction", "fid"].reduction == "set"
