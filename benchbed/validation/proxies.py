"""How well each metric that needs no truth ranks frames by their true error, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchbed.errors import BenchbedError
from benchbed.registry import card

TRUTHS = ("l1", "lpips")
RESAMPLES = 2000
FEWEST_METHODS = 4


@dataclass(frozen=True)
class Agreement:
    """Rank correlation of a metric with a true error; 1 where it orders everything as the truth does.

    Args:
        metric, variant: the proxy.
        truth: `l1` or `lpips` against the exact answer.
        level: `cases` (all cases of all methods), `within` (the mean over methods of the correlation over that
            method's cases) or `methods` (means of methods).
        rho: Spearman's correlation, signed so that 1 is agreement.
        low, high: 95 % interval, identities resampled; NaN where there is none.
        n: ranked items.
    """

    metric: str
    variant: str
    truth: str
    level: str
    rho: float
    low: float
    high: float
    n: int


def agreements(folder: Path, *, seed: int = 0) -> list[Agreement]:
    """All proxies of a run of protocol `animation` against its true errors.

    Frame metrics: over cases, within methods, and over methods, with a percentile bootstrap of identities. Set metrics
    (FID) exist per method only; their values are not resampled, so they get no interval.

    Raises:
        BenchbedError: the run has no true errors, or no proxies.
    """
    cases = pd.read_parquet(folder / "cases.parquet")
    table = pd.read_parquet(folder / "aggregate.parquet")
    cases = cases[(cases["protocol"] == "animation") & (cases["status"] == "ok")]
    truths = [name for name in TRUTHS if name in set(cases["metric"])]
    if not truths:
        raise BenchbedError(
            f"'{folder.name}' has no true errors (L1, LPIPS against exact answers); run protocol animation on puppets"
        )
    wide = cases[np.isfinite(cases["value"])].pivot_table(
        index=["method", "case", "identity"], columns="metric", values="value", observed=True
    )
    variants = cases.drop_duplicates("metric").set_index("metric")["variant"]
    proxies = [name for name in wide.columns if name not in truths]
    result = []
    for truth in truths:
        for proxy in proxies:
            pair = wide[[proxy, truth]].dropna().reset_index()
            pair[proxy] *= _sign(proxy)
            for level, statistic in (("cases", _over_cases), ("within", _within), ("methods", _over_methods)):
                rho, low, high = _bootstrapped(pair, proxy, truth, statistic, seed)
                count = pair["method"].nunique() if level == "methods" else len(pair)
                result.append(Agreement(proxy, variants[proxy], truth, level, rho, low, high, count))
        result += _set_agreements(table, wide, truth)
    return result


def _sign(metric: str) -> float:
    """-1 for metrics where higher is better: agreement with an error is then positive."""
    return 1.0 if card("metric", metric).data["direction"] == "lower" else -1.0


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(stats.spearmanr(first, second).statistic)


def _over_cases(pair: pd.DataFrame, proxy: str, truth: str) -> float:
    return _spearman(pair[proxy].to_numpy(), pair[truth].to_numpy())


def _within(pair: pd.DataFrame, proxy: str, truth: str) -> float:
    each = [_over_cases(part, proxy, truth) for _, part in pair.groupby("method", sort=False)]
    known = [rho for rho in each if np.isfinite(rho)]
    return float(np.mean(known)) if known else float("nan")


def _over_methods(pair: pd.DataFrame, proxy: str, truth: str) -> float:
    means = pair.groupby("method", sort=False)[[proxy, truth]].mean()
    return _over_cases(means, proxy, truth) if len(means) >= FEWEST_METHODS else float("nan")


def _bootstrapped(
    pair: pd.DataFrame,
    proxy: str,
    truth: str,
    statistic: Callable[[pd.DataFrame, str, str], float],
    seed: int,
) -> tuple[float, float, float]:
    """The statistic and its percentile interval over resampled identities."""
    rho = statistic(pair, proxy, truth)
    rows = [part.index.to_numpy() for _, part in pair.groupby("identity", sort=True)]
    if not np.isfinite(rho) or len(rows) < 3:
        return rho, float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(RESAMPLES if statistic is _over_cases else RESAMPLES // 10):
        chosen = np.concatenate([rows[index] for index in generator.integers(len(rows), size=len(rows))])
        drawn.append(statistic(pair.loc[chosen], proxy, truth))
    finite = np.asarray(drawn)[np.isfinite(drawn)]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (np.nan, np.nan)
    return rho, float(low), float(high)


def _set_agreements(table: pd.DataFrame, wide: pd.DataFrame, truth: str) -> list[Agreement]:
    errors = wide.reset_index().groupby("method", sort=False)[truth].mean()
    found = []
    for group, rows in table[(table["protocol"] == "animation") & (table["status"] == "ok")].groupby(
        "metric", sort=False
    ):
        metric = str(group)
        if card("metric", metric).data["level"] != "set":
            continue
        values = rows.set_index("method")["value"] * _sign(metric)
        both = pd.concat([values, errors], axis=1, keys=["value", "error"]).dropna()
        rho = (
            _spearman(both["value"].to_numpy(), both["error"].to_numpy())
            if len(both) >= FEWEST_METHODS
            else float("nan")
        )
        nan = float("nan")
        found.append(Agreement(metric, rows["variant"].iloc[0], truth, "methods", rho, nan, nan, len(both)))
    return found


def ranked(found: Sequence[Agreement]) -> list[Agreement]:
    """By truth and level, the metric that agrees most first."""
    return sorted(found, key=lambda one: (one.truth, one.level, -np.nan_to_num(one.rho, nan=-2)))
