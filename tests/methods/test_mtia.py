"""MTIA: official configurations, weights files, backbone, tokens, background, batches, transfer, mask losses."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchbed.errors import BenchbedError, CheckpointError, UnknownNameError, WeightsMissingError
from benchbed.interfaces.method import Method
from benchbed.interfaces.training import TrainingRequest
from benchbed.methods.mtia.checkpoint import inference_networks
from benchbed.methods.mtia.config import StageConfig, TransformerConfig, mtia_config
from benchbed.methods.mtia.hrnet import HighResolutionNetwork
from benchbed.methods.mtia.losses import background_mask_loss, mask_concentration_loss
from benchbed.methods.mtia.method import Mtia, build
from benchbed.methods.mtia.official import DATASETS, official, official_names
from benchbed.methods.mtia.presets import presets
from benchbed.methods.mtia.token_transformer import TokenTransformer, position_embedding
from benchbed.methods.mtia.training import MtiaPairs, build_training

from .released import (
    OPTIMIZER,
    check_batch,
    check_same_frames,
    check_wrong_transfers,
    on_meta,
    write_own,
    write_released,
)
from .released import frames as noise

HOURGLASS = {"block_expansion": 4, "max_features": 8, "num_blocks": 2}
SMALL: dict[str, Any] = {
    "model_params": {
        "use_bg_predictor": True,
        "common_params": {"num_kp": 4, "num_channels": 3, "estimate_jacobian": True},
        "bg_predictor_params": {**HOURGLASS, "bg_type": "affine"},
        "generator_params": {
            "block_expansion": 4,
            "max_features": 8,
            "num_down_blocks": 2,
            "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "skips": True,
            "dense_motion_params": {**HOURGLASS, "scale_factor": 0.25},
        },
    },
    "MODEL": {
        "NUM_JOINTS": 4,
        "TRANSFORMER_DEPTH": 2,
        "TRANSFORMER_HEADS": 2,
        "TRANSFORMER_MLP_RATIO": 2,
        "DIM": 8,
        "PATCH_SIZE": [4, 2],
        "IMAGE_SIZE": [48, 32],
        "EXTRA": {
            "STAGE2": {"NUM_MODULES": 1, "NUM_CHANNELS": [4, 8], "NUM_BLOCKS": [1, 1]},
            "STAGE3": {"NUM_MODULES": 2, "NUM_CHANNELS": [4, 8, 12], "NUM_BLOCKS": [1, 1, 1]},
        },
    },
}


frames = partial(noise, size=(32, 48))


def small_method(**animation: Any) -> Mtia:
    torch.manual_seed(0)
    method = Mtia(mtia_config({**SMALL, "animation": animation})).eval()
    transformer, background = method.kp_detector.transformer, method.bg_predictor
    assert background is not None
    # Fresh networks see the same points in all images, and a background that stands still.
    nn.init.normal_(transformer.patch_to_embedding.weight)
    nn.init.normal_(transformer.keypoint_token)
    nn.init.normal_(transformer.mlp_head[1].weight)
    nn.init.normal_(transformer.mlp_head_jacobian[1].weight, std=0.1)
    nn.init.normal_(background.fc.weight, std=0.1)
    return method


def released(path: Path, name: str, *, background: bool = True) -> Path:
    """A file in the released layout: nested state dicts, optimiser states, an epoch."""
    held = frozenset({"bg_predictor"}) if background else frozenset()
    networks = on_meta(inference_networks, mtia_config(official(name)), held)
    return write_released(
        path, networks, discriminator={"conv.weight": torch.zeros(3)}, optimizer_generator=OPTIMIZER
    )


@pytest.fixture(scope="module")
def taichi_file(tmp_path_factory) -> Path:
    return released(tmp_path_factory.mktemp("official") / "00000099-checkpoint.pth.tar", "taichi256")


@pytest.mark.parametrize("name", official_names())
def test_official_configurations_have_the_published_parameter_counts(name):
    config = mtia_config(official(name))
    networks = on_meta(inference_networks, config)
    expected = {"generator": 45_575_391, "kp_detector": 12_283_462}
    if name == "taichi256":
        expected["bg_predictor"] = 6_282_438
    if name == "ted384":
        # 24 x 24 patches instead of 16 x 16
        expected["kp_detector"] += (24**2 - 16**2) * 192
    assert {key: sum(p.numel() for p in part.parameters()) for key, part in networks.items()} == expected
    assert config.resolution == ((384, 384) if name == "ted384" else (256, 256))
    assert config.generator.skips == (name in ("taichi256", "voxceleb1"))
    assert name in DATASETS


def test_unknown_configurations_and_missing_files_are_answered_with_a_sentence():
    for wrong in ("vox256", "taichi256+avd", "taichi256+background+still-background"):
        with pytest.raises(UnknownNameError, match="known: taichi256, voxceleb1, ted384, mgif256"):
            official(wrong)
    with pytest.raises(WeightsMissingError, match=r"its configuration \(taichi256"):
        build(checkpoint=None, configuration=None)


def test_a_released_file_is_recognised_by_its_background_predictor(taichi_file):
    method = build(checkpoint=taichi_file, configuration=None)
    assert isinstance(method, Method)
    assert (method.trained_on, method.resolution) == ("unknown", (256, 256))
    assert method.conventions == {
        "configuration": "taichi256",
        "align_corners": "false",
        "relative_jacobian": "true",
        "adapt_movement_scale": "false",
        "absolute_background": "predicted",
        "relative_background": "still",
    }
    # The constants of the constructor stay, whatever the file says of them.
    assert method.generator.dense_motion_network.down.weight[0].sum().item() == pytest.approx(1, abs=1e-5)
    assert method.kp_detector.transformer.pos_embedding.any()


def test_options_change_background_and_scale(taichi_file):
    method = build(checkpoint=taichi_file, configuration="taichi256+adapted+still-background")
    assert method.conventions["adapt_movement_scale"] == "true"
    assert method.conventions["absolute_background"] == "still"
    always = build(checkpoint=taichi_file, configuration="taichi256+background")
    assert always.conventions["relative_background"] == "predicted"


def test_a_file_whose_skips_are_unknown_must_say_its_configuration(tmp_path):
    path = released(tmp_path / "found.pth.tar", "mgif256")
    with pytest.raises(
        CheckpointError, match="fits taichi256, voxceleb1, mgif256, which compute differently"
    ):
        build(checkpoint=path, configuration=None)
    method = build(checkpoint=path, configuration="mgif256")
    assert method.conventions["absolute_background"] == "still"
    assert not method.generator.skips
    with pytest.raises(CheckpointError, match=r"leave out \+background"):
        build(checkpoint=path, configuration="taichi256+background")


def test_the_wrong_configuration_is_refused_with_the_tensors_and_the_right_one(taichi_file):
    with pytest.raises(
        CheckpointError, match=r"unexpected \(bg_predictor\.encoder.*they fit 'taichi256'"
    ) as refusal:
        build(checkpoint=taichi_file, configuration="voxceleb1")
    assert "\n" not in str(refusal.value)
    with pytest.raises(CheckpointError, match=r"misshapen \(kp_detector\.transformer\.pos_embedding"):
        build(checkpoint=taichi_file, configuration="ted384")


def test_our_file_carries_its_configuration(tmp_path):
    method = small_method()
    loaded = build(checkpoint=write_own(tmp_path, method.state_dict(), SMALL), configuration=None)
    check_same_frames(loaded, method, frames(1), frames(2, seed=1))
    path = write_own(tmp_path, method.state_dict(), SMALL, **{"generator.final.bias": torch.zeros(4)})
    with pytest.raises(CheckpointError, match=r"1 misshapen \(generator\.final\.bias \[4\] instead of \[3\]"):
        build(checkpoint=path, configuration=None)


@pytest.mark.parametrize("transfer", ["absolute", "relative"])
def test_a_batch_equals_frame_by_frame(transfer):
    method, driving = small_method(background="always"), frames(5, seed=2)
    encoding = method.encode(frames(1))
    options = {"initial_driving": driving[:1], "transfer": transfer}
    batch = check_batch(method, encoding, driving, **options)
    assert not torch.allclose(batch[0], batch[1], atol=1e-3)


@pytest.mark.parametrize("adapted", [False, True])
def test_relative_transfer_from_the_initial_pose_keeps_the_source_pose(adapted):
    method, initial = small_method(adapt_movement_scale=adapted), frames(1, seed=3)
    encoding = method.encode(frames(1))
    posed = method.driving_keypoints(encoding, initial, initial_driving=initial, transfer="relative")
    assert torch.allclose(posed.value, encoding.keypoints.value, atol=1e-6)
    # 1e-4: an inverse in float32
    assert torch.allclose(posed.jacobian, encoding.keypoints.jacobian, atol=1e-4)


def test_the_background_is_predicted_for_absolute_transfer_alone_unless_told_otherwise():
    default, still, always = (small_method(background=use) for use in ("absolute", "never", "always"))
    source, driving = frames(1), frames(2, seed=4)

    def animated(method: Mtia, transfer: str) -> Tensor:
        return method.animate(method.encode(source), driving, initial_driving=driving[:1], transfer=transfer)

    assert torch.equal(animated(default, "absolute"), animated(always, "absolute"))
    assert not torch.allclose(animated(default, "absolute"), animated(still, "absolute"), atol=1e-4)
    assert torch.equal(animated(default, "relative"), animated(still, "relative"))
    assert not torch.allclose(animated(default, "relative"), animated(always, "relative"), atol=1e-4)


def test_wrong_calls_are_answered_with_a_sentence():
    method = small_method()
    check_wrong_transfers(method, "mtia", frames(1))
    with pytest.raises(BenchbedError, match="frames of 32x48 pixels; this configuration takes 48x32 only"):
        method.encode(frames(1).transpose(2, 3))


@pytest.mark.parametrize(
    ("word", "value", "sentence"),
    [
        ("NAME", "pose_tokenpose_s", "only 'pose_tokenpose_b'"),
        ("DATA_PREPROCESS", True, "DATA_PREPROCESS is True; only False"),
        ("NUM_JOINTS", 5, "num_kp equal to NUM_JOINTS"),
        ("TRANSFORMER_HEADS", 3, "even multiple of TRANSFORMER_HEADS 3"),
        ("IMAGE_SIZE", [48, 40], "height 40 of IMAGE_SIZE is no multiple of 16"),
    ],
)
def test_configurations_that_were_never_released_are_refused(word, value, sentence):
    wrong = copy.deepcopy(SMALL)
    wrong["MODEL"][word] = value
    with pytest.raises(BenchbedError, match=sentence):
        mtia_config(wrong)


def test_a_configuration_without_its_network_is_refused():
    with pytest.raises(BenchbedError, match="lacks 'MODEL'"):
        mtia_config({"model_params": SMALL["model_params"]})


def test_the_backbone_gives_its_finest_branch():
    stages = StageConfig(1, (4, 8), (1, 1)), StageConfig(2, (4, 8, 12), (1, 1, 1))
    backbone = HighResolutionNetwork(3, *stages).eval()
    assert backbone(frames(2)).shape == (2, 4, 8, 12)
    names = backbone.state_dict()
    assert {"transition2.2.0.0.weight", "stage3.1.fuse_layers.0.2.0.weight"} <= names.keys()
    assert not any(name.startswith(("transition2.0", "stage3.1.fuse_layers.1")) for name in names)


def test_the_position_embedding_tells_rows_before_columns():
    grid = position_embedding(2, 3, 8).unflatten(1, (2, 3))[0]
    assert torch.equal(grid[:, 0, :4], grid[:, 2, :4])
    assert torch.equal(grid[0, :, 4:], grid[1, :, 4:])
    # of two rows the first is half way round: sin and cos of pi, then of pi / 100
    slow = math.pi / 10_000 ** (2 / 4)
    assert torch.allclose(grid[0, 0, :4], torch.tensor([0, -1, math.sin(slow), math.cos(slow)]), atol=1e-5)


def transformer(depth: int) -> TokenTransformer:
    torch.manual_seed(0)
    config = TransformerConfig(
        num_kp=3, dim=8, depth=depth, heads=2, hidden=16, patch_size=(2, 4), patch_grid=(3, 2)
    )
    return TokenTransformer(config, in_channels=5).eval()


def test_patches_are_read_row_by_row_with_channels_innermost():
    network = transformer(1)
    features = torch.arange(5 * 6 * 8.0).view(1, 5, 6, 8)
    patches = network._patches(features)
    assert patches.shape == (1, 6, 2 * 4 * 5)
    # the patch in the second row and second column; in it, the second row and third column
    assert torch.equal(patches[0, 3].view(2, 4, 5)[1, 2], features[0, :, 3, 6])


def test_fresh_tokens_give_unturned_points_near_the_centre():
    found = transformer(2)(torch.rand(2, 5, 6, 8))
    assert found.value.shape == (2, 3, 2)
    assert found.value.abs().max() < 0.2
    assert torch.equal(found.jacobian, torch.eye(2).expand(2, 3, 2, 2))


def test_the_position_embedding_is_constant_and_in_the_file_all_the_same():
    network = transformer(1)
    assert "pos_embedding" in network.state_dict()
    assert not network.pos_embedding.requires_grad


def test_masks_that_leave_all_to_the_background_cost_nothing():
    mask = torch.zeros(2, 6, 4, 4)
    mask[:, 0] = 1
    assert background_mask_loss(mask).item() == 0
    # all to one of five parts: 1 for the background, (10 / 5) times a fifth for the parts
    assert background_mask_loss(mask.roll(1, dims=1)).item() == pytest.approx(1.4)


def test_a_mask_costs_its_spread_about_its_centre_whatever_its_weight():
    mask = torch.zeros(2, 3, 5, 5)
    mask[:, 1, 2, 3] = 0.7
    assert mask_concentration_loss(mask).item() == pytest.approx(0, abs=1e-6)
    # two pixels 2 apart: each 1 from the centre
    mask[:, 2, 0, 1] = mask[:, 2, 4, 1] = 0.2
    mask[1, 2] = 0
    assert mask_concentration_loss(mask).item() == pytest.approx(0.5, abs=1e-6)


def small_pairs(**changes: Any) -> MtiaPairs:
    """Training on pairs of the small networks."""
    torch.manual_seed(0)
    return MtiaPairs(replace(presets()["tiny"](), published={**SMALL, "align_corners": True}, **changes))


def test_mask_losses_are_of_the_motion_the_frames_were_made_with_and_only_where_they_have_a_weight():
    pairs = small_pairs(background_mask_weight=2.0, concentration_weight=3.0)
    source, driving = frames(2), frames(2, seed=1)
    made = pairs.reconstruct(source, driving)
    terms = pairs.losses(source, driving, made)
    assert terms["background_mask"].item() == pytest.approx(2 * background_mask_loss(made.motion.mask).item())
    assert terms["mask_concentration"].item() == pytest.approx(
        3 * mask_concentration_loss(made.motion.mask).item()
    )
    without = small_pairs(background_mask_weight=0.0, concentration_weight=0.0)
    made = without.reconstruct(source, driving)
    assert set(without.losses(source, driving, made)) == {"equivariance_value", "equivariance_jacobian"}


def test_key_points_of_a_bold_start_depend_on_the_image():
    published, bold = (
        small_pairs(bold_start=start).detect(frames(8)).value.std(dim=0).mean() for start in (False, True)
    )
    assert bold > 10 * published
    jacobians = small_pairs(bold_start=True).detect(frames(2)).jacobian
    assert torch.equal(jacobians, torch.eye(2).expand_as(jacobians))


def test_another_resolution_gives_the_transformer_as_many_patches():
    class Pixels(nn.Module):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [images]

    task = build_training(TrainingRequest("tiny", Pixels(), 128, 7))
    assert (task.schedule.resolution, task.schedule.steps) == (128, 7)
    own = task.model.configuration["MODEL"]
    assert own["IMAGE_SIZE"] == [128, 128]
    patches = (128 // 4 // own["PATCH_SIZE"][0]) ** 2
    assert task.networks["kp_detector"].transformer.pos_embedding.shape[1] == patches


def test_the_paper_preset_is_the_published_recipe_for_voxceleb():
    preset = presets()["paper"]()
    recipe, schedule = preset.recipe, preset.recipe.schedule
    assert (schedule.resolution, schedule.batch_size, schedule.id_sampling) == (256, 64, True)
    assert [milestone * 100 // schedule.steps for milestone in recipe.milestones] == [60, 90]
    assert (recipe.perceptual, recipe.gradient_norms) == ((10,) * 5, {"kp_detector": 1.0})
    assert (preset.background_mask_weight, preset.concentration_weight, preset.bold_start) == (0, 0, False)
