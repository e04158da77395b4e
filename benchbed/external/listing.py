"""Which cases there are, for programs that are to generate their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchbed.external.names import name_table, plain
from benchbed.interfaces.dataset import Dataset, frame_count
from benchbed.interfaces.protocol import Case


def expected_rows(
    dataset: Dataset, cases: Mapping[str, Sequence[Case]], *, few_shot: bool
) -> list[dict[str, str]]:
    """A row per case: what to animate by what, and the clearest name for the result.

    Args:
        dataset: of the cases.
        cases: by setting.
        few_shot: whether all views of the source are given at once; else the last one in place of the source.

    Raises:
        ClipError: a source clip cannot be read, whose length decides which views are drawn from it.
    """
    lengths: dict[str, int] = {}
    rows = []
    for setting, own in cases.items():
        prefix = f"{plain(setting)}/" if len(cases) > 1 else ""
        names = name_table(own, None).preferred
        for case in own:
            views: tuple[int, ...] = ()
            if case.references is not None:
                if case.source.clip not in lengths:
                    lengths[case.source.clip] = frame_count(dataset, case.source.clip)
                views = case.references.frames(lengths[case.source.clip])
            single = bool(views) and not few_shot
            rows.append(
                {
                    "case": case.id,
                    "path": prefix + names[setting, case.id],
                    "setting": setting,
                    "source": case.source.clip,
                    "source_frame": str(views[-1] if single else case.source.frame),
                    "references": "" if single else " ".join(map(str, views)),
                    "driving": case.driving,
                }
            )
    return rows
