"""A standard data set from its root: the clips of the split, whose they are, and how many are missing."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchbed.datasets.clip_files import Scan, scan
from benchbed.datasets.layouts import IMAGE_SUFFIXES, ClipFile
from benchbed.datasets.standard.card import DATA_FOLDER, StandardCard, data_root, standard_card
from benchbed.datasets.standard.lists import published_pairs
from benchbed.datasets.standard.manifest import Manifest, MissingClip, clip_key, names_sha256, read_manifest
from benchbed.datasets.video_folder import SPLITS, VideoFolder
from benchbed.errors import BenchbedError
from benchbed.interfaces.dataset import Clip

LOSSY = "clips are mp4: the field measures on PNG frames, and H.264 changes key-point metrics noticeably"
NAMED_REASONS = 3


@dataclass(frozen=True)
class SplitState:
    """One split of a root, compared with what it should be.

    Args:
        name: `train` or `test`.
        present: clips that are there and belong to it.
        expected: clips that it should have; None where nobody says.
        basis: where that number comes from, in words.
        names: sha256 of the list of names it should have, see `manifest.names_sha256`; empty without a list.
        notes: sentences a reader of a table has to know.
    """

    name: str
    present: int
    expected: int | None
    basis: str
    names: str = ""
    notes: tuple[str, ...] = ()

    @property
    def incomplete(self) -> str:
        """`471 of 495` for a partial split, empty for a whole one and where nobody says how many there are."""
        if self.expected is None or self.present >= self.expected:
            return ""
        return f"{self.present} of {self.expected}"


def open_standard(
    name: str, root: Path | None = None, *, resolution: int | None = None, split: str | None = None
) -> StandardDataset:
    """A standard data set: its root, prepared or cut by other tools.

    Args:
        name: registered name.
        root: folder with `train` and `test`, or with the clips of the test split; None for `$BENCHBED_DATA/NAME`.
        resolution: frames are square, this many pixels; None takes what the root was prepared at, else the card's.
        split: open this one alone: the others are neither listed nor read nor in the fingerprint.

    Raises:
        BenchbedError: no such data set, it is not here, the root belongs to another one, or holds no clip.
    """
    card = standard_card(name)
    root = root if root is not None else data_root(name)
    if root is None:
        raise BenchbedError(_not_here(name))
    if not root.is_dir():
        raise BenchbedError(
            f"{name} root '{root}' is no folder; give the one that `benchbed data prepare` wrote, or a folder "
            "with train and test"
        )
    manifest = read_manifest(root)
    if manifest is not None and manifest.dataset != name:
        raise BenchbedError(
            f"{root} was prepared as {manifest.dataset}, not as {name}; write {manifest.dataset}={root}"
        )
    scans = scan_root(root, card, split)
    if not any(found.clips for found in scans.values()):
        ignored = "; ".join(note for found in scans.values() for note in found.ignored)
        raise BenchbedError(
            f"{root} holds no clip of {name}{f' ({ignored})' if ignored else ''}; prepare it with "
            f"`benchbed data prepare {name} --from RAW --to {root}`"
        )
    return StandardDataset(card, root, manifest, scans, resolution=resolution)


def _not_here(name: str) -> str:
    home = os.environ.get(DATA_FOLDER)
    where = f"${DATA_FOLDER}/{name} does not exist" if home else f"${DATA_FOLDER} is not set"
    folder = (
        f"; for the folder of that name here write {name}=./{name}, or ./{name} for any folder"
        if Path(name).is_dir()
        else ""
    )
    return (
        f"data set '{name}' is not on this machine ({where}): prepare it with `benchbed data prepare {name} "
        f"--from RAW --to ROOT`, then give --dataset ROOT, or {name}=PATH for clips that were cut already{folder}"
    )


def scan_root(root: Path, card: StandardCard, split: str | None = None) -> dict[str, Scan]:
    """The clips of a root by split; without folders `train` and `test`, everything is the test split.

    Raises:
        BenchbedError: a folder cannot be listed.
    """
    look = _stills if "stills" in card.layouts else scan
    try:
        present = [name for name in SPLITS if (root / name).is_dir()]
        chosen = [name for name in present if split in (None, name)]
        if present:
            return {name: look(root / name) for name in chosen}
        return {"test": look(root)} if split in (None, "test") else {}
    except OSError as error:
        raise BenchbedError(f"{error.filename or root} cannot be listed: {error.strerror}") from error


def _stills(root: Path) -> Scan:
    """Every image is a clip of one frame; one that is alone in a folder goes by the folder's name."""
    clips = []
    others = 0
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            others += 1
            continue
        alone = path.parent != root and len(list(path.parent.iterdir())) == 1
        clips.append(ClipFile((relative.parent if alone else relative).as_posix(), (path,), is_folder=True))
    ignored = (f"{others} files ignored, no images",) if others else ()
    return Scan(tuple(sorted(clips, key=lambda clip: clip.id)), ignored)


