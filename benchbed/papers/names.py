"""From the papers' words to benchbed's: methods, ablations, protocols, data sets."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import Any

from benchbed.papers.printed import CellKey, published_file

BEST_OF_REFERENCES = "best-of-references"
_SIZE = re.compile(r"[-_ .]?(64|128|256|384|512)(px|x\d+)?$")
_VIEWS = re.compile(r"N_ref=(\d+)")


def registered_method(key: CellKey) -> str:
    """The registered name of a printed method (`anytime-v2` for the variant V2); empty where there is none."""
    methods = _data()["methods"]
    return str(methods.get(f"{key.method} {key.variant}".strip(), methods.get(key.method, "")))


def registered_protocol(key: CellKey) -> str:
    """The protocol that measures such a value; empty where benchbed has no counterpart."""
    if views(key) is not None:
        return "reference-sweep"
    return str(_data()["protocols"].get(key.protocol, ""))


def views(key: CellKey) -> int | None:
    """How many views beside the source a value was printed for; None for one-shot values."""
    found = _VIEWS.fullmatch(key.variant)
    if found:
        return int(found.group(1))
    if key.variant == BEST_OF_REFERENCES:
        return int(_data()["views"][BEST_OF_REFERENCES])
    if key.variant or key.protocol not in ("reconstruction", "animation"):
        return None
    number = _data()["views"].get(key.method)
    return None if number is None else int(number)


def ablation(key: CellKey) -> str:
    """The variant where it is an ablation of a method, empty otherwise (`M=20` is the full LIA)."""
    if key.variant in _data()["full"].get(key.method, ()):
        return ""
    known = f"{key.method} {key.variant}" in _data()["methods"] or _VIEWS.fullmatch(key.variant)
    return "" if known or key.variant == BEST_OF_REFERENCES else key.variant


def is_ablation(printed: str, name: str) -> bool:
    """Whether an ablation variant or a configuration (`m5-256`) is the printed one (`M=5`)."""
    plain = _plain(_SIZE.sub("", name.partition("+")[0]))
    return plain in (_plain(printed), *_data()["ablations"].get(printed, ()))


def printed_dataset(name: str) -> str:
    """The papers' name of a data set from its folder's or card's (`vox-256`: VoxCeleb); empty where it is none."""
    plain = _plain(_SIZE.sub("", name))
    for dataset, facts in _data()["datasets"].items():
        if plain in facts["aliases"]:
            return str(dataset)
    return ""


def printed_datasets() -> tuple[str, ...]:
    """All data sets of the published tables."""
    return tuple(_data()["datasets"])


def test_videos(paper: str, dataset: str) -> int | None:
    """How many test videos a paper states, None where it does not."""
    return _data()["datasets"].get(dataset, {}).get("test_videos", {}).get(paper)


def resolution(paper: str, dataset: str) -> str:
    """`256x256`: the size of frames a paper states for a data set."""
    size = _data()["datasets"].get(dataset, {}).get("resolution", {}).get(paper, 256)
    return f"{size}x{size}"


def has_public_code(method: str) -> bool:
    """Whether a registered method was published with code."""
    return method not in _data()["no_public_code"]["methods"]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    return tomllib.loads(published_file("names.toml").read_text(encoding="utf-8"))
