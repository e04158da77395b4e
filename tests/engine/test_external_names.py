"""Files meet cases by the names the field's scripts give them, and no name is guessed where it could mean two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchbed.datasets.video_io import write_video
from benchbed.errors import BenchbedError
from benchbed.external.frames import natural
from benchbed.external.listing import expected_rows
from benchbed.external.matching import Match, match_frames
from benchbed.external.names import name_table
from benchbed.external.plan import External, expected_cases
from benchbed.interfaces.protocol import Case, FrameReference
from benchbed.plan import RunRequest

FRAMES = np.zeros((5, 8, 8, 3), np.uint8)


def own(clip: str, setting: str = "") -> Case:
    return Case(clip, clip, clip, FrameReference(clip, 0), clip, clip, setting=setting)


def crossed(source: str, driving: str) -> Case:
    return Case(f"{source} by {driving}", source, driving, FrameReference(source, 0), driving, None)


def meant(path: str, *cases: Case, pair_order: str | None = None) -> list[str]:
    return [case for _, case in name_table(cases, pair_order).cases_of(path)]


def match(folder: Path, *cases: Case, **settings) -> Match:
    by_setting: dict[str, list[Case]] = {}
    for case in cases:
        by_setting.setdefault(case.setting, []).append(case)
    return match_frames(folder, by_setting, **settings)


@pytest.mark.parametrize(
    "path",
    [
        "id1#a.b#001.mp4",
        "id1#a.b#001.png",
        "id1#a.b#001",
        "faces_id1#a.b#001.gif",
        "faces/id1#a.b#001/",
        "log/reconstruction/png/id1#a.b#001.mp4.png",
    ],
)
def test_a_clip_goes_by_its_name_with_or_without_suffix_and_folders(path):
    clips = [own("faces/id1#a.b#001.mp4"), own("faces/id1#a.b#002.mp4")]
    assert meant(path.rstrip("/"), *clips) == ["faces/id1#a.b#001.mp4"]


def test_what_follows_the_last_dot_of_a_published_name_is_no_suffix():
    assert meant("id1#a.png", own("id1#a.b#001")) == []


def test_a_name_that_two_clips_share_means_neither_and_the_whole_one_tells_them_apart():
    clips = [own("a/clip.mp4"), own("b/clip.mp4")]
    assert len(meant("clip.png", *clips)) == 2
    assert meant("b/clip.png", *clips) == ["b/clip.mp4"]
    assert meant("a_clip.png", *clips) == ["a/clip.mp4"]


def test_a_pair_goes_by_source_two_dashes_driving():
    pairs = [crossed("x/a.mp4", "b.mp4"), crossed("b.mp4", "x/a.mp4")]
    assert meant("a--b.mp4", *pairs) == ["x/a.mp4 by b.mp4"]
    assert meant("b.mp4--x_a.mp4.png", *pairs) == ["b.mp4 by x/a.mp4"]


def test_the_order_of_a_single_dash_is_asked_for_and_never_guessed(tmp_path):
    pairs = [crossed("a", "b"), crossed("c", "a")]
    write_video(tmp_path / "b-a.png", FRAMES)
    with pytest.raises(BenchbedError, match=r"which comes first\? add --pair-order driving-source"):
        match(tmp_path, *pairs)
    found = match(tmp_path, *pairs, pair_order="driving-source")
    assert list(found.files) == [("", "a by b")]
    with pytest.raises(BenchbedError, match="frames of none of the 2 cases"):
        match(tmp_path, *pairs, pair_order="source-driving")


def test_dashes_inside_names_that_could_be_cut_in_two_ways_mean_neither():
    pairs = [crossed("a", "b-c"), crossed("a-b", "c")]
    assert len(meant("a-b-c.png", *pairs, pair_order="source-driving")) == 2
    assert meant("a-b--c.png", *pairs, pair_order="source-driving") == ["a-b by c"]


def test_frames_are_ordered_by_number_with_or_without_leading_zeros():
    names = ["10.png", "2.png", "1.png"]
    assert [p.name for p in sorted(map(Path, names), key=natural)] == ["1.png", "2.png", "10.png"]


def test_a_list_goes_before_the_names_and_what_it_gets_wrong_is_said(tmp_path):
    write_video(tmp_path / "a.png", FRAMES)
    write_video(tmp_path / "deep" / "other.png", FRAMES)
    table = tmp_path / "list.csv"
    table.write_text("case,path\na,deep/other.png\nb,gone.png\nz,a.png\n")
    found = match(tmp_path, own("a"), own("b"), own("c"), paths=table)
    assert found.files["", "a"].id == "deep/other.png"
    assert found.refused["", "b"] == "missing: there is no 'gone.png', which --paths names"
    assert found.refused["", "c"].startswith("missing: nothing is called 'c'")
    assert "no case has this name" in found.extra["list.csv, line 4: z"]
    table.write_text("case,path\na,a.png\na,deep/other.png\n")
    with pytest.raises(BenchbedError, match="line 3: case 'a' is listed twice"):
        match(tmp_path, own("a"), paths=table)
    table.write_text("name,path\n")
    with pytest.raises(BenchbedError, match="has no column 'case'"):
        match(tmp_path, own("a"), paths=table)


def test_a_broken_strip_does_not_turn_its_neighbours_into_frames_of_one_clip(tmp_path):
    for name in "abc":
        write_video(tmp_path / "png" / f"{name}.png", FRAMES)
    (tmp_path / "png" / "b.png").write_bytes(b"\x89PNG broken")
    found = match(tmp_path, own("a"), own("b"), own("c"))
    assert sorted(case for _, case in found.files) == ["a", "b", "c"]


def test_settings_of_a_sweep_lie_in_folders_of_their_names_or_are_chosen_one_by_one(tmp_path):
    cases = [own("a", "reconstruction N_ref=0"), own("a", "reconstruction N_ref=1")]
    for setting in ("reconstruction_N_ref=0", "reconstruction N_ref=1"):
        write_video(tmp_path / setting / "a.png", FRAMES)
    write_video(tmp_path / "a.png", FRAMES)
    found = match(tmp_path, *cases)
    assert len(found.files) == 2
    assert found.extra["a.png"].startswith("in no folder of a setting")
    assert list(match(tmp_path / "reconstruction_N_ref=0", cases[1]).files) == [
        ("reconstruction N_ref=1", "a")
    ]


def test_the_list_of_expected_cases_names_what_is_found_and_the_views_that_are_given(fakes, tmp_path):
    asked = RunRequest(("reference-sweep",), datasets=("squares",), limit=2)
    external = External(tmp_path, "mine")
    dataset, cases = expected_cases(asked, external)
    rows = expected_rows(dataset, cases, few_shot=False)
    assert len(rows) == 14 * 2
    for row in rows[::9]:
        write_video(tmp_path / f"{row['path']}.png", FRAMES)
    found = match_frames(tmp_path, cases)
    assert set(found.files) == {(row["setting"], row["case"]) for row in rows[::9]}
    few = {(r["setting"], r["case"]): r for r in expected_rows(dataset, cases, few_shot=True)}
    last = next(row for row in rows if row["setting"] == "reconstruction N_ref=3")
    views = few[last["setting"], last["case"]]["references"].split()
    assert len(views) == 3 and last["source_frame"] == views[-1] and last["references"] == ""
    with pytest.raises(
        BenchbedError, match=r"unknown setting 'reconstruction N_ref=9'; known: .*did you mean"
    ):
        expected_cases(asked, replace(external, settings=("reconstruction N_ref=9",)))
