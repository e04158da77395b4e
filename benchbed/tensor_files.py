"""Opening a weights file safely: tensors by name, never code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchbed.errors import CheckpointError
from benchbed.file_kinds import not_weights
from benchbed.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_HALF = 65504.0
MAX_HEADER_BYTES = 100_000_000  # the safetensors format's own limit


@dataclass(frozen=True)
class LoadedWeights:
    """What a weights file holds, on the CPU.

    Args:
        tensors: by dotted name; half precision is widened to float32.
        metadata: texts beside the tensors (safetensors metadata, or the numbers and texts of a torch file).
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def load_tensors(path: Path | str) -> LoadedWeights:
    """Read a weights file without ever executing what it holds.

    Accepts safetensors and torch files (zip or older pickle) that hold tensors only. Every other kind of file
    is refused by name (Torch7, TorchScript, ONNX, archives, arrays, web pages, ...). Nested dictionaries become
    dotted names, optimiser states are dropped, plain numbers and texts go to the metadata, float16 and bfloat16
    widen to float32.

    Raises:
        CheckpointError: the file is missing, empty, damaged, no weights at all, or wants to execute code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist or is no file; give the path of a weights file")
    try:
        complaint = not_weights(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; check its permissions") from error
    if complaint:
        raise CheckpointError(f"{path} {complaint}; give a safetensors file or a torch file of tensors")
    with path.open("rb") as stream:
        head = stream.read(9)
    # A safetensors file opens with the length of a JSON object, then the object.
    loaded = _load_safetensors(path) if head[8:9] == b"{" else _load_torch(path)
    if not loaded.tensors:
        raise CheckpointError(f"{path} holds no named tensors; give a file with a network's state")
    return loaded


def _load_safetensors(path: Path) -> LoadedWeights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            tensors = {name: _widen(opened.get_tensor(name)) for name in sorted(opened.keys())}
            metadata = dict(opened.metadata() or {})
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or cut short ({error}); get it again") from error
    return LoadedWeights(tensors, metadata)


def _load_torch(path: Path) -> LoadedWeights:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_data_only_types()):
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from error
    except (
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        # torch's unpickler answers random bytes with nearly any of these.
        if "weights_only" in str(error):
            raise CheckpointError(_refusal(path, str(error))) from error
        raise CheckpointError(f"{path} is damaged, cut short or no weights file; get it again") from error
    if isinstance(content, torch.nn.Module) or not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no named tensors; give a file with a network's state")
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for name, leaf in _leaves(content):
        if isinstance(leaf, torch.Tensor):
            tensors[name] = _widen(leaf.detach())
        elif isinstance(leaf, str | int | float):
            metadata[name] = str(leaf)
    return LoadedWeights(tensors, metadata)


def _data_only_types() -> list[Any]:
    """Types without behaviour that released files keep beside the tensors (LIA's training arguments)."""
    import argparse

    return [argparse.Namespace]


def _refusal(path: Path, message: str) -> str:
    offender = re.search(r"GLOBAL ([\w.]+)", message) or re.search(
        r"Unsupported (?:global|class):? ([\w.]+)", message
    )
    if offender:
        return (
            f"{path} was refused: it wants to execute pickled code ({offender.group(1)}); "
            "use a file that holds tensors only"
        )
    if "legacy .tar format" in message or "TorchScript" in message:
        kind = "TorchScript program" if "TorchScript" in message else "tar archive of an early torch"
        return f"{path} was refused: it is a {kind}, which cannot be read safely; save its state_dict instead"
    return (
        f"{path} is damaged, or holds pickled objects that are not read; use a file that holds tensors only"
    )


def _leaves(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if not prefix and _is_optimiser_state(name):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _is_optimiser_state(key: str) -> bool:
    return key.startswith("optimizer") or key.endswith(("_optim", "_optimizer"))


def _widen(tensor: Tensor) -> Tensor:
    import torch

    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def fit_report(
    expected: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], *, name: str
) -> str | None:
    """Why tensors do not fit a network, in one sentence; None where names and shapes are equal.

    Args:
        expected: shape by name, as the network has it.
        given: shape by name, as the file has it.
        name: the network or file, as the sentence is to call it.
    """
    missing = [f"{key} {_shape(expected[key])}" for key in expected if key not in given]
    unexpected = [f"{key} {_shape(given[key])}" for key in given if key not in expected]
    misshapen = [
        f"{key} {_shape(given[key])} instead of {_shape(expected[key])}"
        for key in expected
        if key in given and tuple(given[key]) != tuple(expected[key])
    ]
    parts = [
        f"{len(items)} {kind} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"
        for kind, items in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if items
    ]
    if not parts:
        return None
    return f"the tensors do not fit {name}: {'; '.join(parts)}; use weights of this configuration"


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(str(size) for size in shape)}]"


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in a safetensors file's header, read without torch and without the tensors.

    Raises:
        CheckpointError: the file is no safetensors file.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length <= MAX_HEADER_BYTES:
            try:
                return json.loads(stream.read(length)).get("__metadata__", {})
            except ValueError:
                pass  # not JSON: the sentence below says so
    raise CheckpointError(f"{path} is no safetensors file, or is damaged; get the weights file again")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write weights to ship: safetensors in half precision, equal bytes for equal content.

    Tensors with a value beyond half precision's range stay in float32; integers stay as they are.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    from safetensors.torch import save

    content = save({name: _half(tensor) for name, tensor in tensors.items()}, metadata=dict(metadata))
    # The library shuffles metadata from call to call: the header is written again, sorted.
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}); free some space or choose another folder"
        ) from error


def _half(tensor: Tensor) -> Tensor:
    import torch

    # a copy: safetensors refuses tensors that share memory
    tensor = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if tensor.is_floating_point() and (tensor.numel() == 0 or float(tensor.abs().max()) <= LARGEST_HALF):
        return tensor.half()
    return tensor
