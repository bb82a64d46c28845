import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal

from fxcore import least_squares
from fxcore.errors import StoreError
from fxcore.least_squares import Passage, correlate, solve_fir

Array = npt.NDArray[np.float64]

BOTH_SOLVERS = pytest.mark.parametrize("unknowns", [10**9, 0], ids=["cholesky", "conjugate_gradients"])


def noise(samples: int, channels: int = 1, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((channels, samples))


def played(inputs: Array, taps: Array) -> Array:
    """What filters (C, L) make of inputs (C, T), (T,)."""
    return np.asarray(signal.fftconvolve(inputs, taps, axes=1)[:, : inputs.shape[-1]].sum(axis=0))


def written_out(recorded: list[Passage], taps: int) -> Array:
    """The solution by the whole regression matrix, one row for each judged sample."""
    rows, targets = [], []
    for inputs, target, after_silence in recorded:
        delayed = [np.pad(inputs, [(0, 0), (i, 0)])[:, : inputs.shape[-1]] for i in range(taps)]
        first = 0 if after_silence else taps - 1
        rows.append(np.stack(delayed, axis=1).reshape(-1, inputs.shape[-1]).T[first:])
        targets.append(target[first:])
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0].reshape(-1, taps)


@BOTH_SOLVERS
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_the_regression_written_out(
    unknowns: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets that no filter explains: whatever is judged or left out by mistake moves the solution."""
    monkeypatch.setattr(least_squares, "DIRECT_UNKNOWNS", unknowns)
    recorded = [
        Passage(noise(length, channels, seed), noise(length, 1, seed + 10)[0], after_silence)
        for seed, (length, after_silence) in enumerate([(400, True), (300, False), (9, True), (70, False)])
    ]
    fitted = solve_fir(recorded, 12, ridge_db=-200.0, iterations=200)
    np.testing.assert_allclose(fitted.taps, written_out(recorded, 12), rtol=0, atol=1e-9)


@BOTH_SOLVERS
def test_a_known_response_is_recovered_with_its_bias(unknowns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "DIRECT_UNKNOWNS", unknowns)
    taps, dry = noise(50, seed=1), noise(3_000)
    fitted = solve_fir([Passage(dry, played(dry, taps) + 0.25)], 50, bias=True)
    np.testing.assert_allclose(fitted.taps, taps, rtol=0, atol=1e-6)
    assert fitted.bias == pytest.approx(0.25, abs=1e-7)


def test_thousands_of_taps_are_recovered_from_coloured_noise() -> None:
    taps = noise(5_000, seed=1) * np.exp(-np.arange(5_000) / 1_000)
    dry = signal.lfilter([1.0], [1.0, -0.9], noise(60_000))
    fitted = solve_fir([Passage(dry, played(dry, taps))], 5_000)
    np.testing.assert_allclose(fitted.taps, taps, rtol=0, atol=1e-5)


@BOTH_SOLVERS
def test_the_tail_of_an_unrecorded_past_is_no_part_of_the_fit(
    unknowns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "DIRECT_UNKNOWNS", unknowns)
    taps, dry = noise(100, seed=1), noise(3_000)
    wet = played(dry, taps)
    cut = [Passage(dry[:, at : at + 900], wet[at : at + 900], after_silence=False) for at in (1_000, 2_000)]
    fitted = solve_fir(cut, 100)
    np.testing.assert_allclose(fitted.taps, taps, rtol=0, atol=1e-6)
    mistaken = solve_fir([p._replace(after_silence=True) for p in cut], 100)
    assert np.abs(mistaken.taps - taps).max() > 1e-2


def test_a_band_in_which_the_dry_is_silent_is_left_silent() -> None:
    """A delay by 32 samples is told in the lowest fifth of the band only; the ridge keeps the rest down."""
    dry = signal.sosfilt(signal.butter(10, 0.2, output="sos"), noise(20_000))
    wet = np.roll(dry[0], 32)
    fitted = solve_fir([Passage(dry[:, 32:], wet[32:], after_silence=False)], 64, ridge_db=-40.0)
    heard = np.abs(np.fft.rfft(fitted.taps[0], 256))
    np.testing.assert_allclose(heard[:20], 1.0, rtol=0, atol=0.02)
    assert heard[50:].max() < 0.05


def test_correlations_equal_their_definition_over_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "GROUP_SAMPLES", 10_000)
    signals, delayed = noise(30_000, 2), noise(30_000, 3, seed=1)
    found = correlate(signals, delayed, 20, first=7)
    for lag in (0, 1, 19):
        shifted = np.pad(delayed, [(0, 0), (lag, 0)])[:, :30_000]
        np.testing.assert_allclose(found[:, :, lag], signals[:, 7:] @ shifted[:, 7:].T, rtol=0, atol=1e-8)


@pytest.mark.parametrize("after_silence", [True, False])
def test_more_taps_than_samples_are_refused(after_silence: bool) -> None:
    with pytest.raises(StoreError, match=r"100 taps need .* \(the longest has 99\); give longer recordings"):
        solve_fir([Passage(noise(99), noise(99)[0], after_silence)], 100)
