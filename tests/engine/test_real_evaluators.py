"""Runs on real clips with the field's evaluators: nothing at hand, and stand-ins registered as unverified."""

from __future__ import annotations

import pytest
from PIL import Image

from benchbed.datasets.video_io import read_video
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.tables.render import render

from ..stand_ins import register


@pytest.fixture
def clips(shared, tmp_path):
    """A face and a body, each a folder of one clip of a few frames at 128 px."""

    def cut(domain: str, clip: str, count: int):
        folder = tmp_path / domain / "test" / "clip"
        folder.mkdir(parents=True)
        for index, frame in enumerate(read_video(shared / "data" / "clips" / clip).frames[:count]):
            Image.fromarray(frame).resize((128, 128)).save(folder / f"{index:03}.png")
        return tmp_path / domain

    return {"face": cut("face", "vox/lia_driving1.mp4", 8), "body": cut("body", "taichi/lia_driving1.mp4", 2)}


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def table_of(clips, tmp_path, domain: str, metrics: tuple[str, ...] = ()):
    request = RunRequest(
        protocols=("reconstruction",),
        methods=("static",),
        datasets=(str(clips[domain]),),
        domain=domain,
        resolution=128,
        device="cpu",
        metrics=metrics,
        save_samples=0,
    )
    result = run(build_plan(request), tmp_path / "runs", command=[], quiet=True)
    return result.aggregate.set_index("metric"), render(result.tables[0], "markdown")


@pytest.mark.parametrize(
    ("domain", "commands"),
    [
        (
            "face",
            {
                "lpips": "lpips-alex",
                "fid": "inception-fid",
                "kid": "inception-fid",
                "akd": "face-landmarks face-detector",
                "aed": "openface",
                "csim": "face-identity",
            },
        ),
        (
            "body",
            {"akd": "body-joints", "mkr": "body-joints", "aed": "person-identity", "csim": "person-identity"},
        ),
    ],
)
def test_without_any_weights_the_cells_say_which_command_brings_them(clips, tmp_path, domain, commands):
    scores, text = table_of(clips, tmp_path, domain)
    assert scores.loc[["l1", "psnr", "ssim"], "status"].tolist() == ["ok"] * 3
    for metric, names in commands.items():
        assert scores.loc[metric, "status"] == "skipped"
        assert scores.loc[metric, "reason"].startswith(f"weights missing: benchbed weights pull {names}")
    assert f"weights missing: benchbed weights pull {commands['akd']}" in text


def test_stand_ins_fill_every_column_of_faces_and_say_that_they_mean_nothing(clips, tmp_path):
    names = (
        "lpips-alex",
        "inception-fid",
        "face-landmarks",
        "face-detector",
        "face-identity",
        "openface",
        "resnext101-3d",
    )
    register(names, tmp_path)
    metrics = ("l1", "lpips", "fid", "kid", "fid/clean", "video-fid/all-segments", "akd", "aed", "csim")
    scores, text = table_of(clips, tmp_path, "face", metrics)
    learned = scores.drop(index="l1")
    assert scores.loc["l1", "unverified"] == ""
    assert (learned.unverified != "").all()
    # Eight frames hold no segment of 16, so there is no distribution; everything else has a value.
    assert learned[learned.status != "ok"].index.tolist() == ["video-fid"]
    assert (
        "weights that are not the published ones (face-landmarks, face-detector, added with --unverified)"
        in text
    )
    assert "not comparable with any other value" in text


def test_stand_ins_fill_the_columns_of_bodies(clips, tmp_path):
    register(("body-joints", "person-identity", "reid-resnet50"), tmp_path)
    scores, text = table_of(clips, tmp_path, "body", ("akd", "mkr", "aed", "csim"))
    assert scores.status.tolist() == ["ok"] * 4
    assert (scores.unverified != "").all()
    assert "AKD, MKR: measured with weights that are not the published ones (body-joints" in text
