"""The 18-point OpenPose network: VGG-19 features, six stages of part-affinity fields and heat maps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from .released import bare, fill

STRIDE = 8
HEAT_MAPS = 19
"""18 joints, then the background."""
FIELDS = 38
"""Part-affinity fields: x and y of 19 limbs."""
FEATURES = 128
STAGES = 6
PROBE_CELLS = 2
# Output channels of the 3x3 convolutions, `None` for 2x2 max pooling: VGG-19 up to conv4_2, then the two CPM layers.
TRUNK = (64, 64, None, 128, 128, None, 256, 256, 256, 256, None, 512, 512, 256, FEATURES)
# What data-parallel training and saving with the training state put in front of every name.

Maps = tuple[Tensor, Tensor]


class PoseNetwork(nn.Module):
    """Images to part-affinity fields and heat maps at an eighth of their size.

    The attribute names are those of the published state dict: `model0` are the features, `model<t>_1` the
    fields and `model<t>_2` the heat maps of stage t.

    Source: Cao, Simon, Wei, Sheikh 2017, section 2.2 and figure 3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model0 = _trunk()
        for stage in range(1, STAGES + 1):
            branch = _first_branch if stage == 1 else _later_branch
            setattr(self, f"model{stage}_1", branch(FIELDS))
            setattr(self, f"model{stage}_2", branch(HEAT_MAPS))

    def stages(self, images: Tensor) -> list[Maps]:
        """Fields `[N, 38, H/8, W/8]` and heat maps `[N, 19, H/8, W/8]` of every stage, the final one last.

        Args:
            images: `[N, 3, H, W]`, preprocessed; H and W are multiples of 8.
        """
        features = self.model0(images)
        given = features
        outputs = []
        for stage in range(1, STAGES + 1):
            fields = getattr(self, f"model{stage}_1")(given)
            heat_maps = getattr(self, f"model{stage}_2")(given)
            outputs.append((fields, heat_maps))
            given = torch.cat([fields, heat_maps, features], dim=1)
        return outputs

    def forward(self, images: Tensor) -> Maps:
        """Fields and heat maps of the final stage; see `stages`."""
        return self.stages(images)[-1]

    def probe(self, images: Tensor) -> Tensor:
        """Every stage's maps, averaged down to 2x2 cells, `[N * 342 * 4]`: no tensor can change unnoticed."""
        maps = torch.cat([part for stage in self.stages(images) for part in stage], dim=1)
        return functional.adaptive_avg_pool2d(maps, PROBE_CELLS).flatten()


def load_network(tensors: Mapping[str, Tensor]) -> PoseNetwork:
    """The network with the tensors of a published file, eval mode, without gradients.

    Args:
        tensors: by name; names may carry the prefixes `module.` and `state_dict.`.

    Raises:
        CheckpointError: a tensor is missing, unexpected or misshapen.
    """
    # On the meta device nothing is allocated or drawn at random: every value comes from the file.
    with torch.device("meta"):
        network = PoseNetwork()
    return fill(network, bare(tensors), name="the 18-point OpenPose network")


def _trunk() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width in TRUNK:
        if width is None:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers)


def _first_branch(outputs: int) -> nn.Sequential:
    return _branch(FEATURES, [(128, 3)] * 3 + [(512, 1), (outputs, 1)])


def _later_branch(outputs: int) -> nn.Sequential:
    return _branch(FIELDS + HEAT_MAPS + FEATURES, [(128, 7)] * 5 + [(128, 1), (outputs, 1)])


def _branch(channels: int, convolutions: list[tuple[int, int]]) -> nn.Sequential:
    """Convolutions (output channels, kernel size) with ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for width, kernel in convolutions:
        layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
        channels = width
    return nn.Sequential(*layers[:-1])
