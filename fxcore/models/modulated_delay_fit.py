"""Fits a modulated delay to pairs: its filters and its path at once, by Gauss-Newton steps.

    line[n] = dry[n] + sum_i loop[i] delayed[n - i]
    delayed[n] = sum_pj kernel[p, j] frac(n)^p line[n - whole(n) + ahead - j]
    wet[n] = sum_k direct[k] (shape k * dry)[n] + delayed[n]

Given the delay, whole + frac, the wet is linear in `direct` and `kernel`: whichever interpolation the effect
uses (a polynomial of the fraction, after Farrow, 1988) and short filters of both paths are least squares.
With feedback, at first the wet itself tells what was fed back (equation error); then the recursion is run
as a player runs it (output error).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import signal

from fxcore.audio import Recording
from fxcore.models.delay_path import Array, DelayPath, banded, find_paths

# Interpolation by a polynomial of the fraction: (power, sample), the fraction lies behind the second sample
LINEAR = np.array([[0.0, 1, 0, 0], [0, -1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
CUBIC = np.array([[0.0, 6, 0, 0], [-2, -3, 6, -1], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6  # Lagrange
POWERS = len(CUBIC)
SINGLE_TAPS = 8  # of a shaped filter that are free; later ones are sums of exponentials

SEARCH_S = 20.0  # of the pair, in which the path is looked for
CHECKED_S = 6.0  # of a recording, in which its phase is checked
CANDIDATES, FOLLOWED = 5, 4  # rates that are tried, and paths that are followed to the end
SETTLE_SAMPLES = 4096  # of a recording: what starts up is not what it sounds like
STRETCH_SAMPLES = 16_384
FIRST_STRETCHES, STRETCHES, RUN_STRETCHES = 16, 64, 24  # to begin with, to fit all, with the recursion run
MAX_LOOP_GAIN = 0.98
LOW_LOOP_TAPS = 2  # of the first look below 1.5 kHz
CLEAR = 0.05  # ESR below which that look needs no feedback
CONTENT = 1e-4  # ESR below which no other shape or interpolation is tried
WORTH = 0.9  # feedback is kept where it leaves less than this of the error
OUT_OF_STEP = 0.5  # so much less error with another phase: a recording whose LFO was started at another time

STEPS = 12
RIDGE = 1e-7  # of a column's energy: what the dry does not excite stays near where it was
ENOUGH = 1e-3  # relative gain of a step, below which it was the last


class Delay(NamedTuple):
    """All that a modulated delay is made of."""

    direct: Array  # (m,): weights of its shapes
    kernel: Array  # (POWERS, K)
    loop: Array  # (Q,), all zeros without feedback
    path: DelayPath

    def coefficients(self) -> Array:
        """All numbers as one vector: filters, then those of the path."""
        path = self.path
        filters = [self.direct, self.kernel.ravel(), self.loop]
        return np.concatenate([*filters, path.swing, path.triangle, [path.rate]])

    def with_coefficients(self, values: Array) -> "Delay":
        """Of the same sizes, from one vector."""
        parts = np.split(values, np.cumsum(list(self.sizes().values())))
        direct, kernel, loop, swing, triangle, rate = parts[:6]
        path = DelayPath(float(rate[0]), swing, triangle)
        return Delay(direct, kernel.reshape(self.kernel.shape), loop, path)

    def sizes(self) -> dict[str, int]:
        """How many numbers each part has."""
        return {
            "direct": self.direct.size,
            "kernel": self.kernel.size,
            "loop": self.loop.size,
            "swing": self.path.swing.size,
            "triangle": self.path.triangle.size,
            "rate": 1,
        }


class Stretch(NamedTuple):
    """A cut of a pair, (T,) each; its first `lead` samples are the past of what is judged."""

    dry: Array
    wet: Array
    shaped: Array  # the dry through the shapes of the direct path, (m, T)
    start_sample: float  # how long the effect has run by then
    lead: int


def fit_delay(
    recordings: Sequence[Recording],
    sample_rate: int,
    *,
    shapes: Array,
    taps: int,
    loop_taps: int,
    harmonic_count: int,
    max_delay_samples: int,
) -> Delay:
    """The modulated delay that best makes each wet of its dry.

    `shapes` (m, M) are the impulse responses of which the direct path is a weighted sum.
    """
    lead = max_delay_samples + taps + loop_taps
    start = _starting_point(recordings, sample_rate, max_delay_samples, loop_taps > 0)
    recordings = [r for r in recordings if _in_step(start, r, sample_rate, lead)] or recordings

    near = stretches([loudest(recordings, sample_rate)], shapes, lead, FIRST_STRETCHES)
    begun = Delay(
        start.direct[0] * np.eye(1, len(shapes))[0],
        start.kernel[0, 1] * placed(LINEAR, taps),
        np.zeros(0),
        start.path.with_harmonics(harmonic_count),
    )
    if start.loop.any() and loop_taps:
        begun = begun._replace(loop=np.eye(1, loop_taps)[0] * start.loop.sum())
    tied = "direct gain loop swing triangle rate"
    best, error = refine(begun, near, free(begun, tied))
    if loop_taps and not begun.loop.size:
        looped = best._replace(loop=np.zeros(loop_taps))
        looped, less = refine(looped, near, free(looped, tied))
        if less < WORTH * error:
            best, error = looped, less
    others = [
        best._replace(path=best.path.as_triangle()),
        best._replace(kernel=best.kernel[0].sum() * placed(CUBIC, taps)),
    ]
    for delay in others if error > CONTENT else []:
        other, less = refine(delay, near, free(delay, tied))
        if less < error:
            best, error = other, less
    best = best._replace(path=best.path.with_harmonics(harmonic_count))

    pieces = stretches(recordings, shapes, lead, STRETCHES)
    every = free(best, "direct kernel loop swing triangle rate")
    best, _ = refine(best, pieces, every)
    if best.loop.any():
        best, _ = refine(tamed(best), pieces[:: -(-len(pieces) // RUN_STRETCHES)], every, run=True, steps=4)
    best = tamed(best)
    return best._replace(loop=np.pad(best.loop, (0, loop_taps - len(best.loop))))


def _starting_point(
    recordings: Sequence[Recording], sample_rate: int, max_delay_samples: int, with_feedback: bool
) -> Delay:
    """Gains and a path that explain the wet below 1.5 kHz, in full-rate samples."""
    excerpt = loudest(recordings, sample_rate)
    dry, wet = excerpt.dry[0].astype(np.float64), excerpt.wet[0].astype(np.float64)
    paths = find_paths(dry, wet, excerpt.start_sample, sample_rate, max_delay_samples, CANDIDATES)
    piece, step = _banded_stretch(excerpt, sample_rate, max_delay_samples)
    for loop in (np.zeros(0), np.zeros(LOW_LOOP_TAPS)):
        lows = [Delay(np.array([0.5]), 0.5 * CUBIC, loop, path.slowed(step)) for path in paths]
        columns = free(lows[0], "direct gain loop swing rate")
        tried = sorted((refine(low, [piece], columns, steps=4) for low in lows), key=lambda fitted: fitted[1])
        found = [refine(low, [piece], columns) for low, _ in tried[:FOLLOWED]]
        least = min(error for _, error in found)
        if least < CLEAR or not with_feedback:
            break
    alike = [low for low, error in found if error <= 1.1 * least + 1e-9]
    best = max(alike, key=lambda low: low.path.rate)  # half the rate has the same path, twice a period
    return best._replace(path=best.path.slowed(1 / step))


def _banded_stretch(recording: Recording, sample_rate: int, lead: int) -> tuple[Stretch, int]:
    """A recording below 1.5 kHz, and of how many samples one was kept."""
    (dry, step), (wet, _) = (banded(side[0].astype(np.float64), sample_rate) for side in recording[1:3])
    past = min(max(lead, SETTLE_SAMPLES) // step, len(dry) // 2)
    return Stretch(dry, wet, dry[None], recording.start_sample / step, past), step


def _in_step(delay: Delay, recording: Recording, sample_rate: int, lead: int) -> bool:
    """Whether the recording's LFO stands where its `start_sample` says."""
    cut = round(CHECKED_S * sample_rate)
    piece, step = _banded_stretch(
        recording._replace(dry=recording.dry[:, :cut], wet=recording.wet[:, :cut]), sample_rate, lead
    )
    errors = []
    for turn in np.arange(16) / 16:
        times = piece.start_sample + turn / (delay.path.rate * step) + np.arange(len(piece.dry))
        low = delay._replace(path=delay.path.slowed(step))
        pred = low.direct[0] * piece.dry + Taps(low, times, 0).delayed(piece.dry)
        errors.append(float(np.sum((piece.wet - pred)[piece.lead :] ** 2)))
    return min(errors) >= OUT_OF_STEP * errors[0]


