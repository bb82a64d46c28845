import math

import pytest
import torch

from fxcore.losses.a_weighting import TAPS, a_weight, a_weighting_gain

TABLE_DB = {  # IEC 61672-1:2013, table 3
    31.5: -39.4,
    100.0: -19.1,
    200.0: -10.9,
    500.0: -3.2,
    1_000.0: 0.0,
    2_500.0: 1.3,
    5_000.0: 0.5,
    10_000.0: -2.5,
    16_000.0: -6.6,
}


def sine(hz: float, sample_rate: int) -> torch.Tensor:
    time_s = torch.arange(sample_rate // 2, dtype=torch.float64) / sample_rate
    return torch.sin(2 * math.pi * hz * time_s).view(1, 1, -1)


@pytest.mark.parametrize(("hz", "level_db"), TABLE_DB.items())
def test_gain_is_that_of_the_standard(hz: float, level_db: float) -> None:
    nominal_hz = 1_000 * 10 ** (round(10 * math.log10(hz / 1_000)) / 10)  # a tenth of a decade apart
    assert 20 * math.log10(a_weighting_gain(nominal_hz)) == pytest.approx(level_db, abs=0.06)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
@pytest.mark.parametrize("hz", [200.0, 500.0, 1_000.0, 4_000.0, 10_000.0, 16_000.0])
def test_a_sine_is_weighted_to_1_db(hz: float, sample_rate: int) -> None:
    heard = a_weight(sine(hz, sample_rate), sample_rate)
    level_db = 10 * math.log10(2 * float(heard.square().mean()))
    assert level_db == pytest.approx(20 * math.log10(a_weighting_gain(hz)), abs=1.0)


def test_mains_hum_all_but_vanishes() -> None:
    heard = a_weight(sine(50.0, 44_100), 44_100)
    assert 10 * math.log10(2 * float(heard.square().mean())) < -13


def test_samples_are_given_where_the_filter_is_full_and_delayed_by_half_its_length() -> None:
    click = torch.zeros(2, 1, 500)
    click[..., 200] = 1.0
    heard = a_weight(click, 44_100)
    assert heard.shape == (2, 1, 500 - TAPS + 1)
    assert int(heard[0, 0].abs().argmax()) == 200 - TAPS // 2
    response = heard[..., 200 - TAPS + 1 : 201]
    torch.testing.assert_close(response, response.flip(-1))  # of linear phase
    assert torch.equal(heard.count_nonzero(-1), response.count_nonzero(-1))
