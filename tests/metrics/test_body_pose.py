"""Claims about the 18-point OpenPose evaluator: network, decoding, averaging over scales and mirror images."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchbed import weights
from benchbed.errors import BenchbedError, CheckpointError, WeightsMissingError
from benchbed.golden import golden_numbers, same_numbers
from benchbed.metrics.evaluators import body_pose
from benchbed.metrics.evaluators.body_pose import BodyPoseEvaluator, build, enlarging_matrix, swap_sides
from benchbed.metrics.evaluators.openpose import PoseNetwork, load_network
from benchbed.metrics.evaluators.pose_decoding import (
    JOINTS,
    LIMBS,
    DecodingRule,
    assemble,
    connect,
    decode,
    find_peaks,
    limb_scores,
)

from .plain_pose import (
    MIRRORED,
    figure,
    ideal_maps,
    mirrored,
    plain_limb_score,
    plain_maps,
    plain_peaks,
    seeded_network,
)

RULE = DecodingRule()
SIZE = 160
SMALL = (0.12, 0.2)
CARD = tomllib.loads(Path(body_pose.__file__).with_name("body-pose.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tensors():
    return seeded_network(seed=0)


@pytest.fixture(scope="module")
def network(tensors):
    return load_network(tensors)


def evaluator(network, scales=SMALL, preprocessing: str = "rtpose") -> BodyPoseEvaluator:
    return BodyPoseEvaluator(network, scales, preprocessing, RULE, "test")


def noise(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def decoded(*frames) -> tuple[np.ndarray, np.ndarray]:
    """Positions and found of frames, each given as its people."""
    maps = [ideal_maps(people, SIZE, SIZE) for people in frames]
    fields = torch.from_numpy(np.stack([field for field, _ in maps]))
    heat = torch.from_numpy(np.stack([heat for _, heat in maps]))[:, :18]
    positions, found = decode(fields, heat, RULE)
    return positions.numpy(), found.numpy()


def people_of(*people) -> list[np.ndarray]:
    """Positions `(18, 2)` of each person assembled from one frame's ideal maps, NaN where missing."""
    fields, heat = ideal_maps(people, SIZE, SIZE)
    (peaks,) = find_peaks(torch.from_numpy(heat[None, :18]), RULE)
    limbs = [connect(peaks[a], peaks[b], fields[c : c + 2], RULE) for a, b, c in LIMBS]
    return [
        np.array(
            [
                peaks[joint].positions[peak] if peak >= 0 else (np.nan, np.nan)
                for joint, peak in enumerate(person)
            ]
        )
        for person in assemble(peaks, limbs, RULE)
    ]


# --- network


def test_the_network_has_the_size_of_the_published_file(tensors):
    count = sum(tensor.numel() for tensor in tensors.values())
    assert count == 52_311_446
    assert abs(4 * count / 1e6 - CARD["size_mb"]) < 0.1


def test_the_first_ten_convolutions_are_those_of_vgg_19(network):
    from torchvision.models import vgg19

    with torch.device("meta"):
        trunk = vgg19().features[:23]
    trunk.load_state_dict(network.model0[:23].state_dict(), assign=True)
    images = noise(1, 32, 40) - 0.5
    with torch.no_grad():
        torch.testing.assert_close(network.model0[:23](images), trunk(images), rtol=0, atol=0)


def test_stages_read_fields_then_heat_then_features_by_published_names(network, tensors):
    def branch(name, values, layers, padding):
        for layer in layers:
            weight, bias = tensors[f"{name}.{layer}.weight"], tensors[f"{name}.{layer}.bias"]
            values = functional.conv2d(values, weight, bias, padding=padding if weight.shape[-1] > 1 else 0)
            values = values if layer == layers[-1] else values.relu()
        return values

    images = noise(1, 32, 40) - 0.5
    with torch.no_grad():
        features = network.model0(images)
        fields = branch("model1_1", features, (0, 2, 4, 6, 8), 1)
        heat = branch("model1_2", features, (0, 2, 4, 6, 8), 1)
        for stage in range(2, 7):
            given = torch.cat([fields, heat, features], dim=1)
            fields = branch(f"model{stage}_1", given, (0, 2, 4, 6, 8, 10, 12), 3)
            heat = branch(f"model{stage}_2", given, (0, 2, 4, 6, 8, 10, 12), 3)
        ours = network(images)
    assert ours[0].shape == (1, 38, 4, 5) and ours[1].shape == (1, 19, 4, 5)
    # The same convolutions by the same library, in place or not.
    torch.testing.assert_close(ours[0], fields, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours[1], heat, rtol=1e-5, atol=1e-6)


