"""Finite impulse responses by least squares: which filters of some inputs sum up to a target.

    wet[n] = bias + sum over c, i of taps[c, i] input[c, n - i]

over every sample of every recording whose whole past is known (the covariance method; Makhoul, "Linear
prediction: a tutorial review", 1975). A recording begins after silence, or with the tail of a past that was
not recorded: then its first taps - 1 samples are heard but not judged. Nothing is assumed to follow its end.

A thousand unknowns are solved by Cholesky, more by conjugate gradients: the normal matrix is block
Toeplitz less what hangs over the ends of the recordings, so that a product with it is a handful of FFTs. The
preconditioner is the Toeplitz matrix of the inverse spectrum (R. Chan & Ng, 1993). All in double precision.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, linalg

from fxcore.audio import Recording
from fxcore.errors import StoreError

Array = npt.NDArray[np.float64]
Samples: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]  # summed up in double precision
Spectra = npt.NDArray[np.complex128]

RIDGE_DB = -100.0
DIRECT_UNKNOWNS = 1_024  # up to which Cholesky is the quicker
ITERATIONS = 50
TOLERANCE = 1e-12  # of the residual, relative to the right-hand side
GROUP_SAMPLES = 1 << 22  # of all inputs that are transformed at once


class Fir(NamedTuple):
    """Impulse responses (C, taps), one for each input, and a constant."""

    taps: Array
    bias: float


class Passage(NamedTuple):
    """Inputs (C, T) and the target (T,) that their filtered sum is to be."""

    inputs: Samples
    target: Samples
    after_silence: bool = True  # else it starts with the tail of an unrecorded past


def passages(recordings: Sequence[Recording]) -> list[Passage]:
    """The dry as the one input, the wet as the target."""
    return [Passage(r.dry, r.wet[0], r.start_sample == 0) for r in recordings]


def solve_fir(
    recorded: Sequence[Passage],
    taps: int,
    *,
    ridge_db: float = RIDGE_DB,
    bias: bool = False,
    iterations: int = ITERATIONS,
) -> Fir:
    """The impulse responses (C, taps) of least squared error over all passages.

    `ridge_db` is the power of a white noise, relative to the mean power of the inputs, against which the taps
    must pay: it keeps bands in which the inputs are silent from being filled with guesses.

    Raises `StoreError` where no passage is long enough to tell all taps.
    """
    usable = [p for p in recorded if p.inputs.shape[-1] > _first_judged(p, taps)]
    longest = max((p.inputs.shape[-1] for p in recorded), default=0)
    if not usable or longest < taps:
        raise StoreError(
            f"{taps} taps need a recording of more than {taps} samples (the longest has {longest}); "
            "give longer recordings, or fewer taps"
        )
    problem = _Problem(usable, taps, ridge_db, bias)
    if problem.channels * taps <= DIRECT_UNKNOWNS:
        solution = linalg.solve(_normal_matrix(problem), problem.right.ravel(), assume_a="pos")
        response = solution.reshape(problem.right.shape)
    else:
        product, precondition = _toeplitz_operators(problem)
        response = conjugate_gradients(product, precondition, problem.right, iterations)
    offset = (problem.target_sum - float(np.vdot(problem.sums, response))) / problem.count if bias else 0.0
    return Fir(response, offset)


def conjugate_gradients(
    product: Callable[[Array], Array], precondition: Callable[[Array], Array], right: Array, iterations: int
) -> Array:
    """Solve product(result) = right for a symmetric positive definite product, from zero."""
    result, residual = np.zeros_like(right), right.copy()
    step = precondition(residual)
    direction, power = step, float(np.vdot(residual, step))
    enough = TOLERANCE * float(np.linalg.norm(right))
    for _ in range(iterations):
        if float(np.linalg.norm(residual)) <= enough:
            break
        image = product(direction)
        length = power / float(np.vdot(direction, image))
        result = result + length * direction
        residual = residual - length * image
        step = precondition(residual)
        power, before = float(np.vdot(residual, step)), power
        direction = step + (power / before) * direction
    return result


class _Problem:
    """What both solvers need: right-hand side (C, taps), sums for the bias, and the ridge."""

    def __init__(self, recorded: Sequence[Passage], taps: int, ridge_db: float, bias: bool) -> None:
        self.recorded, self.taps, self.bias = recorded, taps, bias
        self.channels = recorded[0].inputs.shape[0]
        energies = np.zeros(self.channels)
        self.count, self.target_sum = 0, 0.0
        self.sums = np.zeros((self.channels, taps))  # of each delayed input over the judged samples
        self.right = np.zeros((self.channels, taps))
        for passage in recorded:
            first = _first_judged(passage, taps)
            judged = passage.target[first:]
            self.count += len(judged)
            self.target_sum += float(judged.sum(dtype=np.float64))
            energies += np.square(passage.inputs, dtype=np.float64).sum(axis=1)
            if bias:
                self.sums += _delayed_sums(passage.inputs, first, taps)
            self.right += correlate(passage.target[None], passage.inputs, taps, first)[0]
        if bias:
            self.right -= self.sums * (self.target_sum / self.count)
        self.ridge = 10 ** (ridge_db / 10) * np.maximum(energies, 1e-30)[:, None]


def _first_judged(passage: Passage, taps: int) -> int:
    return 0 if passage.after_silence else taps - 1


def _delayed_sums(inputs: Samples, first: int, taps: int) -> Array:
    """Sum over n = first .. T - 1 of inputs[:, n - i], (C, taps) over i."""
    length = inputs.shape[-1]
    total = np.concatenate([np.zeros((len(inputs), 1)), np.cumsum(inputs, axis=1, dtype=np.float64)], axis=1)
    lags = np.arange(taps)
    return np.asarray(total[:, np.maximum(length - lags, 0)] - total[:, np.maximum(first - lags, 0)])


def correlate(signals: Samples, delayed: Samples, lags: int, first: int = 0) -> Array:
    """Sum over n >= first of signals[s, n] delayed[c, n - k], (S, C, lags) over k; block by block."""
    size = fft.next_fast_len(max(4 * lags, 4096), real=True)
    hop = size - lags + 1
    length = signals.shape[-1]
    group = max(GROUP_SAMPLES // (size * len(delayed)), 1) * hop
    spectrum: Spectra = np.zeros((size // 2 + 1, len(signals), len(delayed)), np.complex128)
    for start in range(first, length, group):
        count = -(-min(group, length - start) // hop)
        now = _blocks(signals, start, count, hop, 0, size)
        past = _blocks(delayed, start, count, hop, lags - 1, size)
        # (S, blocks, F) and (C, blocks, F): summed over the blocks at each frequency
        spectrum += np.conj(now.transpose(2, 0, 1)) @ past.transpose(2, 1, 0)
    return fft.irfft(spectrum, size, axis=0)[lags - 1 :: -1].transpose(1, 2, 0)


def _blocks(signals: Samples, start: int, count: int, hop: int, reach: int, size: int) -> Spectra:
    """Spectra (C, count, F) of blocks [at - reach, at + hop), at = start, start + hop, ..; silence around."""
    begin, end = start - reach, start + count * hop
    padded = np.zeros((len(signals), end - begin))
    inside = signals[:, max(begin, 0) : end]
    padded[:, max(-begin, 0) : max(-begin, 0) + inside.shape[-1]] = inside
    framed = np.lib.stride_tricks.sliding_window_view(padded, hop + reach, axis=1)[:, ::hop]
    return fft.rfft(framed, size, axis=-1)


def _normal_matrix(problem: _Problem) -> Array:
    """Sums over the judged n of input[c, n - i] input[d, n - j], (C taps, C taps), ridge added.

    Each diagonal of a block follows from its first element: a step down it adds the sample before the first
    judged one and drops the last.
    """
    channels, taps = problem.channels, problem.taps
    matrix = np.zeros((channels, taps, channels, taps))
    dropped, added = [], []
    for passage in problem.recorded:
        first, inputs = _first_judged(passage, taps), passage.inputs
        row = correlate(inputs, inputs, taps, first)
        matrix[:, 0] += row
        dropped.append(_reversed_end(inputs, taps))
        if first:
            added.append(_reversed_end(inputs[:, :first], taps))
    ends = np.stack(dropped).reshape(len(dropped), -1)
    change = -(ends.T @ ends)
    if added:
        starts = np.stack(added).reshape(len(added), -1)
        change += starts.T @ starts
    change = change.reshape(matrix.shape)
    matrix[:, :, :, 0] = matrix[:, 0].transpose(1, 2, 0)
    for i in range(taps - 1):
        matrix[:, i + 1, :, 1:] = matrix[:, i, :, :-1] + change[:, i, :, :-1]
    flat = matrix.reshape(channels * taps, channels * taps)
    if problem.bias:
        sums = problem.sums.ravel()
        flat -= np.outer(sums, sums / problem.count)
    flat[np.diag_indices_from(flat)] += np.broadcast_to(problem.ridge, (channels, taps)).ravel()
    return flat


def _reversed_end(inputs: Samples, taps: int) -> Array:
    """The last `taps` samples, the latest first, silence before the beginning; (C, taps)."""
    end = inputs[:, ::-1][:, :taps].astype(np.float64)
    return np.pad(end, [(0, 0), (0, taps - end.shape[-1])])


def _toeplitz_operators(problem: _Problem) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """The normal matrix and an approximate inverse of it, as functions of (C, taps)."""
    taps, ridge = problem.taps, problem.ridge
    size = fft.next_fast_len(2 * taps, real=True)
    rows = np.zeros((problem.channels, problem.channels, taps))
    for passage in problem.recorded:
        rows += correlate(passage.inputs, passage.inputs, taps)
    edges = [edge for passage in problem.recorded for edge in _edges(passage, taps, size)]
    kernel = np.zeros((problem.channels, problem.channels, size))  # at lag i - j
    kernel[:, :, :taps] = rows.transpose(1, 0, 2)
    kernel[:, :, size - taps + 1 :] = rows[:, :, :0:-1]
    spectrum = fft.rfft(kernel, size)

    def product(response: Array) -> Array:
        heard = fft.rfft(response, size)
        image = np.einsum("cdf,df->cf", spectrum, heard)
        for edge, span in edges:
            hanging = fft.irfft((edge * heard).sum(axis=0), size)
            kept = np.zeros(size)
            kept[span] = hanging[span]
            image -= np.conj(edge) * fft.rfft(kept, size)
        result = fft.irfft(image, size)[:, :taps] + ridge * response
        if problem.bias:
            result -= problem.sums * (float(np.vdot(problem.sums, response)) / problem.count)
        return result

    # The inverse of the smoothed spectrum (Fejér's: never negative), as a Toeplitz matrix.
    fade = 1 - np.arange(taps) / taps
    kernel[:, :, :taps] *= fade
    kernel[:, :, size - taps + 1 :] *= fade[:0:-1]
    density = fft.rfft(kernel, size).transpose(2, 0, 1)  # (F, C, C)
    diagonal = np.arange(problem.channels)
    density[:, diagonal, diagonal] += ridge[:, 0]
    inverse = np.linalg.inv(density)

    def precondition(residual: Array) -> Array:
        spectra = fft.rfft(residual, size).T[:, :, None]  # (F, C, 1)
        return fft.irfft((inverse @ spectra)[:, :, 0].T, size)[:, :taps]

    return product, precondition


def _edges(passage: Passage, taps: int, size: int) -> Iterator[tuple[Spectra, slice]]:
    """What a Toeplitz matrix counts too much: spectra (C, F) of inputs, and where their filtered sum counts.

    The samples that would follow the end; and those before the first judged one.
    """
    reach = taps - 1
    tail = passage.inputs[:, -reach:].astype(np.float64)
    padded = np.pad(tail, [(0, 0), (reach - tail.shape[-1], 0)])
    if padded.any():
        yield fft.rfft(padded, size), slice(reach, 2 * reach)
    head = passage.inputs[:, : _first_judged(passage, taps)].astype(np.float64)
    if head.any():
        yield fft.rfft(head, size), slice(0, reach)
