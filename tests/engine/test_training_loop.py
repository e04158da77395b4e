"""The training loop: pairs, resuming, exported weights, broken losses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch import nn

from benchbed.errors import BenchbedError, CheckpointError
from benchbed.interfaces.dataset import Clip
from benchbed.interfaces.training import FramePair, TrainingSchedule
from benchbed.training.loop import TrainingRun, train
from benchbed.training.pairs import PairBatches, jitter
from benchbed.training.perceptual import Vgg19Features
from benchbed.training.samples import sample_grid
from benchbed.training.start import start_from
from benchbed.weights import load_tensors, sha256_of, write_tensors

SIDE = 8


class TinyDataset:
    """Six clips of three identities; the pixel (0, 0) of a frame tells its clip and number."""

    name, domain, resolution, decoder, fingerprint = "tiny", "other", (SIDE, SIDE), "drawn", "f" * 64
    notes: tuple[str, ...] = ()

    def clips(self, split: str) -> list[Clip]:
        if split != "train":
            raise BenchbedError(f"no split '{split}'")
        return [Clip(f"c{i}", f"person{i % 3}", "other") for i in range(6)]

    def clip(self, clip_id: str) -> Clip:
        return next(clip for clip in self.clips("train") if clip.id == clip_id)

    def frames(self, clip_id: str) -> torch.Tensor:
        number = int(clip_id[1:])
        frames = np.random.default_rng(number).integers(0, 256, (5, 3, SIDE, SIDE), dtype=np.uint8)
        frames[:, 0, 0, 0] = np.arange(5)
        frames[:, 1, 0, 0] = number
        return torch.from_numpy(frames)

    def keypoints(self, clip_id: str) -> None:
        return None


class TinyTask:
    """A convolution with batch norm and dropout, so that buffers and random draws matter when resuming."""

    frozen: tuple[str, ...] = ()

    def __init__(self, steps: int = 6, *, broken_at: int | None = None, **schedule) -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 3, 1)
        )
        self.networks = nn.ModuleDict({"generator": layers, "critic": nn.Conv2d(3, 1, 3)})
        self.schedule = TrainingSchedule(resolution=SIDE, batch_size=2, steps=steps, **schedule)
        self.broken_at, self.calls = broken_at, 0

    def optimizers(self):
        return {
            name: torch.optim.Adam(network.parameters(), lr=1e-2) for name, network in self.networks.items()
        }

    def schedulers(self, optimizers):
        return [torch.optim.lr_scheduler.MultiStepLR(o, milestones=[2, 4]) for o in optimizers.values()]

    def step(self, pair: FramePair, optimizers, backward):
        self.calls += 1
        generated = self.networks["generator"](pair.source)
        loss = (generated - pair.driving).abs().mean() + self.networks["critic"](generated).square().mean()
        if self.calls == self.broken_at:
            loss = loss * float("nan")
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        backward(loss)
        for optimizer in optimizers.values():
            optimizer.step()
        return {"total": loss.detach(), "half": loss.detach() / 2}

    def sample(self, pair: FramePair):
        self.networks.eval()
        return self.networks["generator"](pair.source).clamp(0, 1)

    def export(self):
        tensors = dict(self.networks["generator"].state_dict())
        return {**tensors, "large": torch.tensor([1e6])}, {"configuration": json.dumps({"name": "tiny"})}


def run(**changes) -> TrainingRun:
    return TrainingRun(
        "tiny", **{"device": "cpu", "log_every": 1, "sample_every": 3, "command": "benchbed train", **changes}
    )


def state(task: TinyTask) -> dict[str, torch.Tensor]:
    return dict(task.networks.state_dict())


@pytest.mark.parametrize(("log_every", "left"), [(1, [4, 5, 6]), (2, [4, 6])])
def test_resumed_training_gives_bit_equal_weights_and_the_same_rows_of_losses(
    tmp_path: Path, log_every: int, left: list[int]
) -> None:
    whole, first, second = TinyTask(), TinyTask(), TinyTask()
    train(whole, TinyDataset(), run(log_every=log_every), out=tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill_after_three(progress) -> None:
        if progress.step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(
            first,
            TinyDataset(),
            run(save_every=0, log_every=log_every),
            out=tmp_path / "parts",
            progress=kill_after_three,
        )
    seen: list[int] = []
    again = run(log_every=log_every)
    train(second, TinyDataset(), again, out=tmp_path / "parts", progress=lambda p: seen.append(p.step))
    assert seen == left
    for name, tensor in state(whole).items():
        assert torch.equal(tensor, state(second)[name]), name
    assert (tmp_path / "whole/losses.csv").read_text() == (tmp_path / "parts/losses.csv").read_text()


def test_finished_training_called_again_trains_no_more(tmp_path: Path) -> None:
    train(TinyTask(), TinyDataset(), run(), out=tmp_path)
    before = (tmp_path / "tiny.safetensors").read_bytes()
    again = TinyTask()
    result = train(again, TinyDataset(), run(), out=tmp_path)
    assert again.calls == 0 and result.step == 6
    assert (tmp_path / "tiny.safetensors").read_bytes() == before


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    train(TinyTask(), TinyDataset(), run(), out=tmp_path)
    with pytest.raises(CheckpointError, match=r"another seed \(0 instead of 1\)"):
        train(TinyTask(), TinyDataset(), run(seed=1), out=tmp_path)
    with pytest.raises(CheckpointError, match=r"another steps \(6 instead of 7\)"):
        train(TinyTask(steps=7), TinyDataset(), run(), out=tmp_path)
    result = train(TinyTask(), TinyDataset(), run(seed=1), out=tmp_path, resume=False)
    assert result.step == 6


def test_a_training_starts_from_what_fits_of_a_file_and_says_from_what(tmp_path: Path) -> None:
    given = {
        "generator.0.bias": torch.full((4,), 2.0),
        "generator.3.bias": torch.zeros(5),
        "critic.other": torch.zeros(1),
    }
    path = tmp_path / "start.safetensors"
    write_tensors(path, given, {"method": "base"})
    task = TinyTask()
    before = {name: value.clone() for name, value in state(task).items()}
    label = start_from(task.networks, path)
    assert label == f"base sha256 {sha256_of(path)}, 1 of {len(before)} tensors"
    changed = [name for name, value in state(task).items() if not torch.equal(value, before[name])]
    assert changed == ["generator.0.bias"]
    assert task.networks["generator"][0].bias.tolist() == [2.0] * 4
    train(task, TinyDataset(), run(start=label), out=tmp_path / "out")
    metadata = load_tensors(tmp_path / "out" / "tiny.safetensors").metadata
    assert metadata["start"] == label and str(tmp_path) not in metadata["start"]
    with pytest.raises(CheckpointError, match="another start"):
        train(TinyTask(), TinyDataset(), run(), out=tmp_path / "out")


def test_a_file_that_shares_no_tensor_is_no_start(tmp_path: Path) -> None:
    write_tensors(tmp_path / "other.safetensors", {"layer.weight": torch.zeros(2)}, {})
    with pytest.raises(BenchbedError, match="no tensor of a name and shape that is to be trained"):
        start_from(TinyTask().networks, tmp_path / "other.safetensors")


def test_a_random_start_is_not_recorded(tmp_path: Path) -> None:
    train(TinyTask(), TinyDataset(), run(), out=tmp_path)
    assert "start" not in load_tensors(tmp_path / "tiny.safetensors").metadata


def test_damaged_checkpoint_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="--fresh"):
        train(TinyTask(), TinyDataset(), run(), out=tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(BenchbedError, match=r"loss 'total' is not finite at step 5"):
        train(TinyTask(broken_at=5), TinyDataset(), run(save_every=0, log_every=3), out=tmp_path)
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["step"] == 3
    assert all(torch.isfinite(t).all() for t in content["networks"].values())
    assert not (tmp_path / "tiny.safetensors").exists()


def test_time_limit_stops_cleanly_and_still_exports(tmp_path: Path) -> None:
    result = train(TinyTask(steps=10_000), TinyDataset(), run(limit_minutes=0.02), out=tmp_path)
    assert 0 < result.step < 10_000
    assert result.weights.is_file()
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == result.step


def test_weights_are_half_precision_with_provenance(tmp_path: Path) -> None:
    result = train(TinyTask(), TinyDataset(), run(perceptual="vgg19"), out=tmp_path)
    with safe_open(result.weights, framework="pt") as opened:
        metadata = opened.metadata()
        assert opened.get_tensor("0.weight").dtype == torch.float16
        assert opened.get_tensor("large").dtype == torch.float32  # beyond half precision's range
    assert metadata["trained_on"] == "tiny" and metadata["trained_on_fingerprint"] == "f" * 64
    assert json.loads(metadata["configuration"]) == {"name": "tiny"}
    assert (metadata["seed"], metadata["steps"], metadata["resolution"]) == ("0", "6", "8")
    assert metadata["perceptual"] == "vgg19" and metadata["command"] == "benchbed train"
    assert set(json.loads(metadata["final_losses"])) == {"total", "half"}
    assert len(metadata["train_identities_sha256"]) == 64


def test_sample_grids_show_source_driving_generated(tmp_path: Path) -> None:
    train(TinyTask(), TinyDataset(), run(), out=tmp_path)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step-000003.png",
        "step-000006.png",
    ]
    with Image.open(tmp_path / "samples/step-000006.png") as image:
        assert image.size == (2 * 3 * SIDE, 2 * 2 * SIDE)
    black, white = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    grid = sample_grid(FramePair(black, white), black)
    assert grid.shape == (3, 4, 12) and grid[:, :, 4:8].eq(255).all() and grid[:, :, :4].eq(0).all()


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    here, elsewhere = TinyTask(), TinyTask()
    train(here, TinyDataset(), run(workers=0), out=tmp_path / "0")
    train(elsewhere, TinyDataset(), run(workers=1, memory_budget=0), out=tmp_path / "1")
    assert all(torch.equal(tensor, state(elsewhere)[name]) for name, tensor in state(here).items())


def test_unwritable_folder_and_unknown_names_get_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchbedError, match="cannot be written"):
        train(TinyTask(), TinyDataset(), run(), out=tmp_path / "file" / "out")
    with pytest.raises(BenchbedError, match="precision 'fp8'"):
        train(TinyTask(), TinyDataset(), run(precision="fp8"), out=tmp_path)
    with pytest.raises(BenchbedError, match="device 'tpu'"):
        train(TinyTask(), TinyDataset(), run(device="tpu"), out=tmp_path)


def batches(**schedule) -> PairBatches:
    settings = TrainingSchedule(**{"resolution": SIDE, "batch_size": 3, "steps": 400, **schedule})
    return PairBatches(TinyDataset(), settings, split="train", seed=5)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    forward, backward = batches(), batches()
    ahead = [forward[step] for step in range(4)]
    behind = [backward[step] for step in reversed(range(4))][::-1]
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(ahead, behind, strict=True))
    other = PairBatches(TinyDataset(), TrainingSchedule(SIDE, 3, 400), split="train", seed=6)
    assert not torch.equal(other[0].frames, ahead[0].frames)


def test_every_clip_comes_once_per_epoch_and_pairs_are_sorted() -> None:
    drawn = [draw for step in range(20) for draw in batches().draws(step)]
    assert set(Counter(draw.clip for draw in drawn).values()) == {10}  # 60 pairs over 6 clips
    assert all(draw.first <= draw.second for draw in drawn)
    assert any(draw.first == draw.second for draw in drawn)  # with replacement


def test_id_sampling_draws_every_identity_equally_often() -> None:
    drawn = [draw for step in range(40) for draw in batches(id_sampling=True).draws(step)]
    assert set(Counter(int(draw.clip[1:]) % 3 for draw in drawn).values()) == {40}
    assert len({draw.clip for draw in drawn}) == 6


def test_pairs_are_reversed_or_mirrored_or_left_and_never_both() -> None:
    sampler, seen = batches(), Counter()
    for step in range(100):
        for draw, pair in zip(sampler.draws(step), sampler[step].frames.unbind(1), strict=True):
            clip = TinyDataset().frames(draw.clip)
            plain = clip[[draw.first, draw.second]]
            if draw.first == draw.second:
                continue
            if torch.equal(pair, plain):
                seen["left"] += 1
            elif torch.equal(pair, plain.flip(0)):
                seen["reversed"] += 1
            elif torch.equal(pair, plain.flip(-1)):
                seen["mirrored"] += 1
            else:
                seen["other"] += 1
    total = sum(seen.values())
    assert seen["other"] == 0
    # 240 pairs: 0.5 / 0.25 / 0.25 within four standard deviations
    assert abs(seen["reversed"] / total - 0.5) < 0.13
    assert abs(seen["mirrored"] / total - 0.25) < 0.12


@pytest.mark.parametrize("field", ["time_flip", "horizontal_flip"])
def test_a_flip_that_is_switched_off_never_happens(field: str) -> None:
    sampler = batches(**{field: False})
    for step in range(30):
        for draw, pair in zip(sampler.draws(step), sampler[step].frames.unbind(1), strict=True):
            plain = TinyDataset().frames(draw.clip)[[draw.first, draw.second]]
            changed = plain.flip(0) if field == "time_flip" else plain.flip(-1)
            assert draw.first == draw.second or not torch.equal(pair, changed)


def test_further_views_are_other_frames_of_the_same_clip_and_mirrored_as_the_pair_is() -> None:
    sampler, mirrored = batches(references=2), 0
    for step in range(20):
        for draw, views in zip(sampler.draws(step), sampler[step].frames.unbind(1), strict=True):
            clip = TinyDataset().frames(draw.clip)
            assert len({*draw.references} - {draw.first, draw.second}) == 2
            plain = clip[list(draw.references)]
            as_pair = torch.equal(views[2:], plain)
            mirrored += not as_pair
            assert as_pair or (torch.equal(views[2:], plain.flip(-1)))
            assert as_pair or torch.equal(views[:2], clip[[draw.first, draw.second]].flip(-1))
    assert mirrored


def test_a_clip_shorter_than_the_views_wanted_repeats_them() -> None:
    (draw, *_) = batches(references=6).draws(0)
    assert len(draw.references) == 6 and not {*draw.references} & {draw.first, draw.second}


def test_a_batch_tells_the_identities_and_leaves_the_pairs_as_they_are_without_further_views() -> None:
    plain, with_views = batches(), batches(references=1)
    for step in range(5):
        batch = plain[step]
        assert batch.frames.shape == (2, 3, 3, SIDE, SIDE)
        assert with_views[step].frames.shape == (3, 3, 3, SIDE, SIDE)
        expected = [int(draw.clip[1:]) % 3 for draw in plain.draws(step)]
        assert batch.identity.tolist() == expected


def test_jitter_changes_both_frames_alike() -> None:
    frame = TinyDataset().frames("c1")[:1]
    jittered = jitter(frame.repeat(2, 1, 1, 1), (0.3, 0.3, 0.3, 0.2), np.random.default_rng(0))
    assert torch.equal(jittered[0], jittered[1]) and not torch.equal(jittered[:1], frame)


@pytest.mark.parametrize("place", range(4), ids=["brightness", "contrast", "saturation", "hue"])
def test_jitter_is_that_of_tensors_up_to_rounding(place: int) -> None:
    from torchvision.transforms import functional

    coarse = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    frames = (255 * torch.nn.functional.interpolate(coarse, size=32, mode="bilinear")).byte()
    ranges = tuple(0.3 if index == place else 0.0 for index in range(4))
    generator = np.random.default_rng(10)
    factors = [generator.uniform(1 - r, 1 + r) for r in ranges[:3]]
    factors.append(generator.uniform(-ranges[3], ranges[3]))
    names = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
    expected = getattr(functional, names[place])(frames, factors[place])
    made = jitter(frames, ranges, np.random.default_rng(10))
    assert (expected.int() - frames.int()).abs().float().mean() > 4
    precise = jitter(frames / 255, ranges, np.random.default_rng(10))
    assert torch.allclose(precise, getattr(functional, names[place])(frames / 255, factors[place]))
    # hue goes through eight bits
    assert (made.int() - expected.int()).abs().max() <= (8 if place == 3 else 1)


def test_a_dataset_of_another_size_is_refused() -> None:
    with pytest.raises(BenchbedError, match="open the dataset at resolution 16"):
        batches(resolution=16)


def test_vgg19_taps_equal_torchvisions_layers() -> None:
    from torchvision.models import vgg19

    torch.manual_seed(0)
    judge = vgg19(weights=None).eval()
    frames = torch.rand(1, 3, 32, 32)
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    x, expected = (frames - mean) / torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1), []
    with torch.no_grad():
        for index, layer in enumerate(judge.features[:30]):
            x = layer(x)
            if index in (1, 6, 11, 20, 29):
                expected.append(x.clone())
        maps = Vgg19Features(judge.state_dict())(frames)
    assert len(maps) == 5
    for ours, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)  # same layers, float32 order of sums


def test_vgg19_with_a_missing_tensor_is_refused() -> None:
    with pytest.raises(CheckpointError, match="missing"):
        Vgg19Features({})
