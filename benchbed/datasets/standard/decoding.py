"""Every frame of every clip decoded once, by several processes, to see whether it can be."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.standard.manifest import files_sha256
from benchbed.errors import ClipError

CRASHED = "its decoder crashed; replace the file"


@dataclass(frozen=True)
class ClipCheck:
    """What decoding a clip told.

    Args:
        id: of the clip.
        frames: decoded, 0 where it cannot be.
        sizes: (height, width) of its frames, the most frequent first.
        fps: of the container, None where it states none.
        sha256: see `manifest.files_sha256`; empty where it cannot be read.
        problem: why it cannot be decoded; empty where it can.
        notes: what had to be converted.
    """

    id: str
    frames: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    fps: float | None = None
    sha256: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()


def check_clip(clip: ClipFile, alpha: str = "drop") -> ClipCheck:
    """Decode all frames of a clip and hash its bytes; whatever is wrong with it is in the result."""
    from benchbed.datasets.images import decode_image
    from benchbed.datasets.video_io import read_video

    if clip.broken:
        return ClipCheck(clip.id, problem=clip.broken)
    try:
        digest = files_sha256(clip.files, is_folder=clip.is_folder)
    except OSError as error:
        return ClipCheck(clip.id, problem=f"cannot be read: {error.strerror or error}")
    try:
        if not clip.is_folder:
            video = read_video(clip.files[0], alpha)
            size = (video.frames.shape[1], video.frames.shape[2])
            return ClipCheck(clip.id, len(video.frames), (size,), video.fps, digest, notes=video.notes)
        sizes: Counter[tuple[int, int]] = Counter()
        notes: dict[str, None] = {}
        for file in clip.files:
            pixels, converted = decode_image(file, alpha)
            sizes[pixels.shape[0], pixels.shape[1]] += 1
            notes |= dict.fromkeys(converted)
    except ClipError as error:
        return ClipCheck(clip.id, sha256=digest, problem=str(error))
    ordered = tuple(size for size, _ in sizes.most_common())
    return ClipCheck(clip.id, len(clip.files), ordered, None, digest, notes=tuple(notes))


def check_clips(clips: Sequence[ClipFile], alpha: str = "drop", workers: int = 1) -> Iterator[ClipCheck]:
    """The checks of all clips, in whatever order they are done.

    A clip that kills its process is named; the others are checked all the same.

    Args:
        workers: processes; 1 decodes in this one.
    """
    if workers <= 1 or len(clips) <= 1:
        for clip in clips:
            yield check_clip(clip, alpha)
        return
    done: set[str] = set()
    for check in _in_processes(clips, alpha, min(workers, len(clips))):
        done.add(check.id)
        yield check
    for clip in clips:  # left over where a process died: nobody knows whose fault it was
        if clip.id not in done:
            yield next(_in_processes([clip], alpha, 1), ClipCheck(clip.id, problem=CRASHED))


def _in_processes(clips: Sequence[ClipFile], alpha: str, workers: int) -> Iterator[ClipCheck]:
    """Checks until all are done or a process dies."""
    # Decoders start threads, which a forked process does not survive.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            waiting: list[Future[ClipCheck]] = [pool.submit(check_clip, clip, alpha) for clip in clips]
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
