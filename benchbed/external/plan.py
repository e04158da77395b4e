"""The plan of a run that scores frames made elsewhere: the cases and measures of any other run, another generator."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchbed.datasets.catalog import fixes_alpha, open_dataset
from benchbed.datasets.layouts import ClipFile
from benchbed.datasets.video_io import decoder_name
from benchbed.errors import BenchbedError
from benchbed.external.frames import FileFrames
from benchbed.external.matching import Match, match_frames
from benchbed.external.names import plain
from benchbed.interfaces.dataset import Dataset
from benchbed.interfaces.protocol import Case
from benchbed.plan import (
    ANY_NUMBER,
    MethodPlan,
    RunPlan,
    RunRequest,
    Section,
    build_plan,
    metric_variants,
    plan_cases,
)
from benchbed.registry import Card, card, cards, unknown_name

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True)
class External:
    """Frames made elsewhere, and what their files do not say of themselves.

    Args:
        folder: that holds them.
        name: of the method that made them.
        paths: CSV of `case,path` for files with other names.
        pair_order: how names join source and driving clip by a single dash, None: they do not.
        settings: of the protocol, those that were made; empty: all.
        resize: frames of another size are resized instead of refused.
        first_frame: whether the first frame of every clip is there.
        few_shot: whether the method was given all views of the source at once; only sweeps have several.
        trained_on: data set of its training, `none` or `unknown`.
    """

    folder: Path
    name: str
    paths: Path | None = None
    pair_order: str | None = None
    settings: tuple[str, ...] = ()
    resize: bool = False
    first_frame: bool = True
    few_shot: bool = False
    trained_on: str = "unknown"


def check_name(name: str) -> str:
    """The name itself, once it can stand beside those of registered methods.

    Raises:
        BenchbedError: other characters than a name has, or the name of a method or of a variant of one.
    """
    if not NAME.fullmatch(name):
        raise BenchbedError(
            f"--name '{name}' cannot be used: give letters, digits, '-', '_' and '.', at most 60, a letter or digit first"
        )
    taken = {method.name.lower() for method in cards("method")}
    if name.lower() in taken or name.lower().partition(".")[0] in taken:
        raise BenchbedError(
            f"--name '{name}' belongs to a method of benchbed; call the frames something else, for example '{name}-mine'"
        )
    return name


def expected_cases(request: RunRequest, external: External) -> tuple[Dataset, dict[str, list[Case]]]:
    """The cases that frames are looked for, by setting, and their data set.

    Raises:
        BenchbedError: an unknown name or setting, or a data set that lacks something.
    """
    protocol = _protocol(request)
    name = request.datasets[0] if request.datasets else protocol.data.get("default_dataset", "puppets")
    dataset = open_dataset(
        name,
        resolution=request.resolution,
        domain=request.domain,
        alpha=_alpha(request),
        split=request.split,
    )
    known = plan_cases(protocol, dataset, request)
    chosen = [_setting(name, list(known)) for name in external.settings] or list(known)
    return dataset, {setting: known[setting][: request.limit] for setting in chosen}


def plan_evaluation(request: RunRequest, external: External) -> tuple[RunPlan, Match]:
    """Match files with cases, and plan to score them as method `external.name`.

    Args:
        request: as for `build_plan`; its methods are not looked at.

    Raises:
        BenchbedError: whatever `build_plan`, `match_frames` and `check_name` refuse.
    """
    check_name(external.name)
    if request.metrics:
        metric_variants(request.metrics)
    _, cases = expected_cases(request, external)
    match = match_frames(external.folder, cases, paths=external.paths, pair_order=external.pair_order)
    method = _method(_protocol(request), request, external, match)
    plan = build_plan(replace(request, methods=(external.name,), alpha=_alpha(request)), (method,))
    sections = tuple(section for section in plan.sections if section.setting in cases)
    if not external.first_frame:
        sections = tuple(without_first_frame(section) for section in sections)
    return replace(plan, sections=sections), match


def _protocol(request: RunRequest) -> Card:
    return card("protocol", request.protocols[0])


def _alpha(request: RunRequest) -> str | None:
    """Of the data set: one that is registered fixes its own, and the option then speaks of the generated frames alone."""
    return None if not request.datasets or fixes_alpha(request.datasets[0]) else request.alpha


def _setting(name: str, known: Sequence[str]) -> str:
    found = [setting for setting in known if plain(setting) == plain(name)]
    if not found:
        if list(known) == [""]:
            raise BenchbedError(f"--setting '{name}': this protocol has one setting only; leave it out")
        raise BenchbedError(unknown_name("setting", name, list(known)))
    return found[0]


def _method(protocol: Card, request: RunRequest, external: External, match: Match) -> MethodPlan:
    alpha = request.alpha or "drop"
    frames = FileFrames(
        external.name,
        match.files,
        match.refused,
        alpha=alpha,
        resize=external.resize,
        first_frame=external.first_frame,
        trained_on=external.trained_on,
    )
    described = {
        "title": "frames made elsewhere",
        "transfer": protocol.data["transfer"],
        "references": ANY_NUMBER if external.few_shot else 0,
    }
    decisive = [
        alpha, external.resize, external.first_frame, external.few_shot, external.trained_on,
        sorted(match.tables), decoder_name(),
        sorted([*key, file_digest(file)] for key, file in match.files.items()),
        sorted([*key, reason] for key, reason in match.refused.items()),
    ]  # fmt: skip
    fingerprint = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:16]
    method = Card("method", external.name, described, external.folder, "")
    return MethodPlan(method, None, None, fingerprint, frames=frames)


def file_digest(file: ClipFile) -> str:
    """Sha256 over the contents of a clip's files and, for a folder of frames, their names."""
    digest = hashlib.sha256()
    for path in file.files:
        digest.update(f"\n{path.name if file.is_folder else ''}\n".encode())
        try:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            digest.update(f"unreadable: {error.errno}".encode())
    return digest.hexdigest()


def without_first_frame(section: Section) -> Section:
    """The section measured from the second frame on, under keys of its own.

    Measures that leave the first frame out anyway stay as they are: their values are those of complete clips.
    """
    measures, keys = [], {}
    for measure in section.measures:
        key = section.keys[measure.key]
        if not (measure.skip_first or measure.reason):
            key = replace(key, protocol=f"{key.protocol} first-frame=skipped")
            measure = replace(measure, key=key.digest(), skip_first=True)
            if "segments" in measure.instruments:
                reason = "its segments start with the first frame, which these files leave out"
                measure = replace(measure, reason=reason)
        measures.append(measure)
        keys[measure.key] = key
    return replace(section, measures=tuple(measures), keys=keys)
