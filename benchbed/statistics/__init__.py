"""Means, differences and their uncertainty; the unit is the identity, not the frame and not the clip."""

from benchbed.statistics.correction import holm
from benchbed.statistics.estimate import Estimate
from benchbed.statistics.intervals import weighted_mean_interval
from benchbed.statistics.jackknife import (
    identity_groups,
    jackknife_difference,
    jackknife_influences,
    jackknife_interval,
)
from benchbed.statistics.paired import LEVEL, PairedDifference, Verdict, paired_difference, verdict
from benchbed.statistics.power import resolvable_difference
from benchbed.statistics.seeds import seeded_interval
from benchbed.statistics.sign_flip import EXACT_UP_TO, sign_flip_p

__all__ = [
    "EXACT_UP_TO",
    "LEVEL",
    "Estimate",
    "PairedDifference",
    "Verdict",
    "holm",
    "identity_groups",
    "jackknife_difference",
    "jackknife_influences",
    "jackknife_interval",
    "paired_difference",
    "resolvable_difference",
    "seeded_interval",
    "sign_flip_p",
    "verdict",
    "weighted_mean_interval",
]
