"""What the first bytes of a file tell: which kind it is, and how long it should be."""

from __future__ import annotations

from benchbed.datasets.shards import StoredFile

MATROSKA = b"\x1aE\xdf\xa3"
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a still image (gif counts as video)."""
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def is_gif(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a gif."""
    return head.startswith((b"GIF87a", b"GIF89a"))


def is_video(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a video container (gif counts)."""
    return (
        is_gif(head)
        or head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
        or _is_avi(head)
        or head.startswith((MATROSKA, b"FLV", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"0&\xb2u"))
    )


def declared_bytes(path: StoredFile) -> int | None:
    """How long an AVI or Matroska/WebM file says it is; None for other kinds and where it does not say.

    Demuxers play such a file to where it was cut and report nothing. mp4 and mov declare their frames instead.
    """
    with path.open("rb") as stream:
        head = stream.read(4096)
    if _is_avi(head):
        return 8 + int.from_bytes(head[4:8], "little")
    if not head.startswith(MATROSKA):
        return None
    header = _matroska_size(head, 4)
    if header is None:
        return None
    start = header[0] + header[1]
    if head[start : start + 4] != MATROSKA_SEGMENT:
        return None
    segment = _matroska_size(head, start + 4)
    return None if segment is None else segment[0] + segment[1]


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _matroska_size(head: bytes, at: int) -> tuple[int, int] | None:
    """Where an element's content starts and how long it is; None where that is unknown (a live recording)."""
    if at >= len(head) or not head[at]:
        return None
    length = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else (at + length, value)