def test_names_may_carry_the_prefixes_of_data_parallel_training(tensors):
    prefixed = {f"state_dict.module.{name}": tensor for name, tensor in tensors.items()}
    loaded = load_network(prefixed).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_tensors_of_another_network_are_refused_in_one_sentence(tensors):
    other = {name: tensor for name, tensor in tensors.items() if not name.startswith("model6_2")}
    other["model1_1.8.weight"] = torch.zeros(52, 512, 1, 1)
    with pytest.raises(CheckpointError, match=r"18-point OpenPose network.*14 missing.*1 misshapen"):
        load_network(other)


def test_the_golden_numbers_show_a_change_in_any_part(network, tensors):
    recorded = golden_numbers(evaluator(network))
    assert same_numbers(recorded, golden_numbers(evaluator(load_network(tensors))))
    for name in (
        "model0.0.weight",
        "model0.25.bias",
        "model1_1.8.bias",
        "model3_2.6.weight",
        "model6_1.12.weight",
    ):
        changed = load_network({**tensors, name: tensors[name].flip(0)})
        assert not same_numbers(recorded, golden_numbers(evaluator(changed))), name


# --- decoding


def test_one_figure_comes_back_within_a_pixel():
    person = figure(80, 10, 140)
    positions, found = decoded([person])
    assert found.all()
    assert np.abs(positions[0] - person).max() <= 1


def test_frames_of_one_batch_do_not_mix():
    people = [figure(60, 10, 140), figure(90, 30, 110), figure(80, 20, 125)]
    positions, found = decoded([people[0]], [], [people[1]], [people[2]])
    assert found.all(axis=1).tolist() == [True, False, True, True]
    assert np.abs(positions[[0, 2, 3]] - people).max() <= 1
    assert (positions[1] == -1).all()


@pytest.mark.parametrize("offset", [80, 46, 12], ids=["apart", "touching", "overlapping"])
def test_two_figures_are_told_apart(offset):
    people = [figure(40, 8, 110), figure(40 + offset, 30, 120)]
    given = people_of(*people)
    assert len(given) == 2
    nearest = [
        min(given, key=lambda one, person=person: np.nanmax(np.abs(one - person))) for person in people
    ]
    for person, one in zip(people, nearest, strict=True):
        # Where heat of the two runs together, smoothing moves a peak by a pixel more.
        assert np.abs(one - person).max() <= 2


@pytest.mark.parametrize("listed_last", [0, 1])
def test_of_several_people_the_last_one_overwrites_joint_by_joint(listed_last):
    people = [figure(40, 8, 110), figure(115, 30, 120)]
    fields, heat = ideal_maps(people, SIZE, SIZE)
    # People are listed in the order of the scores of their first limb: the one with the weaker field is last.
    weak = (np.arange(SIZE) < 80) == (listed_last == 0)
    fields[:, :, weak] *= 0.9
    ankle = JOINTS.index("left ankle")
    heat[ankle][:, weak] = 0
    positions, found = decode(torch.from_numpy(fields[None]), torch.from_numpy(heat[None, :18]), RULE)
    expected = people[listed_last].copy()
    expected[ankle] = people[1 - listed_last][ankle]
    assert found.all()
    assert np.abs(positions[0].numpy() - expected).max() <= 1


@pytest.mark.parametrize(
    ("hidden", "cut_off"),
    [
        ("left wrist", []),
        ("right ankle", []),
        # The eyes hang on the ears, and these on the shoulders.
        ("nose", []),
        # What is left of the leg is a person of two joints, which is dropped.
        ("right hip", ["right knee", "right ankle"]),
    ],
)
def test_a_hidden_joint_is_missing_and_the_others_stay(hidden, cut_off):
    person = figure(80, 10, 140)
    person[JOINTS.index(hidden)] = np.nan
    positions, found = decoded([person])
    missing = np.isin(JOINTS, [hidden, *cut_off])
    assert (found[0] == ~missing).all()
    assert (positions[0, missing] == -1).all()
    assert np.abs(positions[0] - person)[~missing].max() <= 1


def test_people_of_fewer_than_four_joints_are_dropped():
    person = np.full((18, 2), np.nan)
    for count, name in enumerate(("right shoulder", "right elbow", "right wrist", "neck"), start=1):
        person[JOINTS.index(name)] = figure(80, 10, 140)[JOINTS.index(name)]
        _, found = decoded([person])
        assert found.sum() == (count if count >= 4 else 0)


