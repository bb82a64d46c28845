"""Reads a compressor's static curve off its recordings, where the detector is known.

Among all samples of one detected level, the gain that explains the wet best is sum(wet · dry) / sum(dry²):
no curve has to be assumed.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from fxcore.models.ballistics import KNOT_DB, KNOTS, Array

KNEES_DB = (0.0, 3.0, 6.0, 12.0, 24.0)
BIN_DB, LOWEST_DB, BINS = 0.1, -120.0, 1700


class Excerpts(NamedTuple):
    """Pieces of recordings, (P, T) each, in units of the training signals' deviations."""

    dry: Array
    wet: Array
    judged: Array  # 1 where judged, 0 on run-in and padding

    @property
    def energy(self) -> float:
        """Of the wet that is judged."""
        return float(np.square(self.wet * self.judged).sum()) + 1e-30


class GainsByLevel(NamedTuple):
    """Sums over all samples of one detected level, (BINS,) each."""

    dry_wet: Array
    dry_dry: Array

    @classmethod
    def of(cls, power: Array, excerpts: Excerpts) -> "GainsByLevel":
        """`power` is the square of the detected level, (P, T)."""
        level_db = 10 * np.log10(np.maximum(power, 1e-12))
        place = np.minimum(((level_db - LOWEST_DB) / BIN_DB).astype(np.int32), BINS - 1).ravel()
        dry = excerpts.dry * excerpts.judged
        dry_wet: Array = np.bincount(place, (dry * excerpts.wet).ravel(), BINS).astype(np.float64)
        dry_dry: Array = np.bincount(place, (dry * excerpts.dry).ravel(), BINS).astype(np.float64)
        return cls(dry_wet, dry_dry)

    def unexplained(self, excerpts: Excerpts) -> float:
        """ESR that is left with the best gain for each level."""
        explained = float((self.dry_wet**2 / np.maximum(self.dry_dry, 1e-30)).sum())
        return 1.0 - explained / excerpts.energy

    def gains_db(self) -> tuple[Array, Array, Array]:
        """Levels in dB that were heard, their gains in dB (the sign of most left out), and weights."""
        sign = np.sign(self.dry_wet.sum()) or 1.0
        heard = sign * self.dry_wet > 1e-9 * self.dry_dry.sum() / BINS
        gain = sign * self.dry_wet[heard] / self.dry_dry[heard]
        levels_db: Array = LOWEST_DB + BIN_DB * (np.flatnonzero(heard).astype(np.float64) + 0.5)
        return levels_db, 20 * np.log10(gain), gain**2 * self.dry_dry[heard]

    def curve(self) -> tuple[float, float, float, float]:
        """Threshold in dB, slope, knee in dB and make-up gain (linear, signed) that are nearest."""
        levels_db, gains_db, weights = self.gains_db()
        best, sign = (np.inf, 0.0, 0.0, 6.0, 1e-3), np.sign(self.dry_wet.sum()) or 1.0
        if not len(levels_db):
            return (*best[1:4], sign * best[4])
        weights = weights / weights.sum()
        centred_db = gains_db - weights @ gains_db
        for threshold_db, knee_db in product(np.arange(levels_db[0], levels_db[-1], 1.5), KNEES_DB):
            over_db = soft_excess_db(levels_db - threshold_db, knee_db)
            centred = over_db - weights @ over_db
            spread = weights @ centred**2
            slope = -(weights @ (centred * centred_db)) / (spread + 1e-9)
            error = weights @ (centred_db + slope * centred) ** 2
            if error < best[0]:
                gain_db = weights @ gains_db + slope * (weights @ over_db)
                best = (error, threshold_db, slope, knee_db, 10 ** (gain_db / 20))
        return (*best[1:4], sign * best[4])


def soft_excess_db(over_db: Array, knee_db: float) -> Array:
    """How far a level stands above the threshold: 0 below the knee, a parabola within it."""
    within = np.square(over_db + knee_db / 2) / max(2 * knee_db, 1e-9)
    return np.where(np.abs(over_db) < knee_db / 2, within, np.maximum(over_db, 0.0))


def smooth_bend(levels_db: Array, bend_db: Array, weights: Array) -> Array:
    """Values at the knots (KNOTS,) whose line runs through a bend given at levels, and goes on flat."""
    position = (levels_db - LOWEST_DB) / KNOT_DB
    basis = np.maximum(1 - np.abs(position[:, None] - np.arange(KNOTS)), 0.0)  # (levels, KNOTS)
    weighted = basis * (weights / weights.sum())[:, None]
    curvature, slope = np.diff(np.eye(KNOTS), 2, axis=0), np.diff(np.eye(KNOTS), axis=0)
    stiffness = 1e-7 * curvature.T @ curvature + 1e-6 * slope.T @ slope + 1e-12 * np.eye(KNOTS)
    return np.linalg.solve(weighted.T @ basis + stiffness, weighted.T @ bend_db)
