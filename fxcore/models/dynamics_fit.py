"""Finds a compressor's settings from its recordings: a grid over detectors, then Gauss-Newton.

Where the detector is known, the static curve needs no search: among all samples of one detected level, the
gain that explains the wet best is sum(wet · dry) / sum(dry²). So each detector of a coarse grid (window, law,
attack, release; on the dry or, for feedback, on the wet) is judged by what is left over with that free curve,
and the best ones' curves are read off. Gauss-Newton steps (Levenberg-Marquardt) through the whole
signal path then fit all settings together, and those that turn out idle (no knee, no smoothing, no window)
are taken out.
"""

from collections.abc import Collection, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from fxcore.audio import Recording
from fxcore.models.ballistics import (
    ATTACK,
    FEEDBACK,
    GAIN,
    KNEE,
    KNOTS,
    LAW,
    LAWS,
    RELEASE,
    SLOPE,
    SMOOTH,
    THRESHOLD,
    WINDOW,
    Array,
    compiled,
    rest,
)
from fxcore.models.dynamics_curve import Excerpts, GainsByLevel, smooth_bend, soft_excess_db

PIECE_SECONDS, RUN_IN_SECONDS = 3.0, 1.0  # of a piece, its start is heard but not judged
FEW_PIECES, MANY_PIECES = 6, 12

WINDOWS_MS = (0.0, 1.5, 12.0)
ATTACKS_MS = (0.05, 0.4, 3.0, 24.0)
RELEASES_MS = (3.0, 20.0, 130.0, 900.0)
STARTING_SMOOTH = 2.0  # samples; from none, no slope leads to some

SHORTEST = 0.01  # sample; added to the times whose logarithm is taken
DIFFERENCE, DAMPING, DAMPINGS = 1e-4, 1e-3, 6
PROGRESS = 1e-3  # share of the error, that a step must take away for another to follow
LOWEST = np.array([1.0, 0.0, 0.0, 0.0, -100.0, -2.0, 0.0, -1e3])  # of each setting up to the gain
HIGHEST = np.array([1.0, 1e6, 1e6, 1e4, 60.0, 2.0, 60.0, 1e3])
FLAT = np.zeros(KNOTS)  # read only

STARTS, FIRST_STEPS, FOLLOWED_STARTS = 10, 3, 3  # the likeliest, those of them that lead on
GOOD_ENOUGH = 1e-5  # ESR at which no other start is followed
SIMPLER = 1.02  # times the error, that a setting left out may cost
HOPELESS = 30.0  # times the error, from which no other setting makes up for one left out
WORTH_BENDING = 0.8  # times the error, that a bent curve must reach


class Fitted(NamedTuple):
    """Settings and bend for `ballistics.play`, and the ESR that they reached."""

    settings: Array
    bend_db: Array
    esr: float


def fit_dynamics(
    recordings: Sequence[Recording],
    sample_rate: int,
    *,
    dry_scale: float,
    wet_scale: float,
    laws: Sequence[str] = LAWS,
    max_window_samples: int = 4096,
) -> Fitted:
    """Settings in units of the scales, times in samples."""
    few, many = (
        cut_excerpts(recordings, sample_rate, dry_scale, wet_scale, pieces)
        for pieces in (FEW_PIECES, MANY_PIECES)
    )
    fewer = Excerpts(*(side[::2] for side in few))  # enough to see where a start leads
    starts = [
        gauss_newton(start, fewer, max_window_samples, FIRST_STEPS)
        for start in candidates(fewer, sample_rate, laws, max_window_samples)[:STARTS]
    ]
    best: Fitted | None = None
    for start, _, _ in sorted(starts, key=lambda fitted: fitted.esr)[:FOLLOWED_STARTS]:
        fitted = gauss_newton(start, few, max_window_samples, steps=12)
        if best is None or fitted.esr < best.esr:
            best = fitted
        if best.esr < GOOD_ENOUGH:
            break
    assert best is not None, "there is a law"
    best = gauss_newton(best.settings, many, max_window_samples, steps=12)
    return bent(without_the_idle(best, many, max_window_samples), many, max_window_samples)


