"""Monkey-Net: official configurations, weights files, key points with spread, batches, transfer."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import FramePair, TrainingRequest
from benchbed.methods.blocks.grids import coordinate_grid
from benchbed.methods.monkeynet.checkpoint import inference_networks
from benchbed.methods.monkeynet.config import EmbeddingConfig, monkeynet_config
from benchbed.methods.monkeynet.discriminator import Discriminator
from benchbed.methods.monkeynet.frame_convolution import FrameConvolution
from benchbed.methods.monkeynet.keypoints import SpreadKeypoints, clipped_covariance, positive_part
from benchbed.methods.monkeynet.method import MonkeyNet, build, size_multiple
from benchbed.methods.monkeynet.movement_embedding import MovementEmbedding
from benchbed.methods.monkeynet.official import DATASETS, OFFICIAL_FILES, official, official_names
from benchbed.methods.monkeynet.presets import PRESETS
from benchbed.methods.monkeynet.training import MonkeyNetTraining, build_training

from .released import (
    OPTIMIZER,
    check_batch,
    check_same_frames,
    check_wrong_transfers,
    frames,
    on_meta,
    write_own,
    write_released,
)

HOURGLASS = {"block_expansion": 4, "max_features": 8, "num_blocks": 2}
HEATMAPS = {"use_heatmap": True, "heatmap_type": "difference", "norm_const": 10}
SMALL: dict[str, Any] = {
    "resolution": 32,
    "model_params": {
        "common_params": {"num_kp": 4, "kp_variance": "matrix", "num_channels": 3},
        "kp_detector_params": {**HOURGLASS, "temperature": 0.1, "scale_factor": 0.5, "clip_variance": 0.001},
        "generator_params": {
            **HOURGLASS,
            "num_refinement_blocks": 1,
            "dense_motion_params": {
                **HOURGLASS,
                "scale_factor": 0.5,
                "mask_embedding_params": {**HEATMAPS, "use_deformed_source_image": True},
            },
            "kp_embedding_params": {**HEATMAPS, "scale_factor": 0.5},
        },
    },
}


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def published(**changes: Any) -> dict[str, Any]:
    """The small configuration with changed words of ours or of `generator_params`."""
    words = copy.deepcopy(SMALL)
    for name, value in changes.items():
        place = words if name in ("align_corners", "transfer") else words["model_params"]["generator_params"]
        place[name] = value
    return words


def small_method(seed: int = 0, **changes: Any) -> MonkeyNet:
    torch.manual_seed(seed)
    method = MonkeyNet(monkeynet_config(published(**changes))).eval()
    if method.generator.dense_motion_module is not None:
        # Without this a fresh motion module moves nothing.
        nn.init.normal_(method.generator.dense_motion_module.hourglass.decoder.conv.weight, std=0.1)
    return method


def released(path: Path, name: str) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    networks = on_meta(inference_networks, monkeynet_config(official(name)))
    return write_released(
        path,
        networks,
        discriminator={"conv.bias": torch.zeros(1)},
        optimizer_kp_detector=OPTIMIZER,
        epoch=749,
        it=12,
    )


@pytest.fixture(scope="module")
def nemo_file(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("official") / "nemo.pth.tar", "nemo")


def test_official_configurations_have_the_published_parameter_counts():
    generators = {"taichi": 28_528_571, "moving-gif": 52_235_653, "vox": 80_629_691, "vox-full": 80_629_691}
    for name, expected in generators.items():
        config = monkeynet_config(official(name))
        networks = on_meta(inference_networks, config)
        assert config.discriminator is not None
        with torch.device("meta"):
            networks["discriminator"] = Discriminator(config.discriminator)
        counts = {key: sum(p.numel() for p in network.parameters()) for key, network in networks.items()}
        assert counts == {"generator": expected, "discriminator": 1_719_489, "kp_detector": 14_132_728}


def test_official_sizes_can_be_halved_as_often_as_the_networks_do():
    for name in official_names():
        config = monkeynet_config(official(name))
        assert config.resolution is not None
        assert config.resolution[0] % size_multiple(config) == 0


def test_files_and_datasets_name_official_configurations():
    assert set(OFFICIAL_FILES.values()) <= set(official_names()) == set(DATASETS)
    config = monkeynet_config(official("taichi+aligned+adapted+clipped+adapted-variance"))
    assert config.align_corners and config.generator.align_corners
    assert config.generator.dense_motion is not None
    assert config.generator.dense_motion.mask_embedding.align_corners
    transfer = config.transfer
    assert transfer.movement_mult and transfer.clip_mean and transfer.adapt_variance
    for name in ("tai-chi", "taichi+avd"):
        with pytest.raises(UnknownNameError, match="known: taichi, nemo"):
            official(name)


def test_a_missing_file_says_which_files_would_do():
    with pytest.raises(WeightsMissingError, match=r"moving-gif-ckp\.pth\.tar"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_needs_its_configuration_where_several_have_its_tensors(nemo_file):
    with pytest.raises(CheckpointError, match="fits nemo, bair, actions, which compute differently"):
        build(checkpoint=nemo_file, configuration=None)
    method = build(checkpoint=nemo_file, configuration="bair+aligned")
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("unknown", (64, 64))
    assert method.conventions["configuration"] == "bair+aligned"
    assert method.conventions["align_corners"] == "true"


def test_the_released_file_is_known_by_its_name(tmp_path):
    path = released(tmp_path / "moving-gif-ckp.pth.tar", "moving-gif")
    method = build(checkpoint=path, configuration=None)
    assert (method.trained_on, method.resolution) == ("mgif", (128, 128))
    assert method.conventions["configuration"] == "moving-gif"


def test_the_wrong_configuration_is_refused_with_the_tensors_and_one_that_fits(nemo_file):
    with pytest.raises(CheckpointError, match=r"misshapen \(generator\.appearance_encoder.*they fit 'nemo'"):
        build(checkpoint=nemo_file, configuration="taichi")


def test_our_file_carries_its_configuration_and_names_misshapen_tensors(tmp_path):
    method = small_method()
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), SMALL), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    name = "generator.refinement_module.conv-last.bias"
    path = write_own(tmp_path, method.state_dict(), SMALL, **{name: torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.refinement_module\.conv-last\.bias"):
        build(checkpoint=path, configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
@pytest.mark.parametrize("options", [{}, {"movement_mult": True, "clip_mean": True, "adapt_variance": True}])
def test_a_batch_equals_frame_by_frame(transfer, options):
    method, driving = small_method(transfer=options), frames(5, seed=2)
    encoding = method.encode(frames(1))
    call = {"initial_driving": driving[:1], "transfer": transfer}
    check_batch(method, encoding, driving, **call)


def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose():
    initial = frames(1, seed=3)
    call = {"initial_driving": initial, "transfer": "relative"}
    method = small_method(transfer={"adapt_variance": True})
    encoding = method.encode(frames(1))
    points = method.driving_keypoints(encoding, initial, **call)
    assert torch.allclose(points.value, encoding.keypoints.value, atol=1e-6)
    # 1e-5: an inverse in float32
    assert torch.allclose(points.covar, encoding.keypoints.covar, atol=1e-5)
    method = small_method()
    points = method.driving_keypoints(method.encode(frames(1)), initial, **call)
    # Without adapting it the driving frame's own spread is kept.
    assert torch.equal(points.covar, method.kp_detector(initial).covar)


def test_a_generator_without_motion_or_embedding_leaves_the_source_in_place():
    method = small_method(dense_motion_params=None, kp_embedding_params=None, align_corners=True)
    source = frames(1)
    generation = method.generate(method.encode(source), method.kp_detector(frames(2, seed=1)))
    # 1e-6: float noise of bilinear weights
    assert torch.allclose(generation.deformed, source.expand(2, -1, -1, -1), atol=1e-6)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "monkeynet", frames(1))
    with pytest.raises(BenchbedError, match="multiples of 8"):
        method.encode(frames(1, size=30))
    with pytest.raises(BenchbedError, match="lacks 'model_params'"):
        monkeynet_config({})
    with pytest.raises(BenchbedError, match="unknown interpolation_mode 'cubic'; known: nearest"):
        monkeynet_config(published(interpolation_mode="cubic"))


def test_a_frame_convolution_is_the_published_one_of_single_frames():
    torch.manual_seed(0)
    ours = FrameConvolution(4, 6, 3, padding=1, groups=2)
    theirs = nn.Conv3d(4, 6, (1, 3, 3), padding=(0, 1, 1), groups=2)
    theirs.load_state_dict(ours.state_dict())
    clips = seeded(2, 4, 3, 8, 6)
    expected = theirs(clips).transpose(1, 2).flatten(0, 1)
    # 1e-6: sums in another order
    assert torch.allclose(ours(clips.transpose(1, 2).flatten(0, 1)), expected, atol=1e-6)


def test_a_clipped_covariance_keeps_its_shape_and_reaches_the_smallest_singular_value():
    roots = seeded(50, 2, 2).double()
    covar = roots @ roots.mT
    clipped = clipped_covariance(covar, 0.5)
    smallest = torch.linalg.svdvals(clipped)[:, 1]
    assert torch.allclose(smallest, torch.linalg.svdvals(covar)[:, 1].clamp_min(0.5))
    assert torch.allclose(clipped / clipped[:, :1, :1], covar / covar[:, :1, :1])


@pytest.mark.parametrize("kind", ["matrix", "single"])
def test_a_detector_gives_every_point_a_spread_of_its_kind(kind):
    words = published()
    words["model_params"]["common_params"]["kp_variance"] = kind
    torch.manual_seed(0)
    found = MonkeyNet(monkeynet_config(words)).eval().kp_detector(frames(2))
    assert found.covar is not None
    isotropic = found.covar[..., :1, :1] * torch.eye(2)
    assert torch.equal(found.covar, isotropic) == (kind == "single")
    assert torch.linalg.det(found.covar).gt(0).all()


def test_a_fixed_spread_needs_no_covariance():
    words = published(transfer={"adapt_variance": True})
    words["model_params"]["common_params"]["kp_variance"] = 0.02
    torch.manual_seed(0)
    method = MonkeyNet(monkeynet_config(words)).eval()
    encoding, driving = method.encode(frames(1)), frames(2, seed=1)
    assert encoding.keypoints.covar is None
    generated = method.animate(encoding, driving, initial_driving=driving[:1], transfer="relative")
    assert generated.shape == (2, 3, 32, 32)


def test_the_positive_part_equals_an_eigendecomposition_with_tiny_eigenvalues_put_in():
    matrices = seeded(50, 2, 2, seed=1).double()
    values, axes = torch.linalg.eigh((matrices + matrices.mT) / 2)
    assert (values <= 0).any()
    expected = axes @ torch.diag_embed(torch.where(values > 0, values, 1e-6)) @ axes.mT
    assert torch.allclose(positive_part(matrices), expected)
    assert torch.equal(positive_part(torch.eye(2) * 0.3), torch.eye(2) * 0.3)


def test_an_embedding_puts_heat_difference_and_warped_source_of_each_component_together():
    config = EmbeddingConfig(
        num_kp=1,
        num_channels=3,
        kp_variance=0.01,
        use_difference=True,
        use_deformed_source_image=True,
        add_bg_feature_map=True,
        align_corners=True,
    )
    image = frames(1, size=9)
    grid = coordinate_grid(9, 9, like=image)
    # From the driving point, two pixels to the right in the source.
    driving, source = grid[4, 3].view(1, 1, 2), grid[4, 5].view(1, 1, 2)
    embedding = MovementEmbedding(config)(image, SpreadKeypoints(source), SpreadKeypoints(driving))
    assert embedding.shape == (1, config.out_channels, 9, 9) == (1, 12, 9, 9)
    background, point = embedding[0, :6], embedding[0, 6:]
    assert background[:3].eq(0).all()
    # 1e-6: float noise of bilinear weights
    assert torch.allclose(background[3:], image[0], atol=1e-6)
    assert point[0].sum().item() == pytest.approx(1)
    assert point[0].argmax().item() == 4 * 9 + 3
    assert torch.allclose(point[1], torch.tensor(0.5)) and point[2].eq(0).all()
    assert torch.allclose(point[3:, :, :7], image[0, :, :, 2:], atol=1e-6)


class Identity(nn.Module):
    """A perceptual network of one tap."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image]


