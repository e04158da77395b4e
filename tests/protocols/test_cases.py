"""The protocols make the cases they say: pairs of different identity, exact answers, nested draws of views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchbed.datasets.catalog import open_dataset
from benchbed.errors import BenchbedError, ClipError
from benchbed.interfaces.dataset import Clip
from benchbed.interfaces.protocol import CaseRequest, ReferenceDraw
from benchbed.pair_lists import match_pairs, read_pair_list
from benchbed.plan import RunRequest, build_plan
from benchbed.protocols.animation import draw_pairs
from benchbed.registry import card

ABSOLUTE = CaseRequest("test", 0, "absolute")


def cases(protocol: str, request: CaseRequest = ABSOLUTE, dataset: str = "puppets"):
    return card("protocol", protocol).load()().cases(open_dataset(dataset), request)


def test_pairs_are_distinct_of_different_identity_and_of_every_seed_their_own():
    first, again = cases("animation"), cases("animation")
    other = cases("animation", replace(ABSOLUTE, seed=1))
    assert len(first) == 200 == len({case.id for case in first})
    assert all(case.identity != case.driving_identity for case in first)
    assert first == again != other


def test_pairs_do_not_depend_on_the_order_in_which_a_folder_lists_its_clips():
    clips = {name: Clip(name, name[:1], "face") for name in ("a1", "a2", "b1", "c1")}
    backwards = dict(reversed(clips.items()))
    assert draw_pairs(clips, 5, 0, "some") == draw_pairs(backwards, 5, 0, "some")
    # 4 x 4 minus those within identity a (4) and of a clip with itself (2 more)
    assert len(draw_pairs(clips, 200, 0, "some")) == 10


def test_a_dataset_of_one_identity_has_nobody_to_animate():
    with pytest.raises(
        BenchbedError, match=r"'selfies' shows one identity only.*use protocol reconstruction"
    ):
        draw_pairs({name: Clip(name, "me", "face") for name in "ab"}, 200, 0, "selfies")


@pytest.mark.parametrize("dataset", ["puppets", "puppets-creatures"])
@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_drawn_datasets_know_the_exact_answer_of_cross_identity_animation(dataset, transfer):
    opened = open_dataset(dataset)
    for case in cases("animation", replace(ABSOLUTE, transfer=transfer), dataset)[:3]:
        answer, source = opened.images(case.target), opened.images(case.source.clip)
        assert opened.clip(case.target).identity == case.identity
        assert len(answer) == len(opened.images(case.driving))
        # what moves relative to its own first pose starts from the source itself, up to the rounding of angles and a
        # hair's breadth of its stripes, whose spacing follows the mean length of a bone over the clip
        apart = (np.abs(answer[0].astype(int) - source[0]) > 1).mean()
        assert (apart < 0.01) == (transfer == "relative")
    if transfer == "absolute":
        # the same joints: a character in the driving pose stands where the driving one does, up to its proportions
        shift = np.abs(opened.keypoints(case.target).positions - opened.keypoints(case.driving).positions)
        assert np.median(shift) < 3


def test_drawn_views_are_nested_distinct_and_never_the_source():
    six = ReferenceDraw("clip", 6, seed=3).frames(16)
    assert len(set(six)) == 6 and all(1 <= frame < 16 for frame in six)
    for count in range(1, 6):
        assert ReferenceDraw("clip", count, seed=3).frames(16) == six[:count]
    assert ReferenceDraw("other", 6, seed=3).frames(16) != six != ReferenceDraw("clip", 6, seed=4).frames(16)
    with pytest.raises(ClipError, match="clip 'short' has 6 frames: too few for 6 reference images"):
        ReferenceDraw("short", 6, seed=3).frames(6)


def test_a_sweep_has_the_same_cases_in_every_setting():
    settings: dict[str, list[str]] = {}
    for case in cases("reference-sweep", replace(ABSOLUTE, pair_count=5, case_count=4)):
        settings.setdefault(case.setting, []).append(case.id)
        count = 0 if case.references is None else case.references.count
        assert case.setting.endswith(f"N_ref={count}")
    assert len(settings) == 14
    for kind in ("reconstruction", "animation"):
        own = [ids for setting, ids in settings.items() if setting.startswith(kind)]
        assert len(own[0]) == 4 and all(ids == own[0] for ids in own)


def test_the_list_of_fomm_for_tai_chi_loses_one_pair_to_the_deleted_video(shared):
    listed = read_pair_list(shared / "data/splits/pairs/fomm_taichi256.csv")
    present = {name for row in listed.rows for name in row if not name.startswith("nAQEOC1Z10M")}
    matched = match_pairs(listed, sorted(name.removesuffix(".mp4") + ".png" for name in present), "taichi")
    assert (len(matched.pairs), matched.listed) == (49, 50)
    assert matched.note.startswith("49 of 50 listed pairs; clips not in the data set: nAQEOC1Z10M")
    assert matched.pairs[0] == (
        "ab28GAufK8o#000261#000596.png", "aDyyTMUBoLE#000164#000351.png",
    )  # fmt: skip


def test_lists_with_and_without_distances_are_read(shared):
    folder = shared / "data/splits/pairs"
    assert len(read_pair_list(folder / "fomm_bair256.csv").rows) == 50
    assert read_pair_list(folder / "monkeynet_taichi.csv").rows[0] == ("00000137.jpg", "00000425.jpg")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "has no column 'source' .its first line reads 'a,b'"),
        ("source,driving\n", "holds no pair"),
        ("source,driving\nx,\n", "line 2: source or driving is empty"),
        ("source,driving\nnobody,noone\n", "none of the 1 pairs .* has both clips in puppets"),
    ],
)
def test_a_list_that_is_none_is_answered_with_a_sentence(content, message, tmp_path):
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(BenchbedError, match=message):
        build_plan(RunRequest(("animation",), ("static",), pairs=tmp_path / "pairs.csv", metrics=("l1",)))


def test_a_listed_pair_is_run_in_the_lists_order_under_a_key_of_its_own(tmp_path):
    (tmp_path / "pairs.csv").write_text(
        "distance,source,driving,frame\n1,test/c003-m003,test/c001-m001,0\n2,test/c000-m000,test/c005-m005,0\n"
    )
    plan, drawn = (
        build_plan(RunRequest(("animation",), ("static",), pairs=pairs, metrics=("l1",)))
        for pairs in (tmp_path / "pairs.csv", 2)
    )
    assert [case.id for case in plan.sections[0].cases] == [
        "test/c003-m003 by test/c001-m001",
        "test/c000-m000 by test/c005-m005",
    ]
    assert len(drawn.sections[0].cases) == 2
    assert set(plan.sections[0].keys) != set(drawn.sections[0].keys)
    assert "pairs.csv (sha256" in plan.sections[0].notes[0]