def test_weak_people_are_dropped():
    fields, heat = ideal_maps([figure(80, 10, 140)], SIZE, SIZE)
    strong, weak = (
        decode(torch.from_numpy(share * fields)[None], torch.from_numpy(share * heat[:18])[None], RULE)[1]
        for share in (0.5, 0.19)
    )
    assert strong.all() and not weak.any()


def test_empty_and_not_finite_maps_hold_nobody():
    for value in (0.0, float("nan")):
        positions, found = decode(
            torch.full((2, 38, 20, 24), value), torch.full((2, 18, 20, 24), value), RULE
        )
        assert (positions == -1).all() and not found.any()


def test_peaks_and_limb_scores_equal_a_loop_over_pixels():
    generator = np.random.default_rng(0)
    maps = torch.from_numpy(generator.normal(size=(2, 3, 37, 50)).astype(np.float32) * 3)
    for frame, peaks in zip(maps.numpy(), find_peaks(maps, RULE), strict=True):
        for heat, found in zip(frame, peaks, strict=True):
            plain = plain_peaks(heat, RULE.peak)
            assert [tuple(place) for place in found.positions.tolist()] == plain and len(plain) > 3
            assert found.heat.tolist() == [heat[y, x] for x, y in plain]
    first = np.array([(3, 5), (20, 30), (49, 0), (10, 10)])
    second = np.array([(3, 5), (49, 36), (0, 36), (12, 13), (25, 5)])
    field = (generator.normal(size=(2, 37, 50)) * 0.2 + 0.6).astype(np.float32)
    plain = [[plain_limb_score(a, b, field) for b in second] for a in first]
    assert 3 < np.count_nonzero(plain) < 15
    np.testing.assert_allclose(limb_scores(first, second, field, RULE), plain, atol=1e-6)


def test_equal_neighbours_are_one_peak():
    heat = torch.zeros(1, 1, 40, 40)
    heat[..., 10:12, 20:22] = 4.0
    ((peaks,),) = find_peaks(heat, RULE)
    assert len(peaks.positions) == 1


# --- scales and mirror images


def test_averaged_maps_equal_opencv_frame_by_frame(network):
    # 90 x 117 at these scales needs padding on both axes, on one, and shrinks as well as enlarges.
    frames = noise(2, 90, 117)
    scales = (0.12, 0.2, 0.3)
    fields, heat = evaluator(network, scales).averaged_maps(frames)
    with torch.no_grad():
        plain = [plain_maps(network, frame, scales) for frame in frames]
    for ours, theirs in ((fields, [one[0] for one in plain]), (heat, [one[1] for one in plain])):
        theirs = np.stack(theirs)
        # OpenCV rounds its cubic coefficients differently.
        assert np.abs(ours.numpy() - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_enlarging_constant_maps_keeps_them():
    for cells, size, side in ((5, 37, 64), (12, 95, 64), (3, 17, 9)):
        torch.testing.assert_close(
            enlarging_matrix(cells, size, side).sum(dim=1), torch.ones(side), rtol=0, atol=1e-5
        )


def test_swapping_sides_twice_changes_nothing():
    maps = noise(1, 4, 4).repeat(1, 20, 1, 1)[:, :56] + torch.arange(56.0).view(1, 56, 1, 1)
    assert torch.equal(swap_sides(swap_sides(maps)), maps)
    assert [int(value) for value in swap_sides(maps)[0, 38:, 0, 0]] == [38 + joint for joint in MIRRORED]


def test_ideal_maps_of_a_mirrored_figure_are_swapped_and_flipped():
    person = figure(60, 10, 140)
    maps, other = (
        torch.from_numpy(np.concatenate(ideal_maps([one], SIZE, SIZE))[None, :56])
        for one in (person, mirrored(person, SIZE))
    )
    torch.testing.assert_close(swap_sides(other.flip(-1)), maps, rtol=0, atol=1e-6)


def test_a_mirrored_frame_gives_the_mirrored_maps(network):
    measured = evaluator(network)
    frames = noise(2, 72, 85)
    maps = torch.cat(measured.averaged_maps(frames), dim=1)
    other = torch.cat(measured.averaged_maps(frames.flip(-1)), dim=1)
    torch.testing.assert_close(swap_sides(other.flip(-1)), maps, rtol=0, atol=1e-5 * float(maps.abs().max()))


class DrawnNetwork(torch.nn.Module):
    """Gives ideal maps of a figure in a frame of that size; mirrored where the image is bright on its left."""

    def __init__(self, person: np.ndarray, height: int, width: int) -> None:
        super().__init__()
        self.person, self.height, self.width = person, height, width
        self.images = 0

    def forward(self, images):
        rows, columns = images.shape[-2:]
        enlargement = rows / self.height
        maps = []
        for image in images:
            person = mirrored(self.person, self.width) if image[0, 0, 0] > 0 else self.person
            shown = (person + 0.5) * enlargement - 0.5
            maps.append(ideal_maps([shown], rows // 8, columns // 8, cell=8, spread=7))
        self.images += len(images)
        fields, heat = (torch.from_numpy(np.stack(parts)) for parts in zip(*maps, strict=True))
        return fields, heat


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5, 2.0)], ids=["single", "four"])
@pytest.mark.parametrize("flipped", [False, True], ids=["straight", "mirrored"])
def test_joints_come_back_in_pixels_of_the_frame_from_any_scales(scales, flipped):
    # 210 columns are no multiple of 8 at any of the scales: the maps are wider than the frame.
    person = figure(100, 20, 210)
    drawn = DrawnNetwork(person, 256, 210)
    frames = torch.zeros(2, 3, 256, 210)
    frames[..., 105:] = 1
    frames = frames.flip(-1) if flipped else frames
    features = evaluator(drawn, scales)(frames)
    assert features.positions.dtype == torch.float32 and features.found.dtype == torch.bool
    assert features.found.all()
    assert drawn.images == 4 * len(scales)
    expected = mirrored(person, 210) if flipped else person
    assert np.abs(features.positions.numpy() - expected).max() <= 1