def loudest(recordings: Sequence[Recording], sample_rate: int) -> Recording:
    """The stretch of most energy among all of about twenty seconds."""
    cuts = []
    for recording in recordings:
        length = recording.dry.shape[-1]
        bounds = np.linspace(0, length, max(1, round(length / (SEARCH_S * sample_rate))) + 1).astype(int)
        for begin, end in pairwise(bounds):
            dry, wet = recording.dry[:, begin:end], recording.wet[:, begin:end]
            cuts.append(Recording(recording.name, dry, wet, recording.start_sample + int(begin)))
    return max(cuts, key=lambda r: float(np.vdot(r.dry, r.dry)))


def stretches(recordings: Sequence[Recording], shapes: Array, lead: int, count: int) -> list[Stretch]:
    """At most `count` stretches, evenly spread over all recordings."""
    begins = []
    for recording in recordings:
        length = recording.dry.shape[-1]
        first = min(max(lead, SETTLE_SAMPLES), length // 2)
        last = max(first + 1, length - STRETCH_SAMPLES // 2)
        begins += [(recording, begin) for begin in range(first, last, STRETCH_SAMPLES)]
    chosen = np.unique(np.linspace(0, len(begins) - 1, count).astype(int))
    return [_stretch_at(recording, begin, shapes, lead) for recording, begin in (begins[i] for i in chosen)]


def _stretch_at(recording: Recording, begin: int, shapes: Array, lead: int) -> Stretch:
    """The stretch of a recording whose judged part begins at `begin`."""
    past, before = min(lead, begin), min(lead + shapes.shape[1], begin)
    heard = slice(begin - before, begin + STRETCH_SAMPLES)
    dry, wet = recording.dry[0, heard].astype(np.float64), recording.wet[0, heard].astype(np.float64)
    shaped = signal.oaconvolve(dry[None], shapes, axes=1)[:, before - past : len(dry)]
    start = recording.start_sample + begin - past
    return Stretch(dry[before - past :], wet[before - past :], shaped, start, past)


def direct_shapes(taps: int) -> Array:
    """Impulse responses (m, taps) that add up to most short filters: first taps, and exponentials."""
    single = np.eye(min(SINGLE_TAPS, taps), taps)
    decays = [SINGLE_TAPS * 2.0**k for k in range(-1, 30) if 4 * SINGLE_TAPS * 2.0**k <= taps]
    return np.concatenate([single, *(np.exp(-np.arange(taps) / decay)[None] for decay in decays)])


def ahead_of(taps: int) -> int:
    """Taps of a kernel before the delay's whole part, so that it lies in their middle."""
    return taps // 2 - 1


def placed(kernel: Array, taps: int) -> Array:
    """An interpolation kernel (POWERS, 4) in the middle of `taps` ones: (POWERS, taps)."""
    before = ahead_of(taps) - 1
    return np.pad(kernel, ((0, 0), (before, taps - 4 - before)))


def tamed(delay: Delay) -> Delay:
    """With less feedback, where it would grow: once round the loop, no frequency may gain."""
    fractions = np.arange(8)[:, None] / 8
    kernels = fractions ** np.arange(POWERS) @ delay.kernel  # (8, K)
    spectra = np.fft.rfft(kernels, 512, axis=1) * np.fft.rfft(np.pad(delay.loop, (0, 1)), 512)
    return delay._replace(loop=delay.loop * min(1.0, MAX_LOOP_GAIN / (np.abs(spectra).max() + 1e-30)))


def free(delay: Delay, names: str) -> Array:
    """Columns (all, N) of a step in the named parts only; `gain` is the kernel as a whole."""
    chosen = names.split()
    if not delay.path.triangle[0]:  # no height, no corners
        chosen = [name for name in chosen if name != "triangle"]
    sizes = delay.sizes()
    of_part = np.repeat(list(sizes), list(sizes.values()))
    columns = np.eye(len(of_part))[:, np.isin(of_part, chosen)]
    if "gain" in chosen:
        columns = np.column_stack([columns, np.where(of_part == "kernel", delay.coefficients(), 0.0)])
    return columns


def refine(
    delay: Delay, stretches: Sequence[Stretch], columns: Array, *, run: bool = False, steps: int = STEPS
) -> tuple[Delay, float]:
    """Levenberg-Marquardt steps along `columns` (all, N) of the coefficients: the delay, and its ESR.

    A weak pull keeps the filters where they were as far as the dry does not excite them.
    """
    energy = sum(float(np.sum(s.wet[s.lead :] ** 2)) for s in stretches) + 1e-30
    total, gram, slope = _normal_equations(delay, stretches, columns, run)
    is_filter = np.arange(len(columns)) < delay.direct.size + delay.kernel.size + delay.loop.size
    pull = RIDGE * np.where(columns.T @ is_filter != 0, np.diag(gram), 0.0)
    away = np.zeros(columns.shape[1])
    error, damping = total, 1e-6
    for _ in range(steps):
        scale = np.diag(damping * np.diag(gram) + pull + 1e-30)
        step = np.linalg.solve(gram + scale, slope - pull * away)
        moved = delay.with_coefficients(delay.coefficients() + columns @ step)
        after = _normal_equations(moved, stretches, columns, run)
        cost = after[0] + float(np.sum(pull * (away + step) ** 2))
        if not cost < error:
            damping = max(30 * damping, 1e-3)
            if damping > 1e3:
                break
            continue
        gained = 1 - cost / error
        delay, away, error, (total, gram, slope), damping = moved, away + step, cost, after, damping / 10
        if gained < ENOUGH:
            break
    return delay, total / energy


def _normal_equations(
    delay: Delay, stretches: Sequence[Stretch], columns: Array, run: bool
) -> tuple[float, Array, Array]:
    """Squared error, and what a Gauss-Newton step solves."""
    total, gram, slope = 0.0, np.zeros((len(columns),) * 2), np.zeros(len(columns))
    for stretch in stretches:
        error, effects = look(delay, stretch, run)
        total += float(error @ error)
        gram += effects @ effects.T
        slope += effects @ error
    total = total if np.isfinite(total) else np.inf
    return total, columns.T @ gram @ columns, columns.T @ slope


class Taps:
    """Where a delay's kernel reads for the judged samples of a stretch, from `begin` on."""

    def __init__(self, delay: Delay, times: Array, begin: int) -> None:
        taps = delay.kernel.shape[1]
        path, self.moves = delay.path.look(times)
        clipped = np.maximum(path, ahead_of(taps) + 1.0)
        whole = clipped.astype(np.int64)
        self.kernel = delay.kernel
        self.powers = (clipped - whole) ** np.arange(POWERS)[:, None]  # (POWERS, T)
        self.oldest = begin + np.arange(len(times)) - whole + ahead_of(taps) - (taps - 1)
        self.closest = int(whole.min()) - ahead_of(taps)  # samples back to the newest one read

    def heard(self, line: Array) -> Array:
        """What each tap hears of a line (T,), the newest first: (K, T)."""
        taps = self.kernel.shape[1]
        before = max(0, -int(self.oldest.min()))
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(line, (before, taps)), taps)
        heard: Array = windows[self.oldest + before].T[::-1]
        return heard

    def delayed(self, line: Array) -> Array:
        """The kernel's output (T,) for a line (T,)."""
        return np.asarray(np.einsum("pt,pt->t", self.powers, self.kernel @ self.heard(line)))


def look(delay: Delay, stretch: Stretch, run: bool) -> tuple[Array, Array]:
    """Error (T,) of a delay on the judged part of a stretch, and what each coefficient adds to it (all, T).

    With `run`, what was fed back is the delay's own output, else what the wet says it was.
    """
    begin, loop = stretch.lead, delay.loop
    times = stretch.start_sample + np.arange(begin, len(stretch.dry), dtype=np.float64)
    taps, feeds_back = Taps(delay, times, begin), bool(loop.any())
    delayed = stretch.wet - delay.direct @ stretch.shaped
    target, line = delayed[begin:].copy(), stretch.dry
    if feeds_back:
        if run:
            source = taps.delayed(stretch.dry)[None]
            delayed[begin:] = recur(loop, taps, source, delayed[None, :begin])[0]
        line = stretch.dry + loop @ shifted(delayed, len(loop))
    heard = taps.heard(line)
    of_power = delay.kernel @ heard  # (POWERS, T)
    output = np.einsum("pt,pt->t", taps.powers, of_power)
    slope = np.einsum("p,pt,pt->t", np.arange(1.0, POWERS), taps.powers[:-1], of_power[1:])
    effects = np.concatenate(
        [
            (taps.powers[:, None] * heard).reshape(-1, len(times)),
            *(taps.delayed(late)[None] for late in shifted(delayed, len(loop))),
            slope * taps.moves,
        ]
    )
    direct = stretch.shaped[:, begin:]
    if feeds_back and run:
        effects = recur(loop, taps, effects, np.zeros((len(effects), begin)))
    elif feeds_back:  # more of the dry in the wet is less of the dry in what was fed back
        fed = [loop @ shifted(row, len(loop)) for row in stretch.shaped]
        direct = direct - np.stack([taps.delayed(row) for row in fed])
    return target - output, np.concatenate([direct, effects])


def shifted(line: Array, count: int) -> Array:
    """A line (T,) late by 0 .. `count` - 1 samples: (count, T)."""
    late = [np.concatenate([np.zeros(i), line[: len(line) - i]]) for i in range(count)]
    return np.stack(late) if late else np.zeros((0, len(line)))


def recur(loop: Array, taps: Taps, source: Array, past: Array) -> Array:
    """delayed = source + kernel(loop * delayed), (B, T), given the delayed `past` (B, lead).

    As many samples at once as lie between a sample and the newest one that it hears.
    """
    lead, width = past.shape[1], taps.kernel.shape[1]
    weights = (taps.powers.T @ taps.kernel)[:, ::-1]  # (T, K), the oldest first
    delayed = np.concatenate([past, source], axis=1)
    fed = np.zeros((len(past), delayed.shape[1] + width))
    for i, gain in enumerate(loop):
        fed[:, i:lead] += gain * past[:, : max(lead - i, 0)]
    windows = np.lib.stride_tricks.sliding_window_view(fed, width, axis=1)
    for start in range(0, source.shape[1], taps.closest):
        part = slice(start, start + taps.closest)
        begin, end = lead + start, min(lead + start + taps.closest, delayed.shape[1])
        delayed[:, begin:end] += np.einsum("btk,tk->bt", windows[:, taps.oldest[part]], weights[part])
        for i, gain in enumerate(loop):
            fed[:, begin:end] += gain * delayed[:, begin - i : end - i]
    return delayed[:, lead:]
