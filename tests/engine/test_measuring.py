"""Which evaluator serves a dataset, and what is said where none can."""

from __future__ import annotations

import types

import pytest
import torch

from benchbed.measuring import Instrument, Instruments, Unavailable, choose_evaluator


def dataset(name: str, domain: str):
    return types.SimpleNamespace(name=name, domain=domain)


def test_a_dataset_with_evaluators_of_its_own_gets_them():
    assert choose_evaluator("keypoints", dataset("puppets", "body")).name == "puppet-keypoints"
    assert choose_evaluator("pooled", dataset("puppets", "body")).name == "puppet-features-pooled"


@pytest.mark.parametrize(
    ("role", "domain", "name"),
    [
        ("perceptual", "face", "lpips-alex"),
        ("pooled", "robot", "inception-fid"),
        ("keypoints", "face", "face-landmarks"),
        ("keypoints", "body", "body-joints"),
        ("identity", "face", "face-identity-openface"),
        ("identity", "body", "person-identity"),
    ],
)
def test_other_data_get_the_evaluator_of_their_domain(role, domain, name):
    assert choose_evaluator(role, dataset("mine", domain)).name == name


def test_drawn_animals_have_no_joints_of_puppets():
    found = choose_evaluator("keypoints", dataset("puppets-creatures", "animal"))
    assert found == Unavailable("no evaluator gives keypoints for domain 'animal'")


def test_an_unnamed_domain_is_told_which_options_there_are(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = choose_evaluator("keypoints", dataset("mine", "other"))
    assert "--domain face (weights missing: benchbed weights pull face-landmarks" in found.reason
    assert "--domain body (weights missing: benchbed weights pull body-joints)" in found.reason


def test_missing_weights_are_said_with_the_command_and_an_unbuilt_evaluator_is_said_too(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    instruments = Instruments(torch.device("cpu"))
    lpips = instruments.get("perceptual", dataset("mine", "face"))
    assert lpips.reason.startswith("weights missing: benchbed weights pull lpips-alex")
    joints = instruments.get("keypoints", dataset("mine", "body"))
    assert joints.reason.startswith("weights missing: benchbed weights pull body-joints")
    assert joints.reason.endswith("this version of benchbed cannot run 'body-joints' yet")


def test_an_evaluator_is_built_once():
    instruments = Instruments(torch.device("cpu"))
    first = instruments.get("identity", dataset("puppets", "body"))
    assert isinstance(first, Instrument)
    assert instruments.get("identity", dataset("puppets-creatures", "animal")) is first