def test_training_starts_from_the_warped_source_and_compares_both_images_with_the_driving_frame():
    torch.manual_seed(0)
    task = build_training(TrainingRequest("tiny", Identity(), None, 40))
    source, driving = 0.4 + 0.2 * frames(2, size=64), 0.4 + 0.2 * frames(2, size=64, seed=1)
    made = task.model.reconstruct(source, driving)
    # colours near grey; the sigmoid bends the others, and zeros come in at the border
    inside = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(made.prediction[inside], made.deformed[inside], atol=2e-3)
    losses = task.model.losses(source, driving, made)
    assert losses.keys() == {"reconstruction", "reconstruction_deformed"}
    own, of_deformed = ((one - driving).abs().mean() for one in (made.prediction, made.deformed))
    preset = task.model.preset
    assert torch.allclose(losses["reconstruction"], preset.reconstruction * own)
    assert torch.allclose(losses["reconstruction_deformed"], preset.reconstruction_deformed * of_deformed)


def adversarial(**changes: Any) -> MonkeyNetTraining:
    """A small training with the published adversary, weights and without a perceptual loss."""
    judge = {
        "kp_embedding_params": {"norm_const": 10},
        "block_expansion": 4,
        "max_features": 8,
        "num_blocks": 2,
    }
    preset, words = PRESETS["paper"]().resized(32, 10), published()
    words["model_params"]["discriminator_params"] = judge
    torch.manual_seed(0)
    return MonkeyNetTraining(replace(preset, published=words, features=(10.0, 1.0), **changes), nn.Identity())


