"""LPIPS features: an ImageNet trunk and the calibrated heads of the `lpips` package."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchbed.errors import CheckpointError
from benchbed.interfaces.evaluator import PerceptualFeatures
from benchbed.weights import find_weights, fit_report, load_tensors, sha256_of

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
# The eps of the published normalisation stands beside the root, not under it.
NORM_EPS = 1e-10
# Mean and deviation of ImageNet for values in [-1, 1].
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
HEADS_SHA256 = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    "squeeze": "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
}


class PerceptualEvaluator(nn.Module):
    """Frames to unit-length activations of each tapped layer.

    Args:
        trunk: image `[N, 3, H, W]` to a tuple of activations.
        heads: per layer `[C_l]`.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.

    Source: Zhang et al. 2018, section 3; input scaling and taps as in lpips 0.1.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, trunk: nn.Module, heads: list[Tensor], fingerprint: str) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ParameterList(nn.Parameter(head, requires_grad=False) for head in heads)
        self.fingerprint = fingerprint
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> PerceptualFeatures:
        """Features of frames `[N, 3, H, W]`, RGB in [0, 1], at their own size."""
        activations = self.trunk((2 * frames - 1 - self.shift) / self.scale)
        layers = tuple(
            layer / (layer.square().sum(dim=1, keepdim=True).sqrt() + NORM_EPS) for layer in activations
        )
        return PerceptualFeatures(layers, tuple(self.heads))


def build(*, device: torch.device, net: str) -> PerceptualEvaluator:
    """LPIPS v0.1 features of one trunk.

    No golden output is published for these files. The store checks the trunk against the sha256 digits that
    its maker gives, and the heads are checked here against their full sha256.

    Args:
        device: where the network is to run.
        net: `alex`, `vgg` or `squeeze`.

    Raises:
        WeightsMissingError: the trunk is not on this machine.
        CheckpointError: the trunk does not fit the network, or the heads are not those of lpips 0.1.
    """
    path = find_weights(f"lpips-{net}")
    heads_path = packaged_heads(net)
    trunk = load_trunk(net, load_tensors(path).tensors)
    heads = load_heads(net, heads_path)
    digest = hashlib.sha256(f"{sha256_of(path)}{HEADS_SHA256[net]}".encode()).hexdigest()
    return PerceptualEvaluator(trunk, heads, f"lpips-{net}:{digest}:{PREPROCESSING}").to(device)


def load_trunk(net: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The trunk of lpips with the `features.*` tensors of a torchvision classifier; others are not used.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    import lpips.pretrained_networks as networks

    kinds = {"alex": networks.alexnet, "vgg": networks.vgg16, "squeeze": networks.squeezenet}
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        trunk = kinds[net](pretrained=False, requires_grad=False)
    # `slice2.3.weight` of the trunk is `features.3.weight` of the classifier.
    names = {f"features.{name.split('.', 1)[1]}": name for name in trunk.state_dict()}
    given = {name: tensor for name, tensor in tensors.items() if name.startswith("features.")}
    shapes = {name: tuple(trunk.state_dict()[own].shape) for name, own in names.items()}
    complaint = fit_report(
        shapes, {name: tuple(t.shape) for name, t in given.items()}, name=f"the LPIPS trunk {net}"
    )
    if complaint:
        raise CheckpointError(complaint)
    trunk.load_state_dict({own: given[name] for name, own in names.items()}, assign=True)
    return trunk.requires_grad_(False).eval()


def packaged_heads(net: str) -> Path:
    """The file of calibrated heads inside the installed `lpips` package, checked.

    Raises:
        CheckpointError: the package holds another file, or none.
    """
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    if not path.is_file() or sha256_of(path) != HEADS_SHA256[net]:
        raise CheckpointError(
            f"the LPIPS heads {path.name} of the installed lpips package are not those of version 0.1; "
            "install lpips 0.1.4 again"
        )
    return path


def load_heads(net: str, path: Path) -> list[Tensor]:
    """Weights `[C_l]` of each layer's 1x1 head.

    Raises:
        CheckpointError: the file holds other tensors than one `[1, C, 1, 1]` per layer.
    """
    tensors = load_tensors(path).tensors
    names = [f"lin{layer}.model.1.weight" for layer in range(len(tensors))]
    if sorted(tensors) != names or any(tensor.shape[2:] != (1, 1) for tensor in tensors.values()):
        raise CheckpointError(f"the LPIPS heads {path.name} hold other tensors than {net} has layers")
    return [tensors[name].reshape(-1) for name in names]
