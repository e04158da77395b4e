"""sha256 of files, remembered while a file stays as it is: evaluators ask for the same digest several times."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

# A file changed more recently than this is always read: two changes within one tick of the file system's
# clock look alike.
SETTLED_SECONDS = 2.0
_known: dict[tuple[str, int, int, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        OSError: the file cannot be read.
    """
    state = path.stat()
    key = (str(path.resolve()), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    if key in _known:
        return _known[key]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if time.time() - max(state.st_mtime, state.st_ctime) > SETTLED_SECONDS:
        _known[key] = digest
    return digest
