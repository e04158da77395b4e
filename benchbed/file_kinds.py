"""What a file is, by its first bytes: the kinds that are no weights file, or one that is not read; without torch."""

from __future__ import annotations

import struct
import tarfile
import zipfile
from pathlib import Path

HEAD_BYTES = 512
# torch.save's older format opens with a pickle of this number, little-endian after its opcode and length.
TORCH_MAGIC = b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
PICKLE_PROTOCOLS = (2, 3, 4, 5)
TORCH7_TABLE, TORCH7_OBJECT, TORCH7_TAGS = 3, 4, 8
LARGEST_IR_VERSION = 64  # ONNX; it was 13 in 2025
# First bytes of ONNX's second field: producer name, version, domain, model version, doc, graph or opset.
ONNX_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
SIGNATURES = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file it points to"),
    (b"\x93NUMPY", "is a NumPy array file, not a weights file"),
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file (Keras), which is not read"),
    (b"\x1f\x8b", "is a gzip archive, to be unpacked first"),
    (b"BZh", "is a bzip2 archive, to be unpacked first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-zip archive, to be unpacked first"),
    (b"\xfd7zXZ\x00", "is an xz archive, to be unpacked first"),
    (b"Rar!\x1a\x07", "is a RAR archive, to be unpacked first"),
)


def not_weights(path: Path) -> str | None:
    """What the file is instead of weights that can be read safely, None where nothing speaks against it.

    The answer continues a sentence that opens with the file's name. Nothing of the file is executed or unpickled.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        return "is empty"
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not a weights file"
    if head[8:9] == b"{":  # a safetensors header behind its length
        return None
    if head.startswith(b"PK"):
        return _zipped(path)
    if _is_torch7(head):
        return "is a Torch7 (Lua) file, which is not read; convert it where Lua Torch runs"
    if _is_tar(head):
        return "is a tar archive (of torch before 0.1.10, or to be unpacked), which is not read"
    if _is_onnx(head):
        return "is an ONNX program, not a file of tensors"
    if head[0] == 0x80 and len(head) > 1 and head[1] in PICKLE_PROTOCOLS and TORCH_MAGIC not in head[:64]:
        return "is a Python pickle that torch.save did not write; it is not read, since pickled objects can run code"
    if not head.strip(b"\0"):
        return "opens with zeros only, as a download that was never finished does"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "is a text file, not a weights file"
    return None


def _zipped(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return "is damaged or cut short (the list at the end of its zip archive is missing)"
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        return (
            "is a TorchScript program, which cannot be read without running it; save its state_dict instead"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "is a NumPy archive (npz), not a weights file"
    # `archive/data.pkl`; torch names the folder after the file.
    if "data.pkl" not in inside:
        return "is a zip archive that torch did not write; unpack it first"
    return None


def _is_torch7(head: bytes) -> bool:
    """Type tag, index, then a versioned class name (objects) or a count and the next tag (tables)."""
    if head.startswith((b"4\n1\n3\nV 1\n", b"3\n1\n")):  # Torch7's ascii form
        return True
    if len(head) < 16:
        return False
    tag, index, third, fourth = struct.unpack("<4i", head[:16])
    if tag == TORCH7_OBJECT and index >= 1:
        return head[12:14] == b"V " or (third > 0 and head[12:].startswith((b"torch.", b"nn.")))
    return tag == TORCH7_TABLE and index >= 1 and 0 <= third < 1 << 24 and 0 <= fourth <= TORCH7_TAGS


def _is_tar(head: bytes) -> bool:
    """A tar header: its checksum fits, in the oldest form as well."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _is_onnx(head: bytes) -> bool:
    """A protocol buffer whose first field is a small version number and whose second is one of ONNX's."""
    return len(head) > 2 and head[0] == 8 and 0 < head[1] <= LARGEST_IR_VERSION and head[2] in ONNX_FIELDS
