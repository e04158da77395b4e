"""Which evaluator serves a metric on a dataset, and what is said where none can."""

from __future__ import annotations

import types

import pytest
import torch

from benchbed.errors import BenchbedError, UnknownNameError
from benchbed.measuring import Choice, Instrument, Instruments, Unavailable, choose_evaluator


def dataset(name: str, domain: str):
    return types.SimpleNamespace(name=name, domain=domain)


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("role", "metric", "data", "name", "canonical"),
    [
        ("keypoints", "akd", ("puppets", "body"), "puppet-keypoints", False),
        ("pooled", "kid", ("puppets", "body"), "puppet-features-pooled", False),
        ("perceptual", "lpips", ("mine", "face"), "lpips-alex", True),
        ("pooled", "fid", ("mine", "robot"), "inception-fid", True),
        ("segments", "video-fid", ("mine", "face"), "resnext101-3d", True),
        ("keypoints", "akd", ("mine", "face"), "face-landmarks", True),
        ("keypoints", "mkr", ("mine", "body"), "body-joints", False),
        ("identity", "aed", ("mine", "face"), "face-identity-openface", True),
        ("identity", "csim", ("mine", "face"), "face-identity-facenet", False),
        ("identity", "aed", ("mine", "body"), "person-identity", False),
    ],
)
def test_the_default_evaluator_depends_on_dataset_domain_and_metric(role, metric, data, name, canonical):
    choice = choose_evaluator(role, metric, dataset(*data))
    assert isinstance(choice, Choice)
    assert (choice.card.name, choice.canonical) == (name, canonical)


def test_a_named_evaluator_is_canonical_where_published_numbers_were_measured_with_it():
    for metric, name in (("akd", "body-pose"), ("aed", "person-identity-resnet50")):
        role = "keypoints" if metric == "akd" else "identity"
        assert choose_evaluator(role, metric, dataset("mine", "body"), named=name).canonical
    assert not choose_evaluator("identity", "aed", dataset("mine", "face"), named="person-identity").canonical


def test_a_variant_that_names_its_evaluator_needs_no_dagger():
    choice = choose_evaluator(
        "perceptual", "lpips", dataset("puppets", "body"), named="lpips-vgg", by_variant=True
    )
    assert (choice.card.name, choice.canonical) == ("lpips-vgg", True)


def test_a_named_evaluator_of_another_role_is_refused():
    with pytest.raises(
        BenchbedError, match="'lpips-vgg' gives perceptual, but akd needs keypoints; choose one of"
    ):
        choose_evaluator("keypoints", "akd", dataset("mine", "face"), named="lpips-vgg")
    with pytest.raises(UnknownNameError, match="did you mean 'body-pose'"):
        choose_evaluator("keypoints", "akd", dataset("mine", "body"), named="body-pos")


def test_drawn_animals_have_no_joints_of_puppets():
    found = choose_evaluator("keypoints", "akd", dataset("puppets-creatures", "animal"))
    assert found == Unavailable("no evaluator gives keypoints for akd on domain 'animal'")


def test_an_unnamed_domain_is_told_which_options_there_are(no_weights):
    found = choose_evaluator("keypoints", "akd", dataset("mine", "other"))
    assert "--domain face (weights missing: benchbed weights pull face-landmarks" in found.reason
    assert "--domain body (weights missing: benchbed weights pull body-joints)" in found.reason


def test_missing_weights_are_said_with_the_command_for_all_of_them(no_weights):
    instruments = Instruments(torch.device("cpu"))

    def reason(role, metric, domain):
        return instruments.get(choose_evaluator(role, metric, dataset("mine", domain))).reason

    assert reason("perceptual", "lpips", "face").startswith(
        "weights missing: benchbed weights pull lpips-alex"
    )
    assert reason("keypoints", "akd", "body").startswith("weights missing: benchbed weights pull body-joints")
    assert reason("keypoints", "akd", "face") == (
        "weights missing: benchbed weights pull face-landmarks face-detector"
    )


def test_an_evaluator_is_built_once():
    instruments = Instruments(torch.device("cpu"))
    first = instruments.get(choose_evaluator("identity", "aed", dataset("puppets", "body")))
    assert isinstance(first, Instrument) and first.unverified == ()
    assert (
        instruments.get(choose_evaluator("identity", "csim", dataset("puppets-creatures", "animal"))) is first
    )
