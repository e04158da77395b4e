"""Frames that another program generated join the tables of the bundled methods; what does not fit is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.video_io import write_video
from benchbed.errors import BenchbedError
from benchbed.external.plan import External, check_name, plan_evaluation
from benchbed.external.report import frames_report
from benchbed.plan import RunRequest, build_plan
from benchbed.run import RunResult, run

METRICS = ("l1", "psnr", "ssim")
# Columns of a table's row that say who generated the frames, and nothing else.
OWN = ["method"]


def request(**changes) -> RunRequest:
    settings = {
        "protocols": ("reconstruction",),
        "datasets": ("squares",),
        "metrics": METRICS,
        "device": "cpu",
        "save_samples": 0,
    }
    return RunRequest(**{**settings, **changes})


def static_clips(dataset: str, names: list[str] | None = None) -> dict[str, np.ndarray]:
    """By clip its first frame, over and over: what `static` generates, uint8 `[T, H, W, 3]`."""
    opened = open_dataset(dataset)
    frames = {clip.id: opened.frames(clip.id) for clip in opened.clips("test")}
    return {
        clip: np.repeat(tensor[:1].permute(0, 2, 3, 1).numpy(), tensor.shape[0], axis=0)
        for clip, tensor in frames.items()
        if names is None or clip in names
    }


def save_folder(path: Path, frames: np.ndarray, suffix: str = "png") -> None:
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):  # without leading zeros: 10 comes after 2
        Image.fromarray(frame).save(path / f"frame{number}.{suffix}")


def evaluate(folder: Path, asked: RunRequest, **settings) -> tuple[RunResult, str]:
    """The run, and its report."""
    external = External(folder, **{"name": "mine", **settings})
    plan, match = plan_evaluation(asked, external)
    result = run(plan, folder.parent / "runs", command=["test"], quiet=True)
    cases = pd.read_parquet(result.folder / "cases.parquet")
    notes = (result.folder / "tables" / "notes.txt").read_text().splitlines()
    return result, frames_report(cases, match, notes, external.name, folder, most=None)


def row_of(result: RunResult) -> pd.DataFrame:
    return result.aggregate.drop(columns=OWN)


@pytest.mark.parametrize("form", ["folders", "wide", "published"])
def test_static_frames_from_png_files_give_exactly_the_row_of_static(tmp_path, form):
    """Over every default metric, evaluators and set metrics included: 8 bits hold frames that had 8 bits."""
    asked = request(datasets=("puppets",), metrics=(), limit=3)
    static = run(build_plan(request(datasets=("puppets",), metrics=(), limit=3, methods=("static",))),
                 tmp_path / "runs", command=["test"], quiet=True)  # fmt: skip
    names = [f"test/c00{i}-m00{i}" for i in range(3)]
    for clip, frames in static_clips("puppets", names).items():
        if form == "folders":
            save_folder(tmp_path / "files" / clip, frames)
        elif form == "wide":
            write_video(tmp_path / "files" / f"{clip.replace('/', '_')}.png", frames)
        else:  # as the field's scripts save them, with a comparison video beside
            stem = clip.rsplit("/", 1)[1]
            write_video(tmp_path / "files" / "reconstruction" / "png" / f"{stem}.mp4.png", frames)
            write_video(tmp_path / "files" / "reconstruction" / f"{stem}.mp4.mp4", frames[:2])
    mine, report = evaluate(tmp_path / "files", asked)
    pd.testing.assert_frame_equal(row_of(mine), row_of(static), check_exact=True)
    assert mine.failures == 0
    assert "3 of 3 cases have frames that fit" in report


def test_its_run_and_another_meet_in_one_table_and_are_ranked_together(fakes, tmp_path):
    from benchbed.tables.build import build_tables

    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "files" / f"{clip}.png", frames)
    mine, _ = evaluate(tmp_path / "files", request())
    dimmed = run(build_plan(request(methods=("dimmed",))), tmp_path / "runs", command=["test"], quiet=True)
    both = pd.concat([mine.aggregate, dimmed.aggregate], ignore_index=True)
    (table,) = build_tables(both, pd.concat([mine.costs, dimmed.costs], ignore_index=True), [])
    assert [row.method for row in table.rows] == ["mine", "dimmed"]
    assert not any("not ranked" in text for text in table.footnotes)
    cells = dict(zip((column.id for column in table.columns), table.rows[0].cells, strict=True))
    # Nobody timed the program that made them.
    assert [cells[name].text for name in ("frames_per_second", "parameters", "peak_memory_bytes")] == [
        "-"
    ] * 3


def test_lossy_files_move_the_values_a_little_and_the_table_says_so(fakes, tmp_path):
    static = run(build_plan(request(methods=("static",))), tmp_path / "runs", command=["test"], quiet=True)
    reference = static.aggregate.set_index("metric")["value"]
    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "video" / f"{clip}.mp4", frames)
        save_folder(tmp_path / "jpeg" / clip, frames, "jpg")
    for form, loss in (("video", "h264, yuv420p"), ("jpeg", "JPEG")):
        result, report = evaluate(tmp_path / form, request(), name=form)
        value = result.aggregate.set_index("metric")["value"]
        # Colour at half resolution and coarse steps: about one of 255 levels on these plain grounds.
        assert 0 < abs(value["l1"] - reference["l1"]) < 3 / 255
        assert f"frames are compressed with loss ({loss}), which changes its numbers" in report
        assert any(loss in note for note in result.tables[0].notes)


def test_everything_wrong_with_the_files_is_listed_at_once_and_the_rest_is_scored(fakes, tmp_path):
    files = tmp_path / "files"
    for clip, frames in static_clips("squares").items():
        if clip == "square-0":
            write_video(files / "sqare-0.png", frames)  # misnamed
        elif clip == "square-1":
            write_video(files / f"{clip}.png", frames.repeat(2, axis=1).repeat(2, axis=2))
        elif clip == "square-2":
            write_video(files / f"{clip}.png", frames[1:])
        elif clip == "square-3":
            write_video(files / f"{clip}.png", frames)
            whole = (files / f"{clip}.png").read_bytes()
            (files / f"{clip}.png").write_bytes(whole[: len(whole) // 2])
        elif clip == "square-4":
            write_video(files / f"{clip}.png", frames)
            write_video(files / f"{clip}.gif", frames)
        elif clip == "square-5":
            Image.fromarray(frames[0]).save(files / f"{clip}.png")
        else:
            write_video(files / f"{clip}.png", frames)
    result, report = evaluate(files, request())
    assert result.failures == 6
    row = result.aggregate.set_index("metric").loc["l1"]
    assert row["status"] == "ok" and row["reason"].startswith("6 of 8 cases failed")
    for line in (
        "frames of mine in",
        "2 of 8 cases have frames that fit",
        "square-0: nothing is called 'square-0'; is it 'sqare-0.png'?",
        "sqare-0.png: no case has this name",
        "square-1: 'square-1.png' has frames of 64x64, the data set of 32x32",
        "square-2: 'square-2.png' has 19, 20 are expected",
        "square-3: ",
        "square-4: 'square-4.gif', 'square-4.png' are all called like it",
        "square-5: 'square-5.png' is a single image of 32x32",
    ):
        assert line in report, line
    titles = (
        "missing (1), --list-expected prints",
        "named twice (1), keep one",
        "wrong size (1), add --resize",
        "wrong number of frames (1), scripts that skip the source frame write one less",
        "unreadable (2)",
        "not read (1)",
    )
    for title in titles:
        assert title in report


def test_frames_of_another_size_are_resized_where_that_is_asked_for_and_the_table_says_so(fakes, tmp_path):
    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "files" / f"{clip}.png", frames.repeat(2, axis=1).repeat(2, axis=2))
    result, report = evaluate(tmp_path / "files", request(), resize=True)
    assert result.failures == 0
    assert "frames were resized from 64x64 to 32x32" in report


def test_without_the_first_frame_only_what_leaves_it_out_is_comparable(fakes, tmp_path):
    metrics = ("l1/frames", "l1/frames-after-source")
    static = run(build_plan(request(methods=("static",), metrics=metrics)), tmp_path / "runs", command=["test"],
                 quiet=True)  # fmt: skip
    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "files" / f"{clip}.png", frames[1:])
    result, report = evaluate(tmp_path / "files", request(metrics=metrics), first_frame=False)
    ours, theirs = (table.aggregate.set_index("variant") for table in (result, static))
    after, every = "l1/frames-after-source@1", "l1/frames@1"
    assert ours.loc[after, "key"] == theirs.loc[after, "key"]
    assert ours.loc[after, "value"] == theirs.loc[after, "value"]
    assert ours.loc[every, "key"] != theirs.loc[every, "key"]
    # No value for the frame that is not there, and none made up for it.
    assert ours.loc[every, "value"] == ours.loc[after, "value"]
    assert ours.loc[every, "n"] == 8 * 19
    assert "its files leave the first frame out" in report
    complete, _ = evaluate(tmp_path / "files", request(metrics=metrics))
    assert complete.failures == 8


def test_set_metrics_drop_the_first_frame_and_segments_say_that_they_need_it(tmp_path):
    metrics = ("fid/all-frames", "fid/without-source")
    asked = request(datasets=("puppets",), metrics=metrics, limit=2)
    for clip, frames in static_clips("puppets", ["test/c000-m000", "test/c001-m001"]).items():
        write_video(tmp_path / "files" / f"{clip}.png", frames[1:])
    result, _ = evaluate(tmp_path / "files", asked, first_frame=False)
    values = result.aggregate.set_index("variant")["value"]
    assert values["fid/all-frames@1"] == values["fid/without-source@1"]


def test_the_same_files_give_the_same_run_and_changed_ones_another(fakes, tmp_path):
    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "files" / f"{clip}.png", frames)
    external = External(tmp_path / "files", "mine")
    first, _ = plan_evaluation(request(), external)
    assert plan_evaluation(request(), external)[0].run_id == first.run_id
    write_video(tmp_path / "files" / "square-0.png", frames)
    assert plan_evaluation(request(), external)[0].run_id != first.run_id


def test_zero_shot_flags_frames_of_unknown_training_and_refuses_those_that_saw_the_data(fakes, tmp_path):
    for clip, frames in static_clips("squares").items():
        write_video(tmp_path / "files" / f"{clip}.png", frames)
    asked = request(protocols=("zero-shot",))
    notes = {}
    for told in ("unknown", "none"):
        result, _ = evaluate(tmp_path / "files", asked, trained_on=told, name=told)
        notes[told] = " ".join(result.tables[0].notes)
    assert "what its weights were trained on is not recorded" in notes["unknown"]
    assert "not recorded" not in notes["none"]
    seen, _ = evaluate(tmp_path / "files", asked, trained_on="squares")
    assert set(seen.aggregate["status"]) == {"skipped"}
    assert "that is no zero-shot" in seen.aggregate["reason"].iloc[0]


@pytest.mark.parametrize("name", ["my frames", "a/b", "../x", "", "-x", "größe", "x" * 61])
def test_a_name_with_other_characters_is_refused(name):
    with pytest.raises(BenchbedError, match="cannot be used: give letters, digits"):
        check_name(name)


@pytest.mark.parametrize("name", ["fomm", "FOMM", "static", "mraa.without-background"])
def test_a_name_of_a_bundled_method_is_refused(name):
    with pytest.raises(BenchbedError, match="belongs to a method of benchbed"):
        check_name(name)


def test_a_folder_without_anything_that_fits_is_one_sentence_before_any_work(fakes, tmp_path):
    write_video(tmp_path / "files" / "holiday.png", np.zeros((20, 32, 32, 3), np.uint8))
    with pytest.raises(BenchbedError, match=r"frames of none of the 8 cases \(there is 'holiday.png'"):
        plan_evaluation(request(), External(tmp_path / "files", "mine"))
    with pytest.raises(BenchbedError, match="is no folder"):
        plan_evaluation(request(), External(tmp_path / "nowhere", "mine"))
