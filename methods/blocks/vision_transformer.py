"""A frozen vision transformer: one vector for the appearance of an image, and how alike its parts are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import EncoderBlock

from benchbed.errors import CheckpointError
from benchbed.weights import find_weights, fit_report, load_tensors

from .grids import resize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_PRODUCT = 1e-8  # of two lengths, in a cosine
# What begins DINO's names of a block's parts, and torchvision's.
_PARTS = {
    "norm1.": "ln_1.",
    "attn.qkv.": "self_attention.in_proj_",
    "attn.proj.": "self_attention.out_proj.",
    "norm2.": "ln_2.",
    "mlp.fc1.": "mlp.0.",
    "mlp.fc2.": "mlp.3.",
}
_REST = {
    "cls_token": "class_token",
    "pos_embed": "encoder.pos_embedding",
    "patch_embed.proj.": "conv_proj.",
    "norm.": "encoder.ln.",
}


@dataclass(frozen=True)
class TransformerConfig:
    """A vision transformer; the defaults are ViT-B/8.

    Args:
        image_size: every image is resized to this square, in pixels.
        weights: its name in the weights store; empty for random weights that travel with the method's own.
    """

    image_size: int = 224
    patch_size: int = 8
    num_layers: int = 12
    num_heads: int = 12
    hidden_dim: int = 768
    mlp_dim: int = 3072
    weights: str = "dino-vitb8"


@dataclass(frozen=True)
class TransformerFeatures:
    """What a transformer sees in B images.

    Args:
        appearance: `(B, W)`, the class token after the last block, before the final normalisation.
        keys: `(B, N, W)`, of every token in the last block, the class token's first, heads side by side.
    """

    appearance: Tensor
    keys: Tensor

    def self_similarity(self) -> Tensor:
        """Cosine of the keys of every two tokens, `(B, N, N)` in float32.

        Source: Splicing ViT Features for Semantic Appearance Transfer, the structure of an image.
        """
        with torch.autocast(self.keys.device.type, enabled=False):
            keys = self.keys.float()
            lengths = keys.norm(dim=-1)
            products = lengths.unsqueeze(-1) * lengths.unsqueeze(-2)
            return (keys @ keys.transpose(-1, -2)) / products.clamp_min(SMALLEST_PRODUCT)


class FrozenTransformer(nn.Module):
    """A vision transformer that is never trained: its tensors are buffers, so that no optimiser finds any.

    Args:
        config: describes it.
        seed: of its random weights, which are the same whatever else is random.

    Source: DINO (Caron et al., ICCV 2021) for architecture and weights; torchvision's `VisionTransformer` computes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: TransformerConfig, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.transformer = VisionTransformer(
                config.image_size,
                config.patch_size,
                config.num_layers,
                config.num_heads,
                config.hidden_dim,
                config.mlp_dim,
            )
        self.transformer.heads = nn.Sequential()  # no classes
        self.side = config.image_size
        self.width = config.hidden_dim
        freeze(self)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> FrozenTransformer:
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, frames: Tensor) -> TransformerFeatures:
        """Features of frames `(B, 3, H, W)` in [0, 1], with the gradient to the frames."""
        *blocks, last = self._blocks()
        tokens = self._tokens(frames)
        for block in blocks:
            tokens = block(tokens)
        attention, width = last.self_attention, self.width
        keys = linear(
            last.ln_1(tokens),
            attention.in_proj_weight[width : 2 * width],
            attention.in_proj_bias[width : 2 * width],
        )
        return TransformerFeatures(last(tokens)[:, 0].float(), keys)

    def _tokens(self, frames: Tensor) -> Tensor:
        images = (resize(frames, (self.side, self.side)) - self.mean) / self.std
        patches = self.transformer.conv_proj(images).flatten(2).transpose(1, 2)  # row by row
        first = self.transformer.class_token.expand(len(frames), -1, -1).to(patches)
        return torch.cat((first, patches), dim=1) + self.transformer.encoder.pos_embedding

    def _blocks(self) -> list[EncoderBlock]:
        return [block for block in self.transformer.encoder.layers if isinstance(block, EncoderBlock)]


def freeze(network: nn.Module) -> None:
    """Turn all parameters of a network into buffers of the same names."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())


def from_dino(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under torchvision's names, from those of DINO's published files; others are left out."""
    renamed = {}
    for name, tensor in tensors.items():
        prefix, rest, parts = "", name, _REST
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            prefix, parts = f"encoder.layers.encoder_layer_{number}.", _PARTS
        for theirs, ours in parts.items():
            if rest == theirs or (theirs.endswith(".") and rest.startswith(theirs)):
                renamed[prefix + ours + rest.removeprefix(theirs)] = tensor
    return renamed


def load_dino(network: FrozenTransformer, tensors: Mapping[str, Tensor], name: str) -> FrozenTransformer:
    """The network with weights under DINO's names.

    Args:
        name: what sentences call the weights.

    Raises:
        CheckpointError: a tensor is missing or of another shape.
    """
    given = from_dino(tensors)
    expected = {key: tuple(value.shape) for key, value in network.transformer.state_dict().items()}
    if complaint := fit_report(
        expected, {key: tuple(value.shape) for key, value in given.items()}, name=name
    ):
        raise CheckpointError(complaint)
    network.transformer.load_state_dict(given)
    return network


def stored_transformer(config: TransformerConfig) -> FrozenTransformer:
    """The transformer with its weights from the weights store.

    Raises:
        WeightsMissingError: they are not on this machine; says which command brings them.
        CheckpointError: they do not fit.
    """
    path = find_weights(config.weights)
    return load_dino(FrozenTransformer(config), load_tensors(path).tensors, config.weights)
