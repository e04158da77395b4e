"""Any folder of videos as a dataset: video files, gifs, wide picture strips, folders of frames, tar shards."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from benchbed.datasets.clip_files import SHARD_SUFFIX, Scan, probe, scan, scan_shard
from benchbed.datasets.clip_frames import clip_length, decode_clip, decode_frames, planes
from benchbed.datasets.images import check_alpha_rule
from benchbed.datasets.layouts import ClipFile, clip_name, without_doubles
from benchbed.datasets.video_io import decoder_name
from benchbed.errors import BenchbedError, ClipError
from benchbed.frames import RESIZE_RULE
from benchbed.interfaces.dataset import Clip, ExactKeypoints

if TYPE_CHECKING:
    from torch import Tensor

SPLITS = ("train", "test")
DEFAULT_RESOLUTION = 256
PROBED_CLIPS = 8
DECODED_CLIPS_KEPT = 2  # protocols read source and driving frames of the same clip one after the other
CHUNK = 1 << 20


def open_folder(
    path: Path | str, *, resolution: int | None = None, domain: str = "other", alpha: str = "drop"
) -> VideoFolder:
    """A folder of clips, or one clip file, as a dataset.

    Layouts: `path/train` and `path/test` with clips in them, or clips directly (all of them are `test`). A
    clip is a video file, a gif, one wide image (square frames side by side) or a folder of PNG/JPG frames, at
    any depth, on disk or inside tar shards (`KEY.mp4`, `KEY.FRAME.png` or `KEY/0000000.png`). Its id is its path
    without the suffix, the same in all layouts. Opening reads names and headers only; a broken clip is reported
    when its frames are asked for.

    Args:
        path: the folder, or a single clip file or shard.
        resolution: frames are made square, this many pixels (stretched, as the field does); None takes the
            clips' own size where they are square and all alike, else 256.
        domain: `face`, `body`, `robot`, `animal` or `other`; decides which evaluators apply.
        alpha: `drop` the fourth channel as the field's loaders do, or composite on `white`.

    Raises:
        BenchbedError: the path does not exist, or holds no clip.
    """
    path = Path(path)
    check_alpha_rule(alpha)
    if resolution is not None and resolution < 8:
        raise BenchbedError(f"resolution {resolution} is too small; give at least 8 pixels")
    if not path.exists():
        raise BenchbedError(f"dataset path '{path}' does not exist; give a folder of videos")
    splits: dict[str, Scan] = {}
    try:
        if path.suffix.lower() == SHARD_SUFFIX and path.is_file():
            splits = {"test": scan_shard(path)}
        elif path.is_dir():
            present = [split for split in SPLITS if (path / split).is_dir()]
            splits = {split: scan(path / split) for split in present} or {"test": scan(path)}
        else:
            splits = {"test": Scan((ClipFile(path.name, (path,), is_folder=False),), ())}
    except OSError as error:
        raise BenchbedError(f"{error.filename or path} cannot be listed: {error.strerror}") from error
    if not any(found.clips for found in splits.values()):
        ignored = "; ".join(note for found in splits.values() for note in found.ignored)
        raise BenchbedError(
            f"{path} holds no clip{f' ({ignored})' if ignored else ''}; put video files, gifs, wide picture "
            "strips or one folder of frames per clip there, or into its sub-folders train and test"
        )
    return VideoFolder(path, splits, resolution=resolution, domain=domain, alpha=alpha)


class VideoFolder:
    """The dataset `open_folder` returns; see `benchbed.interfaces.dataset.Dataset`."""

    def __init__(
        self, path: Path, splits: dict[str, Scan], *, resolution: int | None, domain: str, alpha: str
    ) -> None:
        self.path = path
        self.name = path.stem if path.is_file() else path.resolve().name
        self.domain = domain
        self.decoder = decoder_name()
        self._alpha = alpha
        self._files: dict[str, ClipFile] = {}
        self._clips: dict[str, list[Clip]] = {}
        for split in sorted(splits):  # test before train: its ids stay as published lists have them
            self._clips[split] = [
                self._register(split, file) for file in without_doubles(splits[split].clips)
            ]
        size, sentences = _common_size([*self._files.values()], resolution, alpha)
        self.resolution = (size, size)
        ignored = [f"{split}: {note}" for split, found in splits.items() for note in found.ignored]
        self.notes = (*sentences, *ignored)
        self._lengths: dict[str, int] = {}
        self._decoded: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = Lock()

    def _register(self, split: str, file: ClipFile) -> Clip:
        name = clip_name(file.id)
        clip_id = name if name not in self._files else f"{split}/{name}"
        self._files[clip_id] = file
        return Clip(id=clip_id, identity=identity_of(name), domain=self.domain)

    if TYPE_CHECKING:
        fingerprint: str  # a plain attribute to others; computed when asked for, as it reads all files
    else:

        @cached_property
        def fingerprint(self) -> str:
            """Sha256 over every clip's split, id and contents, and the rules that turn them into frames."""
            return self._digest()

    def clips(self, split: str) -> list[Clip]:
        """The clips of a split, sorted by id.

        Raises:
            BenchbedError: the folder has no such split, or it is empty.
        """
        if split not in self._clips:
            raise BenchbedError(
                f"dataset '{self.name}' has no split '{split}' (it has: {', '.join(sorted(self._clips))}); "
                f"put its clips into {self.path.name}/{split}"
            )
        if not self._clips[split]:
            raise BenchbedError(f"split '{split}' of dataset '{self.name}' is empty; put clips into it")
        return list(self._clips[split])

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id, from any split.

        Raises:
            BenchbedError: no clip has that id.
        """
        for clips in self._clips.values():
            for clip in clips:
                if clip.id == clip_id:
                    return clip
        raise BenchbedError(f"dataset '{self.name}' has no clip '{clip_id}'")

    def frames(self, clip_id: str) -> Tensor:
        """All frames of a clip at the dataset's resolution, uint8 `[T, 3, H, W]` RGB; not to be written to.

        Raises:
            ClipError: the clip is corrupt, empty or truncated; the message names it.
        """
        held = self._held(clip_id)
        if held is not None:
            return held
        self.clip(clip_id)
        frames = planes(decode_clip(self._files[clip_id], self._alpha, self.resolution))
        with self._lock:
            self._lengths[clip_id] = len(frames)
            self._decoded[clip_id] = frames
            while len(self._decoded) > DECODED_CLIPS_KEPT:
                self._decoded.popitem(last=False)
        return frames

    def frames_at(self, clip_id: str, numbers: Sequence[int]) -> Tensor:
        """Some frames of a clip, those of `frames` bit by bit, without decoding all the others; uint8 `[N, 3, H, W]`.

        Raises:
            ClipError: the clip is damaged as far as it was read, or has no such frame; the message names it.
        """
        held = self._held(clip_id)
        if held is not None and min(numbers) >= 0 and max(numbers) < len(held):
            return held[list(numbers)]
        self.clip(clip_id)
        return planes(decode_frames(self._files[clip_id], numbers, self._alpha, self.resolution))

    def frame_count(self, clip_id: str) -> int:
        """How many frames `frames` gives, from headers where they are to be trusted.

        Raises:
            ClipError: the clip is corrupt, empty or truncated as far as it was read.
        """
        if clip_id not in self._lengths:
            self.clip(clip_id)
            self._lengths[clip_id] = clip_length(self._files[clip_id])
        return self._lengths[clip_id]

    def _held(self, clip_id: str) -> Tensor | None:
        with self._lock:
            if clip_id not in self._decoded:
                return None
            self._decoded.move_to_end(clip_id)
            return self._decoded[clip_id]

    def truth(self, source: str, driving: str, transfer: str) -> str | None:
        """None: nobody filmed one identity in another's motion. A clip drives itself, with itself as the answer."""
        return driving if source == driving else None

    def keypoints(self, clip_id: str) -> ExactKeypoints | None:
        """None: nobody knows the key points of a real video exactly."""
        return None

    def _digest(self) -> str:
        digest = hashlib.sha256()
        rules = (f"{self.resolution[0]}x{self.resolution[1]}", self._alpha, RESIZE_RULE, self.decoder)
        digest.update("\n".join(rules).encode())
        for split in sorted(self._clips):
            for clip in sorted(self._clips[split], key=lambda clip: clip.id):
                content = _content_digest(self._files[clip.id])
                digest.update(f"\n{split}\t{clip.id}\t{content}".encode())
        return digest.hexdigest()


