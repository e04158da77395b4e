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

from .winograd import quicken

# Raised whenever the same weights and frames would give other features.
PREPROCESSING = 1
# Frames at a time, measured at 256x256: on a CPU larger batches only leave its cache.
BATCH = {"alex": {"cpu": 8, "cuda": 64}, "vgg": {"cpu": 2, "cuda": 16}, "squeeze": {"cpu": 2, "cuda": 32}}
SMALL_BATCH = {"cpu": 2, "cuda": 16}
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
        batch: frames at a time by type of device, 2 where it is not named.
        fingerprint: see `benchbed.interfaces.evaluator.Evaluator`.

    Source: Zhang et al. 2018, section 3; input scaling and taps as in lpips 0.1.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        heads: list[Tensor],
        fingerprint: str,
        *,
        batch: Mapping[str, int] = SMALL_BATCH,
    ) -> None:
        super().__init__()
        self.batch = batch
        self.trunk = trunk
        self.heads = nn.ParameterList(nn.Parameter(head, requires_grad=False) for head in heads)
        self.fingerprint = fingerprint
        # (2 x - 1 - SHIFT) / SCALE in one pass over the frames.
        scale = torch.tensor(SCALE, dtype=torch.float64)
        shift = torch.tensor(SHIFT, dtype=torch.float64)
        self.register_buffer("scale", (2 / scale).float().view(1, 3, 1, 1))
        self.register_buffer("shift", (-(1 + shift) / scale).float().view(1, 3, 1, 1))
        self.eval()

    @torch.no_grad()
    def forward(self, frames: Tensor) -> PerceptualFeatures:
        """Features of frames `[N, 3, H, W]`, RGB in [0, 1], at their own size; channels last in memory."""
        batches = frames.split(self.batch.get(frames.device.type, 2))
        layers: list[Tensor] = []
        for index, batch in enumerate(batches):
            activations = self._activations(batch)
            if not layers:
                layers = [_room(len(frames), activation) for activation in activations]
            start = index * len(batches[0])
            for layer, activation in zip(layers, activations, strict=True):
                # Written where it belongs at once: unit length needs no copy of its own.
                length = torch.linalg.vector_norm(activation, dim=1, keepdim=True).add_(NORM_EPS)
                torch.div(activation, length, out=layer[start : start + len(batch)])
        return PerceptualFeatures(tuple(layers), tuple(self.heads))

    @torch.no_grad()
    def probe(self, frames: Tensor) -> Tensor:
        """Per frame and layer the mean of every channel, then the LPIPS distance of the first and last frame."""
        features = self(frames)
        means = [layer.mean(dim=(2, 3)).flatten() for layer in features.layers]
        parts = [
            ((layer[0] - layer[-1]).square().mean(dim=(1, 2)) * head).sum()
            for layer, head in zip(features.layers, features.weights, strict=True)
        ]
        return torch.cat([*means, torch.stack(parts).sum().view(1)])

    def _activations(self, frames: Tensor) -> tuple[Tensor, ...]:
        scaled = torch.addcmul(self.shift, frames, self.scale)
        return tuple(self.trunk(scaled.contiguous(memory_format=torch.channels_last)))


def _room(count: int, activation: Tensor) -> Tensor:
    _, channels, height, width = activation.shape
    return activation.new_empty(count, height, width, channels).permute(0, 3, 1, 2)


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
    trunk = prepare(load_trunk(net, load_tensors(path).tensors), device)
    heads = load_heads(net, heads_path)
    digest = hashlib.sha256(f"{sha256_of(path)}{HEADS_SHA256[net]}".encode()).hexdigest()
    fingerprint = f"lpips-{net}:{digest}:{PREPROCESSING}"
    return PerceptualEvaluator(trunk, heads, fingerprint, batch=BATCH[net]).to(device)


def prepare(trunk: nn.Module, device: torch.device) -> nn.Module:
    """The loaded trunk as it is quickest on a device; outputs stay the same to rounding."""
    trunk = trunk.to(memory_format=torch.channels_last)
    return quicken(trunk) if device.type == "cpu" else trunk


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
