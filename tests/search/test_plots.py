"""Plots as data: what is drawn where, and SVG that a page can restyle."""

import re

import numpy as np
import pytest

from search import plots


def ticks(figure, which):
    axis = getattr(figure.axes[0], f"{which}axis")
    return [label.get_text() for label in axis.get_ticklabels()]


def curve(values):
    return plots.Curve(plots.FAMILY_COLOURS[0], range(1, len(values) + 1), values)


def test_an_svg_takes_its_colours_and_its_font_from_the_page():
    text = plots.svg(plots.training_curves([curve([3, 2, 1])], "ESR"), "Training")
    assert text.startswith('<svg role="img" aria-label="Training" viewBox="0 0 ')
    assert "var(--family-0)" in text
    assert re.findall(r"#[0-9a-f]{6}\b", re.sub(r'="#[^"]*"|url\(#[^)]*\)', "", text)) == []
    assert ">compute time (s)</text>" in text
    assert "<style" not in text
    assert not re.search(r'<g [^>]*id="', text)


def test_the_same_figure_gives_the_same_svg():
    first, second = (plots.svg(plots.training_curves([curve([3, 2])], "ESR"), "") for _ in range(2))
    assert first == second


def test_the_first_curve_is_bold_and_on_top():
    lines = plots.training_curves([curve([1, 2]), curve([3, 4])], "ESR").axes[0].get_lines()
    assert list(lines[-1].get_ydata()) == [1, 2]
    assert lines[-1].get_linewidth() > 2 * lines[0].get_linewidth()


def test_a_curve_of_one_report_is_a_dot():
    lines = plots.training_curves([curve([1, 2]), curve([3])], "ESR").axes[0].get_lines()
    assert lines[0].get_marker() == "o"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.9, 6.0], ["1", "2", "5"]),
        ([1e-5, 1.0], ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]),
        ([1.25, 1.4], ["1.2", "1.35", "1.5"]),
        ([1.5], ["1.4", "1.5", "1.6", "1.7"]),
    ],
)
def test_logarithmic_axes_have_plain_numbers_whatever_their_range(values, expected):
    assert ticks(plots.training_curves([curve(values)], "ESR"), "y") == expected


def test_only_the_front_is_numbered():
    points = [
        plots.Point(4, plots.FAMILY_COLOURS[0], 0.1, 10.0, on_front=True),
        plots.Point(7, plots.FAMILY_COLOURS[0], 0.2, 5.0, on_front=False),
    ]
    assert [text.get_text() for text in plots.quality_and_speed(points, "ESR").axes[0].texts] == ["4"]


def test_a_mel_panel_shows_levels_on_the_scale_it_is_given():
    level_db = np.full((128, 20), -30.0, np.float32)
    panel = plots.mel_panel(level_db, "Dry", 2.0, 44_100, (-80.0, 0.0))
    image = panel.axes[0].images[0]
    assert image.get_clim() == (-80.0, 0.0)
    assert image.get_extent()[:2] == [0.0, 2.0]
    assert ticks(panel, "y") == ["100", "500", "1k", "2k", "5k", "10k", "20k"]


def test_an_error_that_is_nowhere_above_zero_still_makes_a_panel():
    time = np.arange(3.0)
    assert "</svg>" in plots.svg(plots.esr_panel(time, np.zeros(3), np.array([np.nan, 0.0, 0.0])), "ESR")


def test_parallel_coordinates_put_the_least_below_the_most_above_and_gaps_where_a_value_is_missing():
    axes = [
        plots.ParallelAxis("family", ["lstm", "conv", "conv"]),
        plots.ParallelAxis("hidden", [8, None, 32], log=True),
        plots.ParallelAxis("esr", [0.1, 0.2, 0.3]),
    ]
    figure = plots.parallel_coordinates(axes, [plots.FAMILY_COLOURS[0]] * 3)
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(lines[-1].get_ydata(), [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(lines[1].get_ydata(), [0.0, np.nan, 0.5], atol=1e-12)
    assert lines[-1].get_linewidth() > 2 * lines[0].get_linewidth()
    assert {text.get_text() for text in figure.axes[0].texts} == {"lstm", "conv", "8", "32", "0.1", "0.3"}


def test_a_response_panel_shows_at_most_80_db_below_the_highest():
    hz = np.geomspace(30, 18_000, 50)
    panel = plots.response_panel(hz, np.full(50, -6.0), np.linspace(0, -150, 50), "frequency (Hz)", "dB")
    assert panel.axes[0].get_ylim() == (-83.0, 3.0)
    alone = plots.response_panel(hz, np.full(50, -6.0), None, "frequency (Hz)", "dB")
    assert alone.axes[0].get_ylim() == (-9.0, -3.0)


def test_bars_are_shares_in_percent_the_largest_on_top():
    panel = plots.shares_panel({"hidden": 0.75, "layers": 0.25}, "lstm")
    assert [bar.get_width() for bar in panel.axes[0].patches] == [75.0, 25.0]
    assert panel.axes[0].get_ylim()[0] > panel.axes[0].get_ylim()[1]