def test_the_batch_does_not_change_the_joints(network, monkeypatch):
    # Fields of random weights hold no whole person: two joints and any support are enough here.
    loose = DecodingRule(peak=-10.0, sample=-10.0, limb_length=10.0, fewest_joints=2, person_score=-10.0)
    measured = BodyPoseEvaluator(network, SMALL, "rtpose", loose, "test")
    frames = noise(5, 48, 61)
    together = measured(frames)
    monkeypatch.setattr(body_pose, "FRAMES", 2)
    monkeypatch.setattr(body_pose, "IMAGES", {"cpu": 0})
    for other in ([measured(frames)], [measured(frame[None]) for frame in frames]):
        assert together.found.float().mean() > 0.3
        assert torch.equal(together.found, torch.cat([part.found for part in other]))
        assert torch.equal(together.positions, torch.cat([part.positions for part in other]))


def test_scales_and_preprocessing_change_the_maps(network):
    frames = noise(1, 64, 64)
    base = evaluator(network).averaged_maps(frames)[1]
    for other in (evaluator(network, SMALL[:1]), evaluator(network, SMALL, "vgg")):
        assert (other.averaged_maps(frames)[1] - base).abs().max() > 1e-3


def test_preprocessing_follows_its_rule():
    red = torch.tensor([1.0, 0.0, 0.5]).view(1, 3, 1, 1)
    torch.testing.assert_close(
        body_pose.rtpose_input(red).flatten(), torch.tensor([127.5 / 256 - 0.5, -0.5, 255 / 256 - 0.5])
    )
    torch.testing.assert_close(
        body_pose.vgg_input(red).flatten(),
        torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, (0.5 - 0.406) / 0.225]),
    )


# --- build


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def built(**changed) -> BodyPoseEvaluator:
    return build(device=torch.device("cpu"), **{**CARD["params"], **changed})


def test_missing_weights_say_how_to_get_them_by_hand(store):
    with pytest.raises(
        WeightsMissingError,
        match=r"weights missing: .* save .* pose_model\.pth, then run: benchbed weights add",
    ):
        built()


def test_the_card_builds_the_evaluator_from_a_stand_in_file(store, tensors):
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, store / "pose_model.pth")
    weights.add(store / "pose_model.pth", "body-pose", unverified=True)
    whole, single = built(), built(scales=[1.0])
    assert whole.scales == (0.5, 1.0, 1.5, 2.0)
    assert whole.rule == DecodingRule()
    assert whole.fingerprint.startswith("body-pose:") and whole.fingerprint.endswith(":1")
    assert whole.fingerprint != single.fingerprint
    assert not any(parameter.requires_grad for parameter in whole.parameters())


def test_a_file_of_another_network_is_refused(store):
    torch.save(PoseNetwork().model1_1.state_dict(), store / "pose_model.pth")
    weights.add(store / "pose_model.pth", "body-pose", unverified=True)
    with pytest.raises(CheckpointError, match="do not fit the 18-point OpenPose network"):
        built()


@pytest.mark.parametrize("changed", [{"scales": []}, {"scales": [0.5, 0.0]}, {"preprocessing": "caffe"}])
def test_impossible_params_are_refused(changed):
    with pytest.raises(BenchbedError, match="of body-pose"):
        built(**changed)
