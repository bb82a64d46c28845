"""Error over time and the verdict, against closed forms."""

import numpy as np
import pytest

from search.findings import esr_over_time, nearer, verdict

RATE = 1000
NOISE = np.random.default_rng(0).uniform(-1, 1, (1, 1000)).astype(np.float32)


def test_esr_over_time_is_zero_for_the_wet_and_one_for_silence():
    seconds, exact = esr_over_time([NOISE], [NOISE], RATE)
    np.testing.assert_allclose(seconds, np.arange(0.05, 1.0, 0.1))
    np.testing.assert_array_equal(exact, np.zeros(10))
    np.testing.assert_allclose(esr_over_time([NOISE], [0 * NOISE], RATE)[1], np.ones(10))


def test_esr_over_time_finds_the_stretch_in_which_the_pred_is_wrong():
    pred = NOISE.copy()
    pred[0, 300:400] *= 0.5
    np.testing.assert_allclose(
        esr_over_time([NOISE], [pred], RATE)[1], 0.25 * (np.arange(10) == 3), atol=1e-7
    )


def test_esr_over_time_has_gaps_where_the_wet_is_silent():
    wet = NOISE.copy()
    wet[0, 500:700] = 0.0
    assert np.flatnonzero(np.isnan(esr_over_time([wet], [NOISE], RATE)[1])).tolist() == [5, 6]


def test_esr_over_time_of_a_long_split_has_a_bounded_number_of_stretches():
    seconds, esr = esr_over_time([NOISE] * 70, [NOISE] * 70, RATE)
    assert len(seconds) == len(esr) <= 240
    assert seconds[-1] < 70.5


def test_nearer_is_the_dry_over_the_model():
    dry = {"log_mel": 12.0, "esr": 1.0, "mr_stft": 3.0}
    assert nearer(dry, {"log_mel": 3.0, "esr": 2.0, "mr_stft": 3.0}) == {
        "log_mel": 4.0,
        "esr": 0.5,
        "mr_stft": 1.0,
    }


@pytest.mark.parametrize(
    ("factors", "sentence"),
    [
        (
            {"log_mel": 5.04, "esr": 22.4, "mr_stft": 1.5},
            "Yes: trial 7 is nearer to the wet than the dry is, 5.0 times by log-mel distance, "
            "22 times by ESR and 1.5 times by MR-STFT.",
        ),
        (
            {"log_mel": 5.04, "esr": 0.9, "mr_stft": 1.0},
            "Partly: trial 7 is nearer to the wet than the dry is, 5.0 times by log-mel distance, "
            "but not by ESR (0.90 times) or by MR-STFT (1.0 times).",
        ),
        (
            {"log_mel": 0.5, "esr": 0.9},
            "No: trial 7 is no nearer to the wet than the dry is, neither by log-mel distance (0.50 times) "
            "nor by ESR (0.90 times).",
        ),
    ],
)
def test_the_verdict_says_yes_partly_or_no(factors, sentence):
    assert verdict(7, factors) == sentence
