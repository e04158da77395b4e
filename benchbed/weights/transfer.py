"""One download over HTTP that survives interruptions: a partial file, and a note of what it is a part of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchbed.errors import CheckpointError
from benchbed.files import replacing

Progress = Callable[[int, int | None], None]
Notice = Callable[[str], None]
CHUNK = 1 << 20
SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Part:
    """What a broken download left.

    Args:
        size: bytes that came.
        validator: the server's strong ETag or date of the whole file.
    """

    size: int
    validator: str


def download(
    address: str,
    part: Path,
    *,
    again: str,
    otherwise: str,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> None:
    """Bring the file at an address to `part`, continuing where an earlier call broke off.

    Args:
        address: http or https.
        part: the partial file; beside it lies a note (address and ETag or date) while it is not complete.
        again: the command that repeats or continues this, for messages.
        otherwise: what to do on a machine without internet, for messages.
        progress: called with bytes so far and bytes in all (None where the server does not say).
        notice: called with a sentence where the download continues or starts over.

    Raises:
        CheckpointError: the download failed; what came is kept where the server can continue it.
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    say = notice or (lambda _: None)
    kept = _kept(part, address, say)
    headers = {"User-Agent": "benchbed"}
    if kept:
        headers |= {"Range": f"bytes={kept.size}-", "If-Range": kept.validator}
    request = urllib.request.Request(address, headers=headers)
    total = None
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as answer:
            if kept is None or not _continues(answer, part, kept, say):
                discard(part)
                _note(part, address, answer.headers)
            done = part.stat().st_size if part.exists() else 0
            length = answer.headers.get("Content-Length", "")
            total = done + int(length) if length.isdigit() else None
            _receive(answer, part, done, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and kept:
            # Asked for bytes behind the end: everything came already, or the file is a shorter one now.
            if error.headers.get("Content-Range", "").endswith(f"/{kept.size}"):
                return
            discard(part)
            say("the file at the server changed since the download broke off; starting over")
            return download(address, part, again=again, otherwise=otherwise, progress=progress, notice=notice)
        raise CheckpointError(
            f"{address} answered {error.code} {error.reason}; get the file elsewhere and run: "
            "benchbed weights add FILE"
        ) from error
    except (
        urllib.error.URLError,
        TimeoutError,
        http.client.HTTPException,
        ConnectionError,
        ssl.SSLError,
    ) as error:
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(
            f"{address} could not be downloaded: {reason}; {_advice(part, again, otherwise)}"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{part.parent} cannot be written: {error.strerror}; free some space there or set BENCHBED_WEIGHTS "
            f"to another folder, then run: {again}"
        ) from error
    done = part.stat().st_size
    if total is not None and done != total:
        raise CheckpointError(
            f"{address} broke off after {done} of {total} bytes; {_advice(part, again, otherwise)}"
        )


def discard(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _receive(answer: Any, part: Path, done: int, total: int | None, progress: Progress | None) -> None:
    with part.open("ab") as stream:
        # read1, not read: what came before a connection breaks is kept to the last byte.
        while chunk := answer.read1(CHUNK):
            stream.write(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _note(part: Path, address: str, headers: Any) -> None:
    """Note what a beginning download is of; nothing is noted where the server gives nothing to go by."""
    validator = _validator(headers)
    if validator and headers.get("Accept-Ranges", "").lower() != "none":
        with replacing(_note_path(part)) as temporary:
            temporary.write_text(json.dumps({"address": address, "validator": validator}), encoding="utf-8")


def _validator(headers: Any) -> str:
    etag = headers.get("ETag", "")
    # A weak ETag allows other bytes, so it cannot be continued on (RFC 9110, 13.1.5).
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _kept(part: Path, address: str, say: Notice) -> Part | None:
    """What an earlier call left of the file at this address; anything else is removed."""
    if not part.is_file():
        return None
    try:
        note = json.loads(_note_path(part).read_text(encoding="utf-8"))
        same, validator = note["address"] == address, str(note["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        same, validator = False, ""
    size = part.stat().st_size
    if same and validator and size:
        return Part(size, validator)
    if size:
        say("what an earlier download left cannot be continued from this address; starting over")
    discard(part)
    return None


def _continues(answer: Any, part: Path, kept: Part, say: Notice) -> bool:
    """Whether the answer is the rest of the file, from the byte where the part ends."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if answer.status == 206 and found and int(found.group(1)) == kept.size:
        say(f"continuing after {kept.size / 2**20:.1f} MiB that came earlier")
        return True
    if answer.status == 206:
        discard(part)
        raise ConnectionError("the server sent another part than was asked for")
    changed = _validator(answer.headers) != kept.validator
    why = (
        "the file at the server changed since the download broke off"
        if changed
        else "the server cannot continue a download"
    )
    say(f"{why}; starting over")
    return False


def _advice(part: Path, again: str, otherwise: str) -> str:
    if part.is_file() and _note_path(part).is_file() and part.stat().st_size:
        return f"what came is kept, and the same command continues: {again}"
    part.unlink(missing_ok=True)
    return f"check the connection and repeat: {again} (or {otherwise})"