def identity_of(clip_id: str) -> str:
    """Whose clip it is: the name up to the first `#` (as FOMM names files), else the first folder or the clip."""
    name = clip_id.rsplit("/", 1)[-1]
    if "#" in name:
        return name.split("#", 1)[0]
    return clip_id.split("/", 1)[0]


def _common_size(files: list[ClipFile], resolution: int | None, alpha: str) -> tuple[int, list[str]]:
    """Side of the square frames, and the sentences about how clips are brought to it."""
    sizes: list[tuple[int, int]] = []
    transparent = False
    probed = 0
    for file in files:
        try:
            found = probe(file)
        except ClipError:
            continue  # the clip is named when its frames are asked for; another one tells the size
        # A damaged container may declare no size; the clip is named when its frames are asked for.
        sizes += [size for size in found.sizes if min(size) > 0]
        transparent = transparent or found.alpha
        probed += 1
        if probed == PROBED_CLIPS:
            break
    distinct = sorted(set(sizes))
    common = distinct[0][0] if len(distinct) == 1 and distinct[0][0] == distinct[0][1] else None
    side = resolution or common or DEFAULT_RESOLUTION
    sentences = []
    other = [f"{width}x{height}" for height, width in distinct if (height, width) != (side, side)]
    if other:
        shown = ", ".join(other[:3]) + (", ..." if len(other) > 3 else "")
        stretched = any(height != width for height, width in distinct)
        sentences.append(
            f"frames are resized{' and stretched' if stretched else ''} from {shown} to {side}x{side} "
            "(skimage, bilinear, antialiased)"
        )
    if transparent:
        rule = "dropped, as the field's loaders do" if alpha == "drop" else "composited on white"
        sentences.append(f"transparency is {rule}")
    return side, sentences


def _content_digest(file: ClipFile) -> str:
    digest = hashlib.sha256()
    for path in file.files:
        if file.is_folder:
            digest.update(f"\n{path.name}\n".encode())
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except OSError as error:
            digest.update(f"unreadable: {error.errno}".encode())
    return digest.hexdigest()
