"""Which files hold the frames of which case, what is missing, and what belongs to none."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchbed.datasets.clip_files import probe, scan
from benchbed.datasets.containers import is_image
from benchbed.datasets.images import check_readable
from benchbed.datasets.layouts import IMAGE_SUFFIXES, ClipFile
from benchbed.errors import BenchbedError, ClipError
from benchbed.external.names import CaseKey, NameTable, name_table, plain
from benchbed.interfaces.protocol import Case

COLUMNS = ("case", "path")
# Where the scripts of FOMM and its descendants save the frames alone; what lies beside it shows several videos in one.
FRAMES_ALONE = "png"


@dataclass
class Match:
    """What was found for the cases of a protocol.

    Args:
        files: by case.
        refused: by case why there are no frames to score, `kind: sentence`.
        extra: paths that belong to no case, with why.
        tables: by setting what the cases may be called.
    """

    files: dict[CaseKey, ClipFile] = field(default_factory=dict)
    refused: dict[CaseKey, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    tables: dict[str, NameTable] = field(default_factory=dict)


def match_frames(
    folder: Path,
    cases: Mapping[str, Sequence[Case]],
    *,
    paths: Path | None = None,
    pair_order: str | None = None,
) -> Match:
    """Find the frames of every case below a folder.

    Args:
        folder: with a clip (see `benchbed.datasets.clip_files.scan`) per case.
        cases: by setting; where there are several, those of each lie in a folder called like the setting.
        paths: a CSV of columns `case,path` (and `setting`) for files with other names; it goes before the names.
        pair_order: see `benchbed.external.names.name_table`.

    Raises:
        BenchbedError: the folder or the list cannot be read, nothing in it belongs to any case, or the order of two
            clips in a name has to be known.
    """
    if not folder.is_dir():
        raise BenchbedError(
            f"'{folder}' is no folder; --generated wants the folder that holds the generated frames"
        )
    match = Match(tables={setting: name_table(own, pair_order) for setting, own in cases.items()})
    listed = {} if paths is None else _listed(paths, folder, match)
    try:
        found = scan(folder).clips
    except OSError as error:
        raise BenchbedError(f"{error.filename or folder} cannot be listed: {error.strerror}") from error
    claims: dict[CaseKey, list[ClipFile]] = {}
    undecided: list[str] = []
    taken = {file.files[0] for file in listed.values()}
    for entry in found:
        if entry.files[0] not in taken:
            _claim(entry, match, claims, undecided)
    if undecided:
        raise BenchbedError(
            f"'{undecided[0]}' joins its two clips by one dash: which comes first? add --pair-order driving-source "
            "(as the scripts of FOMM and its descendants save them) or source-driving, or call it SOURCE--DRIVING"
        )
    for key, entries in claims.items():
        if key not in listed:
            _settle(key, entries, match)
    match.files |= listed
    _explain_missing(folder, cases, match)
    if not match.files:
        reasons = [reason for reason in match.refused.values() if not reason.startswith("missing")]
        if reasons:
            raise BenchbedError(f"'{folder}' holds no frames that can be scored: {reasons[0]}")
        there = next((f"'{path}'" for path in match.extra), "no clip at all")
        setting, own = next(iter(cases.items()))
        expected = _expected(match, setting, own[0].id)
        raise BenchbedError(
            f"'{folder}' holds frames of none of the {sum(map(len, cases.values()))} cases "
            f"(there is {there}, expected are names like '{expected}'); "
            "--list-expected prints them all"
        )
    return match


def _claim(
    entry: ClipFile, match: Match, claims: dict[CaseKey, list[ClipFile]], undecided: list[str]
) -> None:
    setting, path = _setting_of(entry.id, match)
    if setting is None:
        match.extra[entry.id] = f"in no folder of a setting ({', '.join(map(plain, match.tables))})"
        return
    table = match.tables[setting]
    meant = table.cases_of(path)
    if len(meant) == 1:
        claims.setdefault(meant[0], []).append(entry)
    elif meant:
        match.extra[entry.id] = f"could be any of {', '.join(case for _, case in meant[:3])}"
    elif table.order_needed(path):
        undecided.append(entry.id)
    elif entry.is_folder:
        # Wide images of few frames, or with a broken one among them, look like the frames of one clip.
        images = [ClipFile(f"{entry.id}/{image.name}", (image,), is_folder=False) for image in entry.files]
        if any(table.cases_of(f"{path}/{image.files[0].name}") for image in images):
            for image in images:
                _claim(image, match, claims, undecided)
        else:
            match.extra[entry.id] = "no case has this name"
    else:
        match.extra[entry.id] = "no case has this name"


def _setting_of(path: str, match: Match) -> tuple[str | None, str]:
    """The setting whose folder a path lies in, and the path below it; of a single one everything is."""
    if len(match.tables) == 1:
        return next(iter(match.tables)), path
    parts = path.split("/")
    for position, part in enumerate(parts[:-1]):
        for setting in match.tables:
            if plain(part) == plain(setting):
                return setting, "/".join(parts[position + 1 :])
    return None, path


def _settle(key: CaseKey, entries: list[ClipFile], match: Match) -> None:
    """One of the files that claim a case; none where nothing tells which."""
    alone = [entry for entry in entries if FRAMES_ALONE in entry.id.split("/")[:-1]]
    chosen = alone if len(entries) > 1 and len(alone) == 1 else entries
    if len(chosen) == 1:
        match.files[key] = chosen[0]
        for entry in entries:
            if entry is not chosen[0]:
                match.extra[entry.id] = f"'{chosen[0].id}' has the frames alone and is taken"
        return
    names = ", ".join(f"'{entry.id}'" for entry in entries)
    match.refused[key] = f"named twice: {names} are all called like it"


def _explain_missing(folder: Path, cases: Mapping[str, Sequence[Case]], match: Match) -> None:
    absent = {
        (setting, case.id): case
        for setting, own in cases.items()
        for case in own
        if (setting, case.id) not in match.files and (setting, case.id) not in match.refused
    }
    if not absent:
        return
    used = {path for file in match.files.values() for path in file.files}
    for path in sorted(folder.rglob("*")):
        if path in used or not path.is_file() or path.name.startswith("."):
            continue
        setting, below = _setting_of(path.relative_to(folder).as_posix(), match)
        meant = match.tables[setting].cases_of(below) if setting is not None else ()
        if len(meant) == 1 and meant[0] in absent:
            match.refused[meant[0]] = f"unreadable: {_no_clip(folder, path)}"
            match.extra.pop(path.relative_to(folder).as_posix(), None)
            del absent[meant[0]]
    for setting, case in absent:
        match.refused[setting, case] = f"missing: nothing is called '{_expected(match, setting, case)}'"


def _expected(match: Match, setting: str, case: str) -> str:
    """The clearest name of a case, below the folder of its setting where there are several."""
    prefix = f"{plain(setting)}/" if len(match.tables) > 1 else ""
    return prefix + match.tables[setting].preferred[setting, case]


def _no_clip(folder: Path, path: Path) -> str:
    name = path.relative_to(folder).as_posix()
    try:
        height, width = probe(ClipFile(name, (path,), is_folder=False)).sizes[0]
    except (ClipError, OSError, IndexError):
        return f"'{name}' is neither video nor image"
    return (
        f"'{name}' is a single image of {width}x{height}; frames side by side are square, so that their width is a "
        "multiple of the height"
    )


def _listed(paths: Path, folder: Path, match: Match) -> dict[CaseKey, ClipFile]:
    """The files a CSV names, by case; what it gets wrong goes into the match."""
    try:
        text = paths.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BenchbedError(
            f"--paths '{paths}' cannot be read ({error.strerror}); give a CSV of case,path"
        ) from error
    except UnicodeDecodeError as error:
        raise BenchbedError(f"--paths '{paths}' is no text file; give a CSV of case,path") from error
    lines = csv.DictReader(text.splitlines())
    absent = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
    if absent:
        raise BenchbedError(f"--paths '{paths.name}' has no column '{absent[0]}'; give a CSV of case,path")
    files: dict[CaseKey, ClipFile] = {}
    for row in lines:
        name, path = ((row[column] or "").strip() for column in COLUMNS)
        key = _case_meant(name, (row.get("setting") or "").strip(), match)
        if key is None:
            match.extra[f"{paths.name}, line {lines.line_num}: {name}"] = "no case has this name"
        elif key in files or key in match.refused:
            raise BenchbedError(
                f"--paths '{paths.name}', line {lines.line_num}: case '{name}' is listed twice; keep one line"
            )
        else:
            _take_listed(key, path, folder, files, match)
    return files


def _case_meant(name: str, setting: str, match: Match) -> CaseKey | None:
    tables = [table for own, table in match.tables.items() if setting in ("", own)]
    found = {key for table in tables for key in table.preferred if key[1] == name}
    found = found or {key for table in tables for key in table.cases_of(name)}
    return found.pop() if len(found) == 1 else None


def _take_listed(key: CaseKey, path: str, folder: Path, files: dict[CaseKey, ClipFile], match: Match) -> None:
    place = folder / path
    if path and place.is_file():
        files[key] = ClipFile(path, (place,), is_folder=False)
    elif path and place.is_dir():
        images = _images(place)
        if images:
            files[key] = ClipFile(path, images, is_folder=True)
        else:
            match.refused[key] = f"unreadable: '{path}' holds no images"
    else:
        match.refused[key] = f"missing: there is no '{path}', which --paths names"


def _images(folder: Path) -> tuple[Path, ...]:
    """The images right below a folder that a list calls a clip: frames, whatever their shape."""
    names = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return tuple(path for path in names if _is_image(path))


def _is_image(path: Path) -> bool:
    try:
        return is_image(check_readable(path))
    except ClipError:
        return path.suffix.lower() in IMAGE_SUFFIXES  # broken: named when its frames are asked for
