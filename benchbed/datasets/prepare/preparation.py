"""Prepare a standard data set: plan, cut what is not there yet, account for the rest."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from benchbed.datasets.prepare.chunks import Chunk
from benchbed.datasets.prepare.packing import pack, packed_clips, remove_shards
from benchbed.datasets.prepare.plan import Absent, PreparationPlan, plan_preparation
from benchbed.datasets.prepare.raw import require_folder
from benchbed.datasets.prepare.records import (
    FOLDER,
    VERSION,
    Finished,
    Recipe,
    clip_path,
    read_finished,
    still_there,
)
from benchbed.datasets.prepare.recut import DISK_FULL, DiskFullError, Job
from benchbed.datasets.prepare.report import Report, build_report, write_missing
from benchbed.datasets.prepare.work import carry_out, suitable_workers
from benchbed.datasets.prepare.writers import LAYOUTS, STILLS
from benchbed.datasets.standard.card import StandardCard
from benchbed.datasets.standard.lists import read_split_list
from benchbed.datasets.standard.manifest import (
    Manifest,
    Preprocessing,
    SplitRecord,
    read_manifest,
    write_manifest,
)
from benchbed.errors import BenchbedError, StoreError
from benchbed.tracking.progress import Progress

SMALLEST = 8
LOSSY = "mp4 is lossy: the field measures on PNG frames, and H.264 changes key-point metrics noticeably; not for numbers"


def prepare(
    card: StandardCard,
    raw: Path,
    root: Path,
    *,
    lists: Sequence[Path] = (),
    layout: str | None = None,
    resolution: int | None = None,
    splits: Collection[str] = (),
    workers: int | None = None,
    limit: int | None = None,
    quiet: bool = False,
) -> Report:
    """Originals to a prepared root: `root/SPLIT/CLIP`, `root/benchbed.json` and `root/missing.csv`.

    Carried out again, it makes what is missing and nothing else: each clip has a record below `root/.benchbed`, and
    one that was being written when the process was killed has none.

    Args:
        card: the data set's.
        raw: the folder of originals.
        root: to be written to; made where it is not there.
        lists: a metadata table, lists of the clips of splits, or both; see `plan_preparation`.
        layout: one of `LAYOUTS`; None for PNG folders (images stay single images).
        resolution: side of the square frames, pixels; None takes the card's.
        splits: only these; empty for all.
        workers: processes; None for one per core.
        limit: only so many clips of each split, for trying out.
        quiet: no progress.

    Raises:
        BenchbedError: nothing to be done, or folders, lists and options that do not go together.
        StoreError: the disk is full; what is finished stays.
    """
    require_folder(raw)
    recipe = _recipe(card, layout, resolution)
    _check_folders(card, raw, root)
    plan = plan_preparation(card, raw, [read_split_list(path) for path in lists], splits=splits, limit=limit)
    with _alone(root):
        finished, jobs = _look(plan, root, recipe)
        kept = len(finished)
        failed = []
        count = sum(len(job.chunks) for job in jobs)
        running = carry_out(jobs, root, recipe, workers or suitable_workers(len(jobs)))
        try:
            with Progress(count, quiet=quiet) as progress, closing(running):
                for outcome in running:
                    chunk = outcome.chunk
                    progress.advance(f"{chunk.split}/{chunk.name}")
                    if outcome.finished is not None:
                        finished[chunk.split, chunk.name] = outcome.finished
                    else:
                        failed.append(Absent(chunk.split, chunk.name, outcome.kind, outcome.reason))
            _arrange(plan, root, recipe, finished)
        except DiskFullError as error:
            raise _no_space(root, len(finished)) from error
        except OSError as error:
            if error.errno in DISK_FULL:
                raise _no_space(root, len(finished)) from error
            raise
        gone = [one for one in plan.absent if (one.split, one.name) not in finished]
        absent = sorted([*gone, *failed], key=lambda one: (one.split, one.name))
        problems = (*plan.problems, LOSSY) if recipe.layout == "mp4" else plan.problems
        report = build_report(
            card, plan.splits, finished, absent, made=len(finished) - kept, problems=problems
        )
        write_missing(root, absent)
        write_manifest(root, _manifest(card, root, recipe, report.splits))
        return report


def _recipe(card: StandardCard, layout: str | None, resolution: int | None) -> Recipe:
    stills = card.layouts == (STILLS,)
    if stills and layout is not None:
        raise BenchbedError(f"{card.name} is a set of still images, each stays one; leave out --format")
    layout = STILLS if stills else layout or LAYOUTS[0]
    if layout not in (*LAYOUTS, STILLS):
        raise BenchbedError(f"unknown format '{layout}'; known: {', '.join(LAYOUTS)}")
    side = resolution if resolution is not None else card.resolution
    if side < SMALLEST or (layout == "mp4" and side % 2):
        wanted = "an even number of pixels" if side >= SMALLEST else f"at least {SMALLEST} pixels"
        raise BenchbedError(f"--resolution {side} cannot be written as {layout}; give {wanted}")
    return Recipe(layout, (side, side), card.alpha, ".gif" if card.layouts[0] == "gif" else ".mp4")


def _check_folders(card: StandardCard, raw: Path, root: Path) -> None:
    """What was written must not be taken for originals the next time."""
    source, target = raw.resolve(), root.resolve()
    if target == source or source in target.parents:
        raise BenchbedError(f"--to '{root}' lies in --from '{raw}'; give a folder beside it")
    if any(source == target / name or target / name in source.parents for name in ("train", "test", FOLDER)):
        raise BenchbedError(f"--from '{raw}' lies where --to '{root}' is written; give a folder beside it")
    if root.exists() and not root.is_dir():
        raise BenchbedError(f"--to '{root}' is no folder; give another one")
    before = _manifest_before(root)
    if before is not None and before.dataset != card.name:
        raise BenchbedError(
            f"--to '{root}' was prepared as {before.dataset}; give {card.name} a folder of its own"
        )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """The root for this process alone, rid of what a killed one left half written."""
    folder = root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            shutil.rmtree(folder / "work", ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(folder / "work", ignore_errors=True)
    except Timeout as error:
        raise BenchbedError(f"another `data prepare` is at work in {root}; wait for it to end") from error
    except OSError as error:
        raise StoreError(
            f"{root} cannot be written to: {error.strerror or error}; choose another --to"
        ) from error


def _look(
    plan: PreparationPlan, root: Path, recipe: Recipe
) -> tuple[dict[tuple[str, str], Finished], list[Job]]:
    """What is finished already, also from originals that are gone by now, and the jobs that are left."""
    packed = {split.name: packed_clips(root, split.name) for split in plan.splits}

    def look_up(chunk: Chunk, original_bytes: int | None) -> Finished | None:
        record = read_finished(root, chunk)
        if record is None or record.recipe != recipe.digest(chunk):
            return None
        if original_bytes is not None and record.original_bytes != original_bytes:
            return None
        in_shard = packed[chunk.split].get(record.clip.id, (None, ""))[1] == record.clip.sha256
        return record if in_shard or still_there(clip_path(root, chunk, recipe), record) else None

    finished: dict[tuple[str, str], Finished] = {}
    jobs = []
    for absent in plan.absent:
        if absent.chunk is not None and (record := look_up(absent.chunk, None)) is not None:
            finished[absent.split, absent.name] = record
    for job in plan.jobs:
        left = []
        for chunk in job.chunks:
            record = look_up(chunk, job.bytes)
            if record is not None:
                finished[chunk.split, chunk.name] = record
            else:
                left.append(chunk)
        if left:
            jobs.append(Job(job.original, tuple(left)))
    return finished, jobs


def _arrange(
    plan: PreparationPlan, root: Path, recipe: Recipe, finished: dict[tuple[str, str], Finished]
) -> None:
    """Pack tar shards; where frames are stored otherwise now, remove those of an earlier call."""
    for split in plan.splits:
        if recipe.layout != "tar":
            remove_shards(root, split.name)
            continue
        clips = [finished[split.name, name].clip for name in split.listed if (split.name, name) in finished]
        pack(root, split.name, clips, split.listed)


def _no_space(root: Path, finished: int) -> StoreError:
    return StoreError(
        f"the disk of {root} is full: {finished} clips are finished and stay; free some space and run the same "
        "command again"
    )


def _manifest(card: StandardCard, root: Path, recipe: Recipe, splits: Sequence[SplitRecord]) -> Manifest:
    """The manifest, with the splits that an earlier call prepared in the same way."""
    from benchbed.frames import RESIZE_RULE

    how = Preprocessing(VERSION, recipe.resolution, RESIZE_RULE, recipe.layout)
    before = _manifest_before(root)
    kept: list[SplitRecord] = []
    if before is not None and before.preprocessing == how:
        kept = [one for one in before.splits if one.name not in {split.name for split in splits}]
    return Manifest(card.name, how, tuple(sorted([*kept, *splits], key=lambda one: one.name)))


def _manifest_before(root: Path) -> Manifest | None:
    """What an earlier call wrote; None where that is damaged, as all of it is in the records."""
    try:
        return read_manifest(root)
    except BenchbedError:
        return None
