"""Cards of the standard data sets: complete, agreeing with the published files, shown by the command line."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from benchbed.cli.data import data
from benchbed.cli.list import list_command
from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.layouts import CLIP_SUFFIXES, IMAGE_SUFFIXES
from benchbed.datasets.standard import manifest
from benchbed.datasets.standard.card import standard_card, standard_cards
from benchbed.errors import BenchbedError
from benchbed.papers import names
from benchbed.papers.coverage import present
from benchbed.registry import cards, registry

NAMES = [
    "voxceleb", "taichi", "fashion", "ted", "mgif", "uva-nemo", "dfdc", "aist", "bair", "german-public-tv", "ffhq",
]  # fmt: skip


def test_every_data_set_of_the_field_has_a_card_that_can_be_read():
    assert [card.name for card in standard_cards()] == NAMES
    assert not registry().problems


def test_the_drawn_data_sets_come_first_in_the_list_of_data_sets():
    assert [card.name for card in cards("dataset")][:2] != NAMES[:2]
    shown = CliRunner().invoke(list_command, ["datasets"])
    assert shown.exit_code == 0
    assert set(NAMES) <= {line.split()[0] for line in shown.output.splitlines() if line}


@pytest.mark.parametrize("words", [["datasets", "-v"], ["datasets", "--json"]])
def test_cards_are_listed_in_full(words):
    shown = CliRunner().invoke(list_command, words)
    assert shown.exit_code == 0 and "vox-metadata.csv" in shown.output
    assert "{'" not in shown.output


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_a_user_has_to_know(name):
    card = standard_card(name)
    assert card.citation and card.licence and card.obtain and card.layouts
    metrics = {one.name for one in cards("metric")}
    assert set(card.metrics) <= metrics
    roles = {one.data["role"] for one in cards("evaluator")}
    assert set(card.evaluators) <= roles
    assert card.resolution in card.resolutions
    assert ("akd" in card.metrics) == ("keypoints" in card.evaluators)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_told_apart_by_whole_hashes(name):
    digests = [digest for file in standard_card(name).files for digest in file.sha256]
    digests += [digest for file in standard_card(name).files for digest in file.names.values()]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
    assert max(Counter(digests).values(), default=1) == 1


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree_with_those_beside_the_published_tables(name):
    card = standard_card(name)
    for count in card.counts:
        stated = names.test_videos(count.paper, names.printed_dataset(name))
        if stated is not None:
            assert count.test == stated


@pytest.mark.parametrize(
    ("name", "clip", "identity"),
    [
        ("voxceleb", "id10283#Zs4BLf-_Hpc#001234#001334.mp4", "id10283"),
        ("voxceleb", "Taylor_Swift/1.6/nuBaabkzzzI", "Taylor_Swift"),
        ("taichi", "0Q9_4by5A98#010440#010764", "0Q9_4by5A98"),
        ("uva-nemo", "017_deliberate_smile_2.mp4", "017"),
        ("aist", "gBR_sBM_cAll_d04_mBR0_ch01", "d04"),
        ("aist", "dance", "dance"),
        ("mgif", "00012.gif", "00012.gif"),
        ("fashion", "91-3003CN5S", "91-3003CN5S"),
        ("dfdc", "aa/bb.mp4", "aa/bb.mp4"),
    ],
)
def test_identities_follow_the_rule_of_the_data_set(name, clip, identity):
    assert standard_card(name).identity_of(clip) == identity


def test_clips_are_called_the_same_in_manifests_and_in_folders():
    assert set(manifest.CLIP_SUFFIXES) == {*CLIP_SUFFIXES, *IMAGE_SUFFIXES}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(BenchbedError, match=r"unknown standard data set 'voxcelb'.*did you mean 'voxceleb'"):
        standard_card("voxcelb")


def test_a_data_set_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCHBED_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BenchbedError, match=r"BENCHBED_DATA is not set\): prepare it with .*data prepare ted --from"
    ):
        open_dataset("ted")
    (tmp_path / "ted").mkdir()
    monkeypatch.setenv("BENCHBED_DATA", str(tmp_path / "data"))
    with pytest.raises(BenchbedError, match=r"\$BENCHBED_DATA/ted does not exist.*write ted=\./ted"):
        open_dataset("ted")


@pytest.mark.parametrize("given", ["ted", "ted=somewhere"])
def test_domain_and_alpha_are_the_cards_own(given):
    with pytest.raises(BenchbedError, match="dataset 'ted' fixes its domain and alpha"):
        open_dataset(given, domain="face")


def test_data_list_shows_every_count_and_whether_the_data_is_here(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_DATA", str(tmp_path))
    (tmp_path / "taichi").mkdir()
    shown = CliRunner().invoke(data, ["list"]).output
    assert "mofd 2867 / 253; dime 682 / 87; lia 1096 / 115" in shown
    assert f"data: {tmp_path / 'taichi'}: no manifest" in shown
    assert shown.count("data: not in $BENCHBED_DATA") == len(NAMES) - 1


def test_data_list_of_one_name_shows_how_to_get_it_and_the_hashes_of_its_files():
    shown = CliRunner().invoke(data, ["list", "taichi"]).output
    card = standard_card("taichi")
    assert " ".join(card.obtain.split()[:6]) in shown and card.files[0].sha256[0] in shown
    assert "columns  distance,source,driving,frame" in shown


def test_data_list_as_json_holds_the_whole_cards():
    tables = json.loads(CliRunner().invoke(data, ["list", "--json"]).output)
    assert [table["name"] for table in tables] == NAMES
    taichi = tables[1]
    assert {"paper": "mofd", "train": 2867, "test": 253, "note": ""} in taichi["counts"]
    assert taichi["files"][2]["kind"] == "pairs"


def test_what_can_be_reproduced_counts_a_standard_data_set_only_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHBED_DATA", str(tmp_path))
    assert not present((), {}).datasets
    (tmp_path / "taichi").mkdir()
    assert present((), {}).datasets == {"TaiChiHD"}
    (tmp_path / "cut").mkdir()
    assert present((f"ted={tmp_path / 'cut'}",), {}).datasets == {"TaiChiHD", "TED-talks"}
