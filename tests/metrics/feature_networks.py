"""Real frames, random tensors under published names, and the libraries' own networks filled with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor


def real_frames(shared: Path, count: int, *, clip: str = "vox/lia_driving2.mp4") -> Tensor:
    """The first frames of a clip, uint8 `[count, 3, H, W]`."""
    import av
    import numpy as np

    frames: list[np.ndarray] = []
    with av.open(str(shared / "data" / "clips" / clip)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == count:
                break
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def random_tensors(shapes: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """He-scaled noise, and norms near the identity, by name; the values of `shapes` are not read."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, like in shapes.items():
        shape = like.shape
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros(shape, dtype=torch.int64)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + torch.rand(shape, generator=generator)
        elif len(shape) > 1:
            tensors[name] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        else:
            tensors[name] = 0.05 * torch.randn(shape, generator=generator) + name.endswith("weight")
    return tensors


def library_lpips(net: str, trunk: Mapping[str, Tensor]):
    """`lpips.LPIPS` with these `features.*` tensors in its trunk."""
    library = pytest.importorskip("lpips")
    reference = library.LPIPS(net=net, pnet_rand=True, verbose=False)
    own = reference.net.state_dict()
    reference.net.load_state_dict({name: trunk[f"features.{name.split('.', 1)[1]}"] for name in own})
    return reference


def library_inception(monkeypatch: pytest.MonkeyPatch, tensors: Mapping[str, Tensor], **options):
    """pytorch-fid's `InceptionV3` filled without a download."""
    from pytorch_fid import inception as fid

    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    monkeypatch.setattr(fid, "load_state_dict_from_url", lambda *_, **__: {**tensors, **classifier})
    return fid.InceptionV3(**options).eval()
