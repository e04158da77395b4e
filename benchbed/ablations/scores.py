"""What every training of a study scored on the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchbed.ablations.arms import Arm
from benchbed.ablations.training import Recipe, weights_file
from benchbed.comparing import stored_scores
from benchbed.pairing import Scores, SetScore
from benchbed.plan import RunRequest, build_plan
from benchbed.run import run
from benchbed.tracking.runs import StoredRun, open_run

# All clips and as many pairs: a sweep over `puppets` would otherwise try four of each.
SWEPT_PAIRS = 24


@dataclass(frozen=True)
class Scored:
    """One metric of one training.

    Args:
        value: on the whole test set.
        scores: by case, or of the set, as paired differences need them.
        reduction: `frames`, `clips` or `set`.
        direction: `lower` or `higher` is better.
        variant: id and version of the metric variant.
        evaluator: what it was measured with; empty for metrics without.
        canonical: whether published values were measured with it too.
    """

    value: float
    scores: Scores
    reduction: str
    direction: str
    variant: str
    evaluator: str = ""
    canonical: bool = True


# Scores by (protocol, metric), the protocol being `reconstruction` or `animation`.
TrainingScores = dict[tuple[str, str], Scored]


def score_arms(
    arms: Sequence[Arm],
    protocols: Sequence[str],
    recipe: Recipe,
    folder: Path,
    *,
    command: Sequence[str],
    advance: Callable[[str], None] = lambda text: None,
) -> dict[tuple[str, int], TrainingScores]:
    """Scores by arm and seed; runs are stored below `folder/runs`, and finished ones are read from there.

    Args:
        protocols: `reconstruction`, `animation`. Where an arm is given further views, all are scored in the settings
            of the reference sweep instead, each with its own number of views.
    """
    swept = any(arm.views for arm in arms)
    found = {}
    for arm in arms:
        for seed in recipe.seeds:
            request = RunRequest(
                protocols=("reference-sweep",) if swept else tuple(protocols),
                methods=(arm.method,),
                datasets=(recipe.dataset,),
                checkpoints={arm.method: weights_file(folder, arm, seed)},
                settings=tuple(f"{protocol} N_ref={arm.views}" for protocol in protocols) if swept else (),
                pairs=SWEPT_PAIRS if swept else None,
                device=recipe.device,
                save_samples=0,
            )
            result = run(build_plan(request), folder / "runs", command=command, quiet=True)
            found[arm.name, seed] = _read(open_run(result.folder), arm.method)
            advance(f"{arm.name}, seed {seed}")
    return found


def _read(stored: StoredRun, method: str) -> TrainingScores:
    by_place = stored_scores(stored)
    found: TrainingScores = {}
    for record in stored.records:
        if record["method"] != method or record["status"] != "ok":
            continue
        kind = (record["setting"] or record["protocol"]).partition(" ")[0]
        place = tuple(
            str(record[name]) for name in ("method", "protocol", "dataset", "transfer", "setting", "variant")
        )
        scores: Scores = (
            SetScore(record["value"], tuple(record["influences"]), int(record["n_identities"]))
            if record["reduction"] == "set"
            else by_place.get(place, {})
        )
        found.setdefault(
            (kind, str(record["metric"])),
            Scored(
                float(record["value"]),
                scores,
                str(record["reduction"]),
                str(record["direction"]),
                str(record["variant"]),
                str(record["evaluator"]),
                bool(record["canonical"]),
            ),
        )
    return found
