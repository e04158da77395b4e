"""Same-identity reconstruction: the first frame of a clip, animated by the whole clip."""

from __future__ import annotations

from collections.abc import Sequence

from benchbed.interfaces.dataset import Clip, Dataset
from benchbed.interfaces.protocol import Case, CaseRequest, FrameReference

METRICS = ("l1", "psnr", "ssim", "ms-ssim", "lpips", "fid", "kid", "akd", "mkr", "aed", "csim")
# AKD, MKR and AED need landmarks or an identity, which robots, cartoons and unnamed domains do not have
# (datasets.md, section 6). Drawn animals do: their evaluators belong to the dataset, not to the domain.
WITHOUT_BODY = ("l1", "psnr", "ssim", "ms-ssim", "lpips", "fid", "kid")


class Reconstruction:
    """Source = first frame, driving = target = the whole clip, the first frame included.

    Source: reconstruction scripts of FOMM and its descendants; papers that say "remaining frames" do not
    match the released code.
    """

    name = "reconstruction"
    version = 1

    def cases(self, dataset: Dataset, request: CaseRequest) -> list[Case]:
        """One case per clip, in the dataset's order. The seed is not used: nothing is drawn."""
        return [self_driven(clip, request.transfer) for clip in dataset.clips(request.split)]

    def metrics(self, domain: str, cases: Sequence[Case]) -> tuple[str, ...]:
        """All metrics for faces, bodies and animals; those without landmarks and identity for robots."""
        return reconstruction_metrics(domain)


def self_driven(clip: Clip, transfer: str) -> Case:
    """The first frame of a clip, animated by the whole clip."""
    return Case(
        id=clip.id,
        identity=clip.identity,
        driving_identity=clip.identity,
        source=FrameReference(clip.id, 0),
        driving=clip.id,
        target=clip.id,
        transfer=transfer,
        tags=clip.tags,
    )


def reconstruction_metrics(domain: str) -> tuple[str, ...]:
    """Metrics where the ground truth is the driving clip itself."""
    return WITHOUT_BODY if domain == "robot" else METRICS
