"""The signal path of a compressor, sample by sample (Giannoulis, Massberg & Reiss, JAES 2012).

Level: root of the mean square over the last `window_samples` (1: the peak detector). Ballistics: a one-pole
filter that branches, with one time constant while its input rises and another while it falls. Static curve:
gain in dB over level in dB, with a threshold, a slope and a quadratic knee (their equation 4), and a bend
that is linear between knots. Where the ballistics stand is the law: on the level, on its square, or, after
the curve, on the gain in dB. A last one-pole filter smooths the gain.

Every sample waits for the one before, so that the loop is compiled (numba).
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LAWS = ("level", "power", "gain")  # where attack and release act
SILENT_POWER = 1e-12  # relative to the training dry's: what lies below is as loud as that
KNOT_DB = 3.0
KNOTS = 57  # from -120 dB to +48 dB
MEMORY = 4  # values that go from sample to sample: running sum, ballistics, smoothed gain, last output

Play = Callable[[Array, Array, Array, Array, Array], Array]
Envelope = Callable[[Array, float, float], Array]

# places in a vector of settings
WINDOW, ATTACK, RELEASE, SMOOTH, THRESHOLD, SLOPE, KNEE, GAIN, LAW, FEEDBACK = range(10)


class Compiled(NamedTuple):
    """The loops, compiled.

    `play(dry, settings, bend_db, ring, memory)`: wet (B, T) of dry (B, T); settings (10,): window, attack,
    release and smoothing in samples, threshold in dB, slope 1 - 1 / ratio, knee in dB, make-up gain (linear,
    signed), index of the law, and 1 where the level is that of the wet (feedback). bend_db is (KNOTS,). ring
    (B, window and more), whose column 0 is the position, and memory (B, 4) are what was heard before; both
    are overwritten with what was heard since.

    `envelope(level, attack_samples, release_samples)`: the ballistics (B, T) alone, from 0.
    """

    play: Play
    envelope: Envelope


@functools.cache
def compiled() -> Compiled:
    """Both loops; compiling takes a second or two, once a process."""
    from numba import njit  # a third of a second, hence not before it is needed

    jit = njit(fastmath={"contract", "reassoc"}, error_model="numpy")

    @jit
    def pole(samples: float) -> float:
        return math.exp(-1.0 / samples) if samples > 1e-3 else 0.0

    @jit
    def curve_db(power: float, threshold_db: float, slope: float, knee_db: float, bend_db: Array) -> float:
        level_db = 10.0 * math.log10(max(power, SILENT_POWER))
        over_db = level_db - threshold_db
        if over_db >= knee_db / 2:
            gain_db = -slope * over_db
        elif over_db <= -knee_db / 2:
            gain_db = 0.0
        else:
            gain_db = -slope * (over_db + knee_db / 2) ** 2 / (2 * knee_db)
        position = min((level_db + 120.0) / KNOT_DB, KNOTS - 1.001)
        knot = int(position)
        bend = bend_db[knot] + (position - knot) * (bend_db[knot + 1] - bend_db[knot])
        return float(gain_db + bend)

    @jit
    def play(dry: Array, settings: Array, bend_db: Array, ring: Array, memory: Array) -> Array:
        window, threshold_db, slope, knee_db = settings[0], settings[4], settings[5], settings[6]
        attack, release, smooth = pole(settings[1]), pole(settings[2]), pole(settings[3])
        make_up, law, feedback = settings[7], settings[8], settings[9] > 0.5
        whole, size = int(window), ring.shape[1] - 1
        part = window - whole
        silent_db = curve_db(0.0, threshold_db, slope, knee_db, bend_db)
        silent_gain = 10.0 ** (silent_db / 20.0)
        plain = np.all(bend_db == 0.0)
        knee_power = 10.0 ** ((threshold_db - knee_db / 2) / 10.0)  # below it, nothing happens
        wet = np.empty_like(dry)
        for row in range(dry.shape[0]):
            total, held, smoothed, last = memory[row]
            position = int(ring[row, 0])
            for n in range(dry.shape[1]):
                heard = last if feedback else dry[row, n]
                power = heard * heard
                if whole > 1 or part > 0.0:
                    total += power - ring[row, 1 + (position - whole) % size]
                    ring[row, 1 + position] = power
                    older = ring[row, 1 + (position - whole) % size]
                    position += 1
                    if position == size:  # rounding errors of the running sum end here
                        position, total = 0, 0.0
                        for i in range(whole):
                            total += ring[row, size - i]
                    power = max(total + part * older, 0.0) / window
                if law == 2.0:
                    gain_db = (
                        0.0
                        if plain and power <= knee_power
                        else (curve_db(power, threshold_db, slope, knee_db, bend_db) - silent_db)
                    )
                    pole_now = attack if gain_db < held else release
                    held = gain_db + pole_now * (held - gain_db)
                    gain_db = held + silent_db
                else:
                    level = power if law == 1.0 else math.sqrt(power)
                    pole_now = attack if level > held else release
                    held = level + pole_now * (held - level)
                    power = held if law == 1.0 else held * held
                    gain_db = (
                        0.0
                        if plain and power <= knee_power
                        else (curve_db(power, threshold_db, slope, knee_db, bend_db))
                    )
                gain = math.exp(gain_db * (math.log(10.0) / 20.0)) if gain_db != 0.0 else 1.0
                gain -= silent_gain
                smoothed = gain + smooth * (smoothed - gain)
                last = dry[row, n] * (smoothed + silent_gain)
                wet[row, n] = make_up * last
            memory[row, 0], memory[row, 1], memory[row, 2], memory[row, 3] = total, held, smoothed, last
            ring[row, 0] = position
        return wet

    @jit
    def envelope(level: Array, attack_samples: float, release_samples: float) -> Array:
        attack, release = pole(attack_samples), pole(release_samples)
        out = np.empty_like(level)
        for row in range(level.shape[0]):
            held = 0.0
            for n in range(level.shape[1]):
                pole_now = attack if level[row, n] > held else release
                held = level[row, n] + pole_now * (held - level[row, n])
                out[row, n] = held
        return out

    return Compiled(play, envelope)


def rest(batch: int, window_samples: int) -> tuple[Array, Array]:
    """Ring and memory of `batch` compressors that have heard nothing, for windows up to `window_samples`."""
    return np.zeros((batch, window_samples + 2)), np.zeros((batch, MEMORY))