def test_the_discriminator_compares_images_and_its_blocks_and_gives_key_points_their_gradient():
    task, source, driving = adversarial(), frames(2), frames(2, seed=1)
    made = task.reconstruct(FramePair(source, driving))
    losses = task.adversarial_losses(driving, made)
    judge = task.networks["discriminator"]
    real, fake = (judge(image, made.of_source, made.of_driving) for image in (driving, made.prediction))
    pairs = zip((10, 10, 1), (driving, *real.features), (made.prediction, *fake.features), strict=True)
    expected = sum(weight * (one - other).abs().mean().item() for weight, one, other in pairs)
    assert losses["reconstruction"].item() == pytest.approx(expected, rel=1e-4)
    assert losses["generator_gan"].item() == pytest.approx((1 - fake.scores).square().mean().item(), rel=1e-4)
    # through the maps that the discriminator sees beside the real image, too
    (gradient,) = torch.autograd.grad(real.scores.sum(), made.of_driving.value, retain_graph=True)
    assert gradient.abs().sum() > 0


def test_the_discriminators_own_loss_reaches_it_alone():
    task, source, driving = adversarial(), frames(2), frames(2, seed=1)
    made = task.reconstruct(FramePair(source, driving))
    loss = task.discriminator_loss(driving, made)
    assert loss is not None
    loss.backward()
    reached = {
        name.split(".")[0] for name, value in task.networks.named_parameters() if value.grad is not None
    }
    assert reached == {"discriminator"}
    losses = task.step(FramePair(source, driving), task.optimizers(), lambda loss: loss.backward())
    assert set(losses) == {"total", "reconstruction", "generator_gan", "discriminator_gan"}


def test_adversarial_training_without_a_discriminator_in_the_words_is_refused():
    preset = replace(PRESETS["paper"]().resized(32, 10), published=published())
    with pytest.raises(BenchbedError, match="needs discriminator_params"):
        MonkeyNetTraining(preset, nn.Identity())
