"""LPIPS arithmetic by hand, and features and distance against the `lpips` package with random weights."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from benchbed.errors import CheckpointError, WeightsMissingError
from benchbed.frames import to_float
from benchbed.interfaces.evaluator import PerceptualFeatures
from benchbed.interfaces.metric import Sample
from benchbed.metrics.evaluators.perceptual import (
    HEADS_SHA256,
    PerceptualEvaluator,
    build,
    load_heads,
    load_trunk,
    packaged_heads,
    prepare,
)
from benchbed.metrics.lpips import LearnedPerceptualDistance

from .feature_networks import library_lpips, real_frames


def features(*layers, weights) -> Sample:
    return Sample(torch.zeros(1, 3, 8, 8), {"perceptual": PerceptualFeatures(tuple(layers), weights)})


def trunk_tensors(net: str) -> dict[str, torch.Tensor]:
    """Random tensors under the names and shapes of a torchvision classifier's features."""
    generator = torch.Generator().manual_seed(5)
    import torchvision

    kinds = {
        "alex": torchvision.models.alexnet,
        "vgg": torchvision.models.vgg16,
        "squeeze": torchvision.models.squeezenet1_1,
    }
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in kinds[net](weights=None).state_dict().items()}
    return {
        name: torch.randn(shape, generator=generator) * (2 / max(1, shape[1:].numel())) ** 0.5
        for name, shape in shapes.items()
        if name.startswith("features.")
    }


def evaluator(net: str) -> PerceptualEvaluator:
    heads = load_heads(net, packaged_heads(net))
    trunk = prepare(load_trunk(net, trunk_tensors(net)), torch.device("cpu"))
    return PerceptualEvaluator(trunk, heads, "random")


def distance(network: PerceptualEvaluator, first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    return LearnedPerceptualDistance().per_frame(
        Sample(first, {"perceptual": network(first)}), Sample(second, {"perceptual": network(second)})
    )


def test_layers_add_up_and_positions_average():
    weights = (torch.tensor([2.0, 0.5]), torch.tensor([1.0]))
    first = features(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), torch.tensor([[[[3.0]]]]), weights=weights)
    second = features(torch.zeros(1, 2, 1, 2), torch.tensor([[[[1.0]]]]), weights=weights)
    # First layer: positions score 2 and 0.5, mean 1.25; second layer: (3 - 1)^2.
    assert LearnedPerceptualDistance().per_frame(first, second).tolist() == [5.25]


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_distance_equals_the_lpips_package(net):
    library = pytest.importorskip("lpips")
    network = evaluator(net)
    reference = library.LPIPS(net=net, pnet_rand=True, verbose=False)
    reference.net.load_state_dict(network.trunk.state_dict())
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.rand(3, 3, 64, 64, generator=generator) for _ in range(2))
    with torch.no_grad():
        expected = reference(first, second, normalize=True).flatten().numpy()
    # float32 sums over positions in another order.
    np.testing.assert_allclose(distance(network, first, second), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_distance_equals_the_lpips_package_pair_by_pair_on_real_frames(shared, net):
    frames = to_float(real_frames(shared, 6 if net != "vgg" else 4))
    first, second = frames.chunk(2)
    reference = library_lpips(net, trunk_tensors(net))
    with torch.no_grad():
        expected = [
            reference(2 * one[None] - 1, 2 * other[None] - 1).item()
            for one, other in zip(first, second, strict=True)
        ]
    ours = distance(evaluator(net), first, second)
    # Another order of sums in float32, as a share of the distance.
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained'", "ignore:Arguments other than a weight enum")
@pytest.mark.parametrize(("net", "size"), [("alex", (67, 91)), ("squeeze", (67, 91)), ("vgg", (37, 51))])
def test_frames_of_odd_sizes_equal_the_lpips_package(net, size):
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.rand(3, 3, *size, generator=generator) for _ in range(2))
    with torch.no_grad():
        expected = library_lpips(net, trunk_tensors(net))(first, second, normalize=True).flatten()
    np.testing.assert_allclose(distance(evaluator(net), first, second), expected, rtol=1e-4)


def test_activations_have_unit_length_and_the_probe_follows_a_changed_tensor():
    network, tensors = evaluator("alex"), trunk_tensors("alex")
    frames = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    for layer in network(frames).layers:
        length = layer.norm(dim=1)
        np.testing.assert_allclose(length[length > 0], 1.0, atol=1e-5)
    tensors["features.6.weight"] = tensors["features.6.weight"].flip(0)
    heads = load_heads("alex", packaged_heads("alex"))
    changed = PerceptualEvaluator(load_trunk("alex", tensors), heads, "changed").probe(frames)
    before = network.probe(frames)
    assert (before - changed).abs().max() > 1e-2 * before.abs().max()


def test_identical_frames_score_exactly_zero_and_batches_do_not_matter():
    network = evaluator("alex")
    generator = torch.Generator().manual_seed(2)
    first, second = (torch.rand(4, 3, 64, 64, generator=generator) for _ in range(2))
    np.testing.assert_array_equal(distance(network, first, first.clone()), 0.0)
    single = [distance(network, first[i : i + 1], second[i : i + 1]).item() for i in range(4)]
    # Convolutions of another batch size may sum in another order: float32 noise.
    np.testing.assert_allclose(distance(network, first, second), single, rtol=1e-4, atol=1e-6)


def test_a_trunk_with_missing_and_misshapen_tensors_is_refused_with_their_count():
    tensors = trunk_tensors("alex")
    del tensors["features.0.bias"]
    tensors["features.3.weight"] = torch.zeros(1)
    with pytest.raises(
        CheckpointError, match=r"1 missing \(features.0.bias.*1 misshapen \(features.3.weight"
    ):
        load_trunk("alex", tensors)


def test_the_packaged_heads_are_the_published_ones_with_a_weight_per_channel():
    path = packaged_heads("alex")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == HEADS_SHA256["alex"]
    assert [len(head) for head in load_heads("alex", path)] == [64, 192, 384, 256, 256]
    squeeze = load_heads("squeeze", packaged_heads("squeeze"))
    assert [len(head) for head in squeeze] == [64, 128, 256, 384, 384, 512, 512]


def test_a_file_of_other_tensors_is_no_head(tmp_path):
    torch.save({"lin0.model.1.weight": torch.ones(1, 64, 3, 3)}, tmp_path / "alex.pth")
    with pytest.raises(CheckpointError, match="other tensors than alex has layers"):
        load_heads("alex", tmp_path / "alex.pth")


def test_the_fingerprint_follows_the_weights_file(monkeypatch, tmp_path):
    from benchbed.metrics.evaluators import perceptual

    prints = []
    for seed in (0, 1, 0):
        tensors = trunk_tensors("squeeze")
        tensors["features.0.bias"] = torch.full_like(tensors["features.0.bias"], float(seed))
        torch.save(tensors, tmp_path / "trunk.pth")
        monkeypatch.setattr(perceptual, "find_weights", lambda name: tmp_path / "trunk.pth")
        prints.append(build(device=torch.device("cpu"), net="squeeze").fingerprint)
    assert prints[0] == prints[2] != prints[1]


def test_without_the_trunk_the_message_names_the_command_that_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHBED_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="weights missing: benchbed weights pull lpips-alex"):
        build(device=torch.device("cpu"), net="alex")
