"""What the files of a case may be called: names of the field's scripts, of any folder layout, of nobody in particular."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchbed.datasets.layouts import CLIP_SUFFIXES, IMAGE_SUFFIXES
from benchbed.interfaces.protocol import Case

SUFFIXES = (*CLIP_SUFFIXES, *IMAGE_SUFFIXES)
SOURCE_FIRST, DRIVING_FIRST = PAIR_ORDERS = ("source-driving", "driving-source")

CaseKey = tuple[str, str]  # setting and case id


def plain(text: str) -> str:
    """A clip id or path as one name: `/` and spaces become `_`."""
    return text.replace("/", "_").replace(" ", "_")


def without_suffixes(name: str) -> Iterator[str]:
    """The name, then without each suffix of a video or image it ends in (`a.mp4.png`, `a.mp4`, `a`).

    Ids of published videos hold dots: nothing but such a suffix is taken off.
    """
    yield name
    while name.lower().endswith(SUFFIXES):
        name = name[: name.rindex(".")]
        yield name


def spellings(path: str) -> Iterator[str]:
    """All names a file or folder at `path` goes by, the most telling first: leading folders may be missing."""
    parts = path.split("/")
    for start in range(len(parts)):
        yield from without_suffixes(plain("/".join(parts[start:])))


@dataclass(frozen=True)
class NameTable:
    """Which name means which case.

    Args:
        meaning: by name the cases it could mean; more than one: it means none of them.
        undecided: names that join source and driving clip by a single dash, while nobody said in which order.
        preferred: by case the clearest name that means it alone; its id where there is none.
    """

    meaning: dict[str, tuple[CaseKey, ...]]
    undecided: frozenset[str]
    preferred: dict[CaseKey, str]

    def cases_of(self, path: str) -> tuple[CaseKey, ...]:
        """The cases that a path could mean: empty for none, several where its name is ambiguous."""
        return next((self.meaning[name] for name in spellings(path) if name in self.meaning), ())

    def order_needed(self, path: str) -> bool:
        """Whether a path means a case only once the order of its two clips is known."""
        return any(name in self.undecided for name in spellings(path))


def name_table(cases: Sequence[Case], pair_order: str | None) -> NameTable:
    """The names of the cases of one setting.

    A case of one clip goes by the clip's id or file name, with or without suffix. A case of two goes by
    `SOURCE--DRIVING`, by its id, and by the two names with a single dash in the order of `pair_order`. That order is
    never guessed: the scripts of FOMM and its descendants write the driving clip first, others the source.
    """
    meaning: dict[str, list[CaseKey]] = {}
    names_of: dict[CaseKey, list[str]] = {}
    undecided: set[str] = set()
    for case in cases:
        key = (case.setting, case.id)
        names_of[key] = list(dict.fromkeys(_names(case, pair_order)))
        for name in names_of[key]:
            meaning.setdefault(name, []).append(key)
        if pair_order is None:
            undecided |= set(_dashed(case, SOURCE_FIRST)) | set(_dashed(case, DRIVING_FIRST))
    preferred = {
        key: next((name for name in names if len(meaning[name]) == 1), key[1])
        for key, names in names_of.items()
    }
    return NameTable(
        {name: tuple(keys) for name, keys in meaning.items()}, frozenset(undecided - set(meaning)), preferred
    )


def _names(case: Case, pair_order: str | None) -> Iterator[str]:
    if case.source.clip == case.driving:
        yield from _clip_names(case.driving)
    else:
        for source, driving in _name_pairs(case):
            yield f"{source}--{driving}"
        if pair_order is not None:
            yield from _dashed(case, pair_order)
    yield plain(case.id)


def _dashed(case: Case, order: str) -> Iterator[str]:
    if case.source.clip == case.driving:
        return
    for source, driving in _name_pairs(case):
        yield f"{source}-{driving}" if order == SOURCE_FIRST else f"{driving}-{source}"


def _name_pairs(case: Case) -> Iterator[tuple[str, str]]:
    return zip(_clip_names(case.source.clip), _clip_names(case.driving), strict=True)


def _clip_names(clip: str) -> tuple[str, str, str, str]:
    """The id without and with suffix, then its last part alone, both ways."""
    whole, last = plain(clip), plain(clip.rsplit("/", 1)[-1])
    return [*without_suffixes(whole)][-1], whole, [*without_suffixes(last)][-1], last
