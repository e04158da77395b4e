"""Segments, crops and loading of the 3-D ResNeXt-101."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from benchbed.errors import CheckpointError
from benchbed.frames import to_float
from benchbed.metrics.evaluators import resnext3d
from benchbed.metrics.evaluators.folding import fold_batch_norms
from benchbed.metrics.evaluators.resnext3d import (
    MEAN,
    ResNeXt3D,
    SegmentEvaluator,
    build,
    centre_crops,
    load_network,
)

from .feature_networks import random_tensors, real_frames


@pytest.fixture(scope="module")
def tensors():
    with torch.device("meta"):
        shapes = ResNeXt3D().state_dict()
    # A residual branch that adds little keeps 33 blocks of random weights in range.
    return {
        name: tensor * 0.2 if name.endswith("bn3.weight") else tensor
        for name, tensor in random_tensors(shapes, seed=6).items()
    }


@pytest.fixture(scope="module")
def evaluator(tensors):
    return SegmentEvaluator(fold_batch_norms(load_network(tensors)), "random")


def same(ours, expected) -> None:
    """Equal to float32 noise of 101 layers, as a share of the largest feature."""
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_every_full_segment_has_the_vector_it_has_alone(shared, tensors, evaluator):
    frames = to_float(real_frames(shared, 37))
    vectors = evaluator(frames).vectors
    assert vectors.shape == (2, 2048)
    plain = load_network(tensors)
    for index in range(2):
        segment = centre_crops(frames[16 * index : 16 * (index + 1)]) - torch.tensor(MEAN).view(1, 3, 1, 1)
        with torch.no_grad():
            same(vectors[index], plain(segment.transpose(0, 1)[None])[0])


def test_fewer_than_16_frames_have_no_vector(evaluator):
    assert evaluator(torch.rand(15, 3, 20, 30)).vectors.shape == (0, 2048)


def test_the_order_of_frames_matters(evaluator):
    frames = torch.rand(16, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    forward, backward = evaluator(frames).vectors, evaluator(frames.flip(0)).vectors
    assert (forward - backward).abs().max() > 1e-3 * forward.abs().max()


@pytest.mark.parametrize("size", [(256, 256), (120, 256), (301, 112), (40, 33)])
def test_crops_are_those_of_pil(size):
    frames = torch.randint(0, 256, (2, 3, *size), generator=torch.Generator().manual_seed(1)).byte()
    ours = centre_crops(to_float(frames))
    assert ours.shape == (2, 3, 112, 112)
    height, width = size
    new = (112, int(112 * height / width)) if width < height else (int(112 * width / height), 112)
    image = Image.fromarray(frames[0].permute(1, 2, 0).numpy()).resize(new, Image.Resampling.BILINEAR)
    left, top = round((new[0] - 112) / 2), round((new[1] - 112) / 2)
    expected = np.asarray(image)[top : top + 112, left : left + 112]
    np.testing.assert_array_equal(ours[0].permute(1, 2, 0), expected)


def test_the_released_file_loads_under_its_own_names(monkeypatch, tmp_path, tensors, evaluator):
    state = {f"module.{name}": tensor for name, tensor in tensors.items()}
    state["module.fc.weight"] = torch.zeros(400, 2048)
    torch.save({"arch": "resnext-101", "state_dict": state}, tmp_path / "resnext.pth")
    monkeypatch.setattr(resnext3d, "find_weights", lambda name: tmp_path / "resnext.pth")
    built = build(device=torch.device("cpu"))
    assert built.fingerprint.startswith("resnext101-3d:")
    golden = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    assert built.probe(golden).shape == (2048,)
    same(built.probe(golden), evaluator.probe(golden))


def test_a_file_of_another_network_is_refused(tensors):
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith("layer3.22.")}
    given["layer1.0.conv1.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"15 missing .*1 misshapen \(layer1.0.conv1.weight"):
        load_network(given)