def cut_excerpts(
    recordings: Sequence[Recording], sample_rate: int, dry_scale: float, wet_scale: float, pieces: int
) -> Excerpts:
    """Up to so many pieces, spread evenly over all recordings; silent ones are passed over."""
    length, run_in = (round(seconds * sample_rate) for seconds in (PIECE_SECONDS, RUN_IN_SECONDS))
    places = [
        (recording, start)
        for recording in recordings
        for start in range(0, max(recording.dry.shape[1] - run_in, 1), length - run_in)
        if recording.wet[0, start : start + length].any()
    ]
    places = places or [(recordings[0], 0)]
    chosen = np.unique(np.linspace(0, len(places) - 1, pieces).round().astype(int))
    dry, wet, judged = (np.zeros((len(chosen), length)) for _ in range(3))
    for row, (recording, start) in enumerate(places[i] for i in chosen):
        heard = recording.dry[0, start : start + length]
        dry[row, : len(heard)] = heard / dry_scale
        wet[row, : len(heard)] = recording.wet[0, start : start + length] / wet_scale
        settled = 0 if start == 0 and recording.start_sample == 0 else run_in
        judged[row, settled : len(heard)] = 1.0
    return Excerpts(dry, wet, judged)


def candidates(
    excerpts: Excerpts, sample_rate: int, laws: Sequence[str], max_window_samples: int
) -> list[Array]:
    """Settings to start from, one for each law, window and source of the level, likeliest first."""
    windows = {min(max(ms * sample_rate / 1e3, 1.0), float(max_window_samples)) for ms in WINDOWS_MS}
    found: list[tuple[float, Array]] = []
    for feedback in (False, True):
        heard = np.roll(excerpts.wet, 1, axis=1) if feedback else excerpts.dry
        for window in sorted(windows):
            power = mean_power(heard, round(window))
            for squared in (False, True) if "power" in laws and window == 1.0 else (False,):
                best: tuple[float, Array] | None = None
                for attack_ms, release_ms in product(ATTACKS_MS, RELEASES_MS):
                    attack, release = attack_ms * sample_rate / 1e3, release_ms * sample_rate / 1e3
                    held = compiled().envelope(power if squared else np.sqrt(power), attack, release)
                    gains = GainsByLevel.of(held if squared else np.square(held), excerpts)
                    error = gains.unexplained(excerpts)
                    if best is None or error < best[0]:
                        times = np.array([window, attack, release, STARTING_SMOOTH])
                        best = error, np.concatenate([times, gains.curve()])
                assert best is not None, "the grid is not empty"
                for (
                    law
                ) in laws:  # where the curve comes first, no detector can be judged alone: a level's is near
                    if (law == "power") == squared:
                        settings = np.concatenate([best[1], [LAWS.index(law), feedback]])
                        if feedback:  # the level is that before the make-up gain
                            settings[THRESHOLD] -= 20 * np.log10(abs(settings[GAIN]))
                        found.append((best[0], settings))
    return [settings for _, settings in sorted(found, key=lambda trial: trial[0])]


def mean_power(signal: Array, window_samples: int) -> Array:
    """Mean square over the last samples, (P, T)."""
    sums = np.cumsum(np.square(signal), axis=1)
    sums[:, window_samples:] -= sums[:, :-window_samples].copy()
    power: Array = np.maximum(sums, 0.0) / window_samples
    return power


def judge(settings: Array, bend_db: Array, excerpts: Excerpts) -> Fitted:
    """The settings with the ESR that they reach."""
    error = error_of(settings, bend_db, excerpts)
    return Fitted(settings, bend_db, float(error @ error))


def error_of(settings: Array, bend_db: Array, excerpts: Excerpts) -> Array:
    """Judged samples of pred - wet, whose squares add up to the ESR, (N,)."""
    state = rest(len(excerpts.dry), int(settings[WINDOW]))
    pred = compiled().play(excerpts.dry, settings, bend_db, *state)
    error: Array = (pred - excerpts.wet)[excerpts.judged > 0] / np.sqrt(excerpts.energy)
    return error


