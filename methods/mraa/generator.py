"""MRAA's generator: encodes the source, warps it by the optical flow at every resolution, inpaints and decodes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..blocks.first_order import SourceFeatures
from ..blocks.grids import warp
from ..blocks.warping_generator import WarpingGenerator
from .config import GeneratorConfig
from .flow_predictor import Flow, PixelwiseFlowPredictor
from .regions import Regions


@dataclass(frozen=True)
class Generation:
    """Generated images `(B, C, H, W)` in [0, 1] and the flow they were made with."""

    prediction: Tensor
    flow: Flow


class RegionGenerator(WarpingGenerator):
    """Source image, two sets of regions and the background's motion -> image.

    Source: MRAA, section 3.4.
    """

    pixelwise_flow_predictor: PixelwiseFlowPredictor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__("pixelwise_flow_predictor", PixelwiseFlowPredictor(config.flow), config)

    def encode(self, source: Tensor) -> SourceFeatures:
        """What depends on the source `(B, C, H, W)` in [0, 1] alone."""
        return SourceFeatures(self.look(source), self.pixelwise_flow_predictor.downsample(source))

    def decode(
        self, encoded: SourceFeatures, source: Regions, driving: Regions, background: Tensor | None = None
    ) -> Generation:
        """The encoded sources in the pose of the driving regions, before a background moved by `(B, 3, 3)`."""
        flow = self.pixelwise_flow_predictor(encoded.downsampled, source, driving, background)
        return Generation(self.paint(encoded.appearance, flow.optical_flow, flow.occlusion_map), flow)

    def deform(self, source: Tensor, flow: Flow) -> Tensor:
        """The source image `(B, C, H, W)` itself warped by the flow, to look at."""
        return warp(source, flow.optical_flow, align_corners=self.align_corners)

    def forward(
        self, source: Tensor, source_regions: Regions, driving: Regions, background: Tensor | None = None
    ) -> Generation:
        return self.decode(self.encode(source), source_regions, driving, background)
