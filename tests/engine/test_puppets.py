"""The drawn world: deterministic bytes, exact key points, disjoint identities, clips that move."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch

from benchbed.datasets.preview import contact_sheet
from benchbed.datasets.puppets.dataset import LARGE_DISPLACEMENT, DrawnDataset, open_creatures, open_puppets
from benchbed.datasets.puppets.renderer import render_background
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Dataset

Opener = Callable[..., DrawnDataset]
both = pytest.mark.parametrize("opener", [open_puppets, open_creatures])

# Raise RENDERER_VERSION whenever these have to change: stored results are not comparable any more.
RECORDED = {
    "puppets": "a53fd0dbe8afe9d088999ad55bed0e28100cca968658ff9ca8cd2315bb4606f6",
    "puppets-creatures": "1212c082b9057e50c9c68547af6ac8cd45a1f00510733057a7ef4e34a255a458",
}


@cache
def drawn_test_split(opener: Opener) -> dict[str, np.ndarray]:
    dataset = opener()
    return {clip.id: dataset.images(clip.id) for clip in dataset.clips("test")}


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


@both
def test_the_drawing_has_not_changed_by_a_byte(opener: Opener) -> None:
    assert digest(opener().images("test/c003-m003")[7]) == RECORDED[opener().name]


@both
def test_another_process_draws_the_same_bytes_and_keypoints(opener: Opener) -> None:
    clip = "test/c005-m010-from-m005"
    code = (
        "import hashlib\n"
        f"from benchbed.datasets.puppets.dataset import {opener.__name__} as opener\n"
        "data = opener()\n"
        f"points = data.keypoints({clip!r})\n"
        f"frames = data.images({clip!r})\n"
        "blob = frames.tobytes() + points.positions.tobytes() + points.visible.tobytes()\n"
        "print(hashlib.sha256(blob).hexdigest(), data.fingerprint)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dataset = opener()
    points = dataset.keypoints(clip)
    blob = dataset.images(clip).tobytes() + points.positions.tobytes() + points.visible.tobytes()
    assert answer.stdout.split() == [hashlib.sha256(blob).hexdigest(), dataset.fingerprint]


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    np.random.seed(1)
    first = open_puppets().images("test/c000-m000")
    drawn = np.random.random()
    np.random.seed(1)
    assert drawn == np.random.random()
    np.random.seed(2)
    assert np.array_equal(first, open_puppets().images("test/c000-m000"))


@both
def test_the_test_split_has_24_clips_of_16_frames_and_one_identity_each(opener: Opener) -> None:
    dataset = opener()
    clips = dataset.clips("test")
    assert isinstance(dataset, Dataset)
    assert len(clips) == len({clip.id for clip in clips}) == len({clip.identity for clip in clips}) == 24
    assert {frames.shape for frames in drawn_test_split(opener).values()} == {(16, 3, 64, 64)}
    assert all(dataset.clip(clip.id) == clip and clip.domain == dataset.domain for clip in clips)
    frames = dataset.frames(clips[0].id)
    assert frames.dtype == torch.uint8 and np.array_equal(
        frames.numpy(), drawn_test_split(opener)[clips[0].id]
    )


def test_train_has_at_least_60_identities_with_8_clips_each_and_none_of_them_in_test() -> None:
    dataset = open_puppets()
    train = dataset.clips("train")
    identities = {clip.identity for clip in train}
    assert len(identities) >= 60 and len(train) == len({clip.id for clip in train}) == 8 * len(identities)
    assert not identities & {clip.identity for clip in dataset.clips("test")}


def test_characters_of_train_and_test_all_look_different() -> None:
    dataset = open_puppets()
    stills = [
        dataset.images(f"{split}/c{index:03d}-m000")[0] for split in ("train", "test") for index in range(24)
    ]
    pixels = np.stack(stills).astype(np.float64).reshape(len(stills), -1)
    gaps = np.abs(pixels[:, None] - pixels[None]).mean(-1) + 255.0 * np.eye(len(stills))
    # two different backgrounds and outfits are nowhere near within 3 % of each other
    assert gaps.min() > 0.03 * 255


def test_about_a_third_of_the_test_clips_is_marked_and_travels_farther() -> None:
    dataset = open_puppets()
    paths: dict[bool, list[float]] = {True: [], False: []}
    for clip in dataset.clips("test"):
        points = dataset.keypoints(clip.id)
        pelvis = points.positions[:, points.names.index("pelvis")]
        paths[LARGE_DISPLACEMENT in clip.tags].append(float(np.ptp(pelvis[:, 0])))
    assert len(paths[True]) == 8
    assert min(paths[True]) > max(paths[False])


@both
def test_the_first_frame_is_a_bad_guess_for_the_others(opener: Opener) -> None:
    errors = [
        np.abs(f[1:].astype(np.float64) - f[:1]).mean() / 255 for f in drawn_test_split(opener).values()
    ]
    assert np.mean(errors) > 0.04 and min(errors) > 0.02


@both
def test_keypoints_are_15_mostly_inside_and_some_are_hidden(opener: Opener) -> None:
    dataset = opener()
    tracks = [dataset.keypoints(clip.id) for clip in dataset.clips("test")]
    positions, visible = (np.stack([getattr(t, name) for t in tracks]) for name in ("positions", "visible"))
    assert positions.shape == (24, 16, 15, 2) and positions.dtype == np.float32
    assert visible.shape == (24, 16, 15) and visible.dtype == np.bool_
    assert len(set(tracks[0].names)) == 15
    inside = ((positions > -0.5) & (positions < 63.5)).all(-1)
    assert inside.mean() > 0.99
    assert not visible[~inside].any()
    # self-occlusion: points inside the frame that another part covers, in most clips
    hidden = inside & ~visible
    assert 0.02 < hidden.mean() < 0.2
    assert hidden.any(axis=(1, 2)).mean() > 0.5


@both
def test_visible_keypoints_lie_on_the_figure(opener: Opener) -> None:
    dataset = opener()
    differences = []
    for clip in dataset.clips("test"):
        character = dataset._character(dataset._parse(clip.id))
        backdrop = render_background(character.background, 64) * 255
        points = dataset.keypoints(clip.id)
        pixels = np.clip(np.rint(points.positions), 0, 63).astype(int)
        for frame, places, visible in zip(
            drawn_test_split(opener)[clip.id], pixels, points.visible, strict=True
        ):
            x, y = places[visible].T
            differences.append(np.abs(frame[:, y, x] - backdrop[:, y, x]).max(0))
    # a hue may come close to the backdrop in a shaded pixel, hence not every single one
    assert (np.concatenate(differences) > 12).mean() > 0.98


def test_left_hands_are_lighter_than_right_hands_on_every_character() -> None:
    dataset = open_puppets(resolution=128)
    for index in range(24):
        marks = dataset._character(dataset._parse(f"test/c{index:03d}-m000")).marks
        assert sum(marks.left) - sum(marks.right) > 1.5


@both
def test_resolutions_show_the_same_scene(opener: Opener) -> None:
    clip = "test/c004-m004"
    small, large = opener().images(clip), opener(resolution=256).images(clip)
    averaged = large.reshape(16, 3, 64, 4, 64, 4).astype(np.float64).mean((3, 5))
    # edges of overlapping parts and fine textures are averaged in another order: below 1 % of the range
    assert np.abs(averaged - small).mean() < 0.01 * 255
    few, many = opener().keypoints(clip), opener(resolution=256).keypoints(clip)
    np.testing.assert_allclose(few.positions, (many.positions + 0.5) / 4 - 0.5, atol=1e-4)  # float32 rounding
    assert np.array_equal(few.visible, many.visible)
    assert opener().fingerprint != opener(resolution=256).fingerprint


@both
def test_any_character_performs_any_motion_before_its_own_backdrop(opener: Opener) -> None:
    dataset = opener()
    own, borrowed = dataset.images("test/c007-m007"), dataset.images("test/c007-m011")
    assert dataset.clip("test/c007-m011").identity == dataset.clip("test/c007-m007").identity
    assert dataset.clip("test/c007-m010").tags == dataset.clip("test/c010-m010").tags
    assert not np.array_equal(own, borrowed)
    corners = (..., slice(0, 4), slice(0, 4))
    assert np.array_equal(own[0][corners], borrowed[0][corners])


@both
def test_relative_transfer_starts_in_the_source_pose_and_moves_as_the_driving_clip(opener: Opener) -> None:
    dataset = opener()
    relative = dataset.images("test/c007-m011-from-m007")
    assert np.array_equal(relative[0], dataset.images("test/c007-m007")[0])
    assert not np.array_equal(relative[5], dataset.images("test/c007-m011")[5])
    assert np.array_equal(dataset.images("test/c007-m011-from-m011"), dataset.images("test/c007-m011"))


@both
@pytest.mark.parametrize(
    "clip", ["", "test", "test/c7-m7", "valid/c001-m001", "test/c001-m001-from", "x.mp4"]
)
def test_an_unknown_clip_is_named_in_the_error(opener: Opener, clip: str) -> None:
    dataset = opener()
    for call in (dataset.clip, dataset.images, dataset.keypoints):
        with pytest.raises(BenchbedError, match="has no"):
            call(clip)


def test_creatures_have_no_train_split() -> None:
    with pytest.raises(BenchbedError, match="puppets-creatures has no split 'train': choose one of test"):
        open_creatures().clips("train")


@pytest.mark.parametrize("resolution", [0, 16, 63, 65, 1024])
def test_odd_resolutions_are_refused(resolution: int) -> None:
    with pytest.raises(BenchbedError, match="multiple of 32 from 32 to 512"):
        open_puppets(resolution=resolution)


def test_a_contact_sheet_has_a_row_per_clip_and_marks_the_keypoints() -> None:
    marked = contact_sheet(open_puppets(), "test", clips=2, frames=3)
    bare = contact_sheet(open_puppets(), "test", clips=2, frames=3, keypoints=False)
    assert marked.size == bare.size and marked.width > 3 * 128 and marked.height > 2 * 128
    assert np.asarray(marked).tolist() != np.asarray(bare).tolist()
    with pytest.raises(BenchbedError, match="at least one clip"):
        contact_sheet(open_puppets(), "test", clips=0, frames=3)
