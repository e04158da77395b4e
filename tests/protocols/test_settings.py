"""What the engine does with cases that have no ground truth, several views, or unknown training data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from benchbed.aggregate import aggregate, cases_frame, read_records
from benchbed.datasets.catalog import open_dataset
from benchbed.datasets.video_io import write_video
from benchbed.errors import BenchbedError
from benchbed.executors.local import execute
from benchbed.executors.unseen import SeenError, require_unseen
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.tensor_files import write_tensors
from benchbed.tracking.store import Store


def carry_out(tmp_path, *methods: str, protocol: str, metrics=("l1",), **changes):
    plan = build_plan(
        RunRequest(
            (protocol,), methods, **{"datasets": ("squares",), "metrics": metrics, "device": "cpu", **changes}
        )
    )
    store = Store(tmp_path / plan.run_id)
    execute(plan, store, quiet=True)
    stored = read_records(plan, store)
    return cases_frame(stored), aggregate(plan, stored), stored


def test_without_ground_truth_only_the_source_can_be_compared_with(fakes, tmp_path):
    _, table, _ = carry_out(tmp_path, "dimmed", protocol="animation", pairs=4)
    row = table.iloc[0]
    assert (row["status"], row["reason"]) == (
        "skipped",
        "these cases have no ground-truth frames; the variants called source-... compare with the source",
    )


def test_the_source_itself_scores_perfectly_against_the_source(tmp_path):
    names = ("csim/source-frames", "aed/source-frames")
    _, table, _ = carry_out(
        tmp_path, "static", "flow", protocol="animation", metrics=names, datasets=("puppets",), pairs=3
    )
    values = table.set_index(["method", "metric"])["value"]
    assert values["static", "csim"] == pytest.approx(1, abs=1e-6)
    assert values["static", "aed"] == pytest.approx(0, abs=1e-6)
    assert values["flow", "csim"] < 0.999


def test_settings_are_chosen_by_name(fakes, tmp_path):
    chosen = ("reconstruction N_ref=3", "animation N_ref=0")
    cases, _, _ = carry_out(tmp_path, "many-views", protocol="reference-sweep", limit=1, settings=chosen)
    assert set(cases["setting"]) == set(chosen)


def test_a_setting_that_is_not_there_is_named(fakes, tmp_path):
    with pytest.raises(
        BenchbedError, match="'reference-sweep' has no setting 'N_ref=3'; known: reconstruction N_ref=0"
    ):
        carry_out(tmp_path, "many-views", protocol="reference-sweep", settings=("N_ref=3",))


def test_the_best_of_all_views_needs_all_of_them(fakes, tmp_path):
    with pytest.raises(
        BenchbedError, match=r"one-view takes one view at a time .* name the settings before it too"
    ):
        carry_out(tmp_path, "one-view", protocol="reference-sweep", settings=("reconstruction N_ref=2",))


def test_few_shot_methods_get_all_views_and_one_shot_methods_one_at_a_time(fakes, tmp_path):
    cases, _, stored = carry_out(tmp_path, "one-view", "many-views", protocol="reference-sweep", limit=2)
    assert set(cases["setting"]) == {f"reconstruction N_ref={n}" for n in range(7)} | {
        f"animation N_ref={n}" for n in range(7)
    }
    shown = {
        (row.method, row.setting): row.references for records in stored.values() for record in records
        for row in record.rows if row.case == "square-0"
    }  # fmt: skip
    assert shown["many-views", "reconstruction N_ref=0"] == shown["one-view", "reconstruction N_ref=0"] == ""
    all_views = shown["many-views", "reconstruction N_ref=6"].split(",")
    assert len(all_views) == 6
    assert [shown["one-view", f"reconstruction N_ref={n}"] for n in range(1, 7)] == all_views


def test_zero_shot_refuses_weights_that_have_seen_the_data_and_flags_those_of_unknown_origin(fakes, tmp_path):
    _, table, stored = carry_out(tmp_path, "trained", "untold", "dimmed", protocol="zero-shot")
    rows = table.set_index("method")
    assert rows.loc["trained", "status"] == "skipped"
    assert "trained was trained on squares: that is no zero-shot" in rows.loc["trained", "reason"]
    assert rows.loc["untold", "status"] == rows.loc["dimmed", "status"] == "ok"
    notes = {key[1]: " ".join(records[0].notes) for key, records in stored.items()}
    assert "what its weights were trained on is not recorded" in notes["untold"]
    assert "not recorded" not in notes["dimmed"]


def test_an_ablation_has_the_methods_that_name_variants_each_before_its_own(fakes, tmp_path):
    plan = build_plan(RunRequest(("ablation", "reconstruction"), (), ("squares",), ("l1",), device="cpu"))
    by_protocol = {section.protocol.name: [m.name for m in section.methods] for section in plan.sections}
    position = by_protocol["ablation"].index("untold")
    assert by_protocol["ablation"][position + 1] == "untold.without-light"
    assert "dimmed" not in by_protocol["ablation"] and "dimmed" in by_protocol["reconstruction"]
    with pytest.raises(
        BenchbedError, match=r"method 'dimmed' names no variants to ablate; methods that do: .*untold"
    ):
        build_plan(RunRequest(("ablation",), ("dimmed",), ("squares",), ("l1",), device="cpu"))


def test_a_sweep_knows_no_relative_transfer(fakes):
    with pytest.raises(BenchbedError, match="'reference-sweep' has no transfer 'relative'; known: absolute"):
        build_plan(RunRequest(("reference-sweep",), ("dimmed",), ("squares",), transfer="relative"))


def test_zero_shot_refuses_weights_of_the_same_files_under_another_name(tmp_path):
    folder = tmp_path / "renamed"
    for clip in range(2):
        write_video(folder / f"{clip}.png", np.full((4, 16, 16, 3), 60 * clip, np.uint8))
    dataset = open_dataset(str(folder))
    for name, fingerprint in (("same", dataset.fingerprint), ("other", "0" * 64)):
        metadata = {"trained_on": "before", "trained_on_fingerprint": fingerprint}
        write_tensors(tmp_path / f"{name}.safetensors", {"weight": torch.zeros(1)}, metadata)
    with pytest.raises(
        SeenError, match=r"fomm was trained on the very files of renamed \(then called before\)"
    ):
        require_unseen("fomm", "before", dataset, tmp_path / "same.safetensors")
    require_unseen("fomm", "before", dataset, tmp_path / "other.safetensors")


def test_a_clip_too_short_for_so_many_views_fails_and_is_not_scored_with_fewer(tmp_path):
    folder = tmp_path / "clips"
    for name, length in (("long", 9), ("short", 3)):
        frames = np.stack([np.full((16, 16, 3), 20 * step, np.uint8) for step in range(length)])
        write_video(folder / f"{name}.png", frames)
    plan = build_plan(
        RunRequest(
            ("reference-sweep",), ("static",), (str(folder),), ("l1",), resolution=16, pairs=1, device="cpu"
        )
    )
    result = run(plan, tmp_path, command=["test"], quiet=True)
    cases = pd.read_parquet(result.folder / "cases.parquet")
    own = cases[cases["setting"].str.startswith("reconstruction") & (cases["case"] == "short")]
    status = dict(zip(own["setting"], own["status"], strict=True))
    assert [status[f"reconstruction N_ref={n}"] for n in range(7)] == ["ok"] * 3 + ["failed"] * 4
    assert own["value"].isna().sum() == 4
    assert result.failures