def gauss_newton(
    start: Array,
    excerpts: Excerpts,
    max_window_samples: int,
    steps: int,
    *,
    bend_db: Array = FLAT,
    idle: Collection[int] = (),
) -> Fitted:
    """Levenberg-Marquardt steps from a start, within bounds; settings that are `idle` stay as they are."""
    highest = HIGHEST.copy()
    highest[WINDOW] = max_window_samples
    lower, upper = coordinates(LOWEST), coordinates(highest)
    movable = [i for i in range(GAIN + 1) if i not in idle and lower[i] < upper[i]]

    def error_at(point: Array) -> Array:
        return error_of(settings_at(point, start), bend_db, excerpts)

    point = np.clip(coordinates(start), lower, upper)
    error, damping = error_at(point), DAMPING
    for _ in range(steps):
        slopes = np.empty((len(movable), len(error)))
        for row, i in enumerate(movable):
            moved = point.copy()
            moved[i] += DIFFERENCE if point[i] + DIFFERENCE <= upper[i] else -DIFFERENCE
            slopes[row] = (error_at(moved) - error) / (moved[i] - point[i])
        downhill, curvature, before = -slopes @ error, slopes @ slopes.T, error @ error
        wall = np.where(downhill < 0, lower[movable], upper[movable])
        free = np.flatnonzero((point[movable] != wall) & (np.diag(curvature) > 0))
        for _ in range(DAMPINGS):
            damped = curvature[np.ix_(free, free)] + damping * np.diag(np.diag(curvature)[free])
            moved = point.copy()
            moved[np.array(movable)[free]] += np.linalg.solve(damped, downhill[free])
            moved = np.clip(moved, lower, upper)
            error_there = error_at(moved)
            if error_there @ error_there < before:
                point, error, damping = moved, error_there, damping / 10
                break
            damping *= 10
        if error @ error > (1 - PROGRESS) * before:
            break
    return judge(settings_at(point, start), bend_db, excerpts)


def coordinates(settings: Array) -> Array:
    """What is fitted: times as logarithms, the rest as it is; (GAIN + 1,)."""
    point = settings[: GAIN + 1].copy()
    point[: SMOOTH + 1] = np.log(point[: SMOOTH + 1] + SHORTEST)
    return point


def settings_at(point: Array, rest_of: Array) -> Array:
    """The settings of coordinates; what is not fitted is taken from `rest_of`."""
    settings = np.concatenate([point, rest_of[GAIN + 1 :]])
    settings[: SMOOTH + 1] = np.exp(settings[: SMOOTH + 1]) - SHORTEST
    settings[WINDOW] = max(settings[WINDOW], 1.0)  # but for rounding
    return settings


def without_the_idle(fitted: Fitted, excerpts: Excerpts, max_window_samples: int) -> Fitted:
    """The same without knee, smoothing, window or attack, where their absence costs nothing."""
    idle: set[int] = set()
    for setting, off in ((WINDOW, 1.0), (SMOOTH, 0.0), (KNEE, 0.0), (ATTACK, 0.0)):
        simpler = fitted.settings.copy()
        simpler[setting] = off
        without = judge(simpler, FLAT, excerpts)
        if SIMPLER * fitted.esr < without.esr < HOPELESS * fitted.esr:  # the others may make up for it
            without = gauss_newton(simpler, excerpts, max_window_samples, 4, idle={*idle, setting})
        if without.esr <= SIMPLER * fitted.esr:
            fitted, idle = without, {*idle, setting}
    return fitted


def bent(fitted: Fitted, excerpts: Excerpts, max_window_samples: int) -> Fitted:
    """The same with the curve bent to the gains that were heard at each level, where that explains more."""
    settings = fitted.settings
    if fitted.esr < GOOD_ENOUGH or settings[LAW] == LAWS.index("gain"):
        return fitted
    heard = excerpts.dry
    if settings[FEEDBACK]:
        heard = np.roll(excerpts.wet, 1, axis=1) / settings[GAIN]
    power = mean_power(heard, round(settings[WINDOW]))
    if settings[LAW] == LAWS.index("power"):
        held = compiled().envelope(power, settings[ATTACK], settings[RELEASE])
    else:
        held = np.square(compiled().envelope(np.sqrt(power), settings[ATTACK], settings[RELEASE]))
    levels_db, gains_db, weights = GainsByLevel.of(held, excerpts).gains_db()
    over_db = soft_excess_db(levels_db - settings[THRESHOLD], settings[KNEE])
    missing_db = gains_db - 20 * np.log10(abs(settings[GAIN])) + settings[SLOPE] * over_db
    bend_db = smooth_bend(levels_db, missing_db, weights)
    again = gauss_newton(settings, excerpts, max_window_samples, 4, bend_db=bend_db)
    return again if again.esr < WORTH_BENDING * fitted.esr else fitted