class StandardDataset(VideoFolder):
    """What `open_standard` returns; see `benchbed.interfaces.dataset.Dataset`.

    Attributes:
        card: of the data set.
        states: what each split has and should have, by name.
        metrics: names of those that apply to it.
    """

    def __init__(
        self,
        card: StandardCard,
        root: Path,
        manifest: Manifest | None,
        scans: dict[str, Scan],
        *,
        resolution: int | None,
    ) -> None:
        kept = {split: _of_manifest(found, manifest, split) for split, found in scans.items()}
        prepared = manifest.preprocessing.resolution[0] if manifest is not None else card.resolution
        super().__init__(root, kept, resolution=resolution or prepared, domain=card.domain, alpha=card.alpha)
        self.card = card
        self.name = card.name
        self.metrics = card.metrics
        self.states = {
            split: _state(card, manifest, split, kept[split], scans[split]) for split in sorted(kept)
        }
        lossy = manifest is not None and manifest.preprocessing.layout == "mp4" and card.layouts[0] != "mp4"
        self.notes = (
            *(note for state in self.states.values() for note in state.notes),
            *((LOSSY,) if lossy else ()),
            *self.notes,
        )

    def incomplete(self, split: str) -> str:
        """`471 of 495` where the split lacks clips, else empty."""
        return self.states[split].incomplete if split in self.states else ""

    def published_pairs(self, sha256: str) -> str:
        """Whose list of pairs has these bytes; empty for one that the data set's card does not know."""
        return published_pairs(self.card, sha256)

    def clips(self, split: str) -> list[Clip]:
        """The clips of a split, sorted by id, with identities by the data set's own rule.

        Raises:
            BenchbedError: the root has no such split, or it is empty.
        """
        return [self._identified(clip) for clip in super().clips(split)]

    def clip(self, clip_id: str) -> Clip:
        """The clip of that id, from any split.

        Raises:
            BenchbedError: no clip has that id.
        """
        return self._identified(super().clip(clip_id))

    def _identified(self, clip: Clip) -> Clip:
        own = clip.id
        for split in SPLITS:  # ids that both splits have carry the split's name in one of them
            own = own.removeprefix(f"{split}/")
        return replace(clip, identity=self.card.identity_of(own))

    if TYPE_CHECKING:
        fingerprint: str  # a plain attribute to others; computed when asked for, as it reads all files
    else:

        @cached_property
        def fingerprint(self) -> str:
            """Sha256 over the clips of the split and their contents, what the split should be, and all rules."""
            expected = {split: [state.expected, state.names] for split, state in self.states.items()}
            rules = f"{self.card.name}\n{self.card.identity}\n{expected}\n"
            return hashlib.sha256(f"{rules}{super().fingerprint}".encode()).hexdigest()


def _of_manifest(found: Scan, manifest: Manifest | None, split: str) -> Scan:
    """The clips that a manifest names; all where there is none, or none for this split."""
    record = manifest.split(split) if manifest is not None else None
    if record is None:
        return found
    named = {clip_key(clip.id) for clip in record.present}
    return Scan(tuple(clip for clip in found.clips if clip_key(clip.id) in named), found.ignored)


def _state(card: StandardCard, manifest: Manifest | None, split: str, kept: Scan, found: Scan) -> SplitState:
    """What a split should be: by its manifest's list, by a known list, or by what papers state."""
    record = manifest.split(split) if manifest is not None else None
    names = {clip_key(clip.id) for clip in kept.clips}
    notes = []
    if record is None or record.origin is None:
        expected, basis = counts_by_papers(card, split, names)
        state = SplitState(split, len(names), expected, basis)
        notes.append(f"{split} split: {len(names)} clips, {basis}")
        if state.incomplete:
            notes.append(f"{split} split is partial: n = {state.incomplete}")
        return replace(state, notes=tuple(notes))
    origin = record.origin
    used = (
        f"the list of {', '.join(origin.known_as)}"
        if origin.known_as
        else "none that a paper is known to use"
    )
    basis = f"by {origin.file} (sha256 {origin.sha256[:12]}...), {used}"
    state = SplitState(split, len(names), len(record.listed), basis, record.names_sha256)
    notes.append(f"{split} split {basis}")
    if state.incomplete:
        notes.append(f"{split} split is partial: n = {state.incomplete}{_reasons(record.missing)}")
    gone = {clip_key(clip.id) for clip in record.present} - names
    if gone:
        notes.append(f"{split} split: {_count(len(gone), 'prepared clip')} no longer there ({_some(gone)})")
    extra = {clip_key(clip.id) for clip in found.clips} - names
    if extra:
        notes.append(
            f"{split} split: {_count(len(extra), 'clip')} not in the manifest, left out ({_some(extra)})"
        )
    return replace(state, notes=tuple(notes))


def counts_by_papers(card: StandardCard, split: str, names: set[str]) -> tuple[int | None, str]:
    """How many clips a split without a list should have, and why.

    Args:
        names: of the clips that are there, without folder and suffix.

    Returns:
        Their number where they are those of a known list, or as many as anyone states; the fewest that anyone states
        where they are fewer; else None; and the reason in words.
    """
    digest = names_sha256(names)
    for file in card.files:
        if file.names.get(split) == digest:
            return len(names), f"those of {file.name} ({', '.join(file.used_by) or file.origin})"
    stated = {
        count.paper: getattr(count, split) for count in card.counts if getattr(count, split) is not None
    }
    stated |= {
        file.name: file.counts[split]
        for file in card.files
        if file.kind in ("metadata", "list") and split in file.counts
    }
    if not stated:
        return None, "no paper states how many there are"
    same = [source for source, count in stated.items() if count == len(names)]
    if same:
        return len(names), f"as many as {', '.join(same)}; there is no list to check them by"
    fewest = min(stated, key=lambda source: stated[source])
    if len(names) < stated[fewest]:
        return stated[fewest], f"fewer than the {stated[fewest]} of {fewest}, the fewest that anyone states"
    told = ", ".join(f"{source} {count}" for source, count in stated.items())
    return None, f"a number that nobody states ({told})"


def _reasons(missing: Sequence[MissingClip]) -> str:
    if not missing:
        return ""
    counted = Counter(one.reason for one in missing).most_common()
    named = ", ".join(f"{reason} ({count})" for reason, count in counted[:NAMED_REASONS])
    return f"; missing: {named}" + (", ..." if len(counted) > NAMED_REASONS else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
