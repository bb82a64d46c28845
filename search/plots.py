"""Plots of a search: numbers in, matplotlib figures out, and figures as SVG for a page.

A figure is one small panel, so that a page can set panels beside each other or, on a phone, below
each other. In the SVG every colour is a CSS variable of the page (`var(--ink)`) and text stays text:
panels follow the page's font and its light or dark scheme.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from fxcore.audio import Signal

INK, MUTED, RULE, PAPER = "#1d2126", "#666d75", "#dbdcd8", "#fcfcfa"
DRY, WET, MODEL = "#a3a6a4", "#86b6e6", "#c8371f"
FAMILY_COLOURS = ("#1f6fb2", "#c9621a", "#2e8b57", "#8a55b5", "#a8851e", "#c2437a")
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    DRY: "--dry",
    WET: "--wet",
    MODEL: "--model",
    **{colour: f"--family-{i}" for i, colour in enumerate(FAMILY_COLOURS)},
}

DIFFERENCE_COLOURS = LinearSegmentedColormap.from_list(
    "difference", ["#b5dcff", "#2f74c0", "#000000", "#c0432f", "#ffcdb5"]
)

HALF, THIRD, WHOLE = (4.2, 2.5), (3.0, 2.1), (8.8, 2.9)  # inches: panels two, three and one to a row
FONT_POINTS = 8
RASTER_DPI = 200
COLOUR_STEPS = 65  # few, which compress well; odd, so that one lies in the middle
MEL_TICKS_HZ = (100, 500, 1000, 2000, 5000, 10_000, 20_000, 40_000)


class Curve(NamedTuple):
    """A trial in training: its objective at each report."""

    colour: str
    compute_seconds: Sequence[float]
    values: Sequence[float]


class Point(NamedTuple):
    """A trial's quality and playing speed."""

    trial: int
    colour: str
    objective: float
    realtime_factor: float
    on_front: bool  # no other trial beats it in both


class ParallelAxis(NamedTuple):
    """One of the upright axes that lines of trials cross: a value of each trial, None where it has none."""

    name: str
    values: Sequence[float | str | None]
    log: bool = False


def training_curves(curves: Sequence[Curve], objective: str) -> Figure:
    """Objective against compute time, the first curve (the best trial's) in bold."""
    figure, axes = _panel(HALF, "compute time (s)", objective)
    for i, curve in reversed(list(enumerate(curves))):
        axes.plot(
            curve.compute_seconds,
            curve.values,
            color=curve.colour,
            linewidth=2.4 if i == 0 else 0.9,
            alpha=1.0 if i == 0 else 0.6,
            marker="o" if i == 0 or len(curve.values) == 1 else None,
            markersize=3.2,
        )
    axes.set_xlim(left=0)
    _log_scale(axes, "y", [value for curve in curves for value in curve.values])
    return figure


def quality_and_speed(points: Sequence[Point], objective: str) -> Figure:
    """Objective against real-time factor, with the Pareto front as steps and its trials numbered."""
    figure, axes = _panel(HALF, "playing speed (times real time)", objective)
    front = sorted((p for p in points if p.on_front), key=lambda p: p.realtime_factor)
    steps = [p.realtime_factor for p in front], [p.objective for p in front]
    axes.step(*steps, where="pre", color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for point in points:
        face = point.colour if point.on_front else "none"
        axes.scatter(
            point.realtime_factor, point.objective, s=26, facecolor=face, edgecolor=point.colour, zorder=2
        )
    for point in front:
        axes.annotate(
            str(point.trial),
            (point.realtime_factor, point.objective),
            xytext=(-3, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=FONT_POINTS,
            color=INK,
        )
    axes.margins(x=0.1, y=0.1)
    _log_scale(axes, "x", [p.realtime_factor for p in points])
    _log_scale(axes, "y", [p.objective for p in points])
    return figure


def mel_panel(
    level_db: npt.NDArray[np.float32],
    title: str,
    seconds: float,
    sample_rate: int,
    limits_db: tuple[float, float],
    *,
    difference: bool = False,
) -> Figure:
    """One mel spectrogram (bands, frames) in dB on a colour scale that ends at the limits."""
    from librosa import mel_frequencies  # a third of a second, hence not before it is needed

    figure, axes = _panel(HALF, "time (s)", "frequency (Hz)", title)
    bands = len(level_db)
    image = axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(0.0, seconds, 0.0, bands),
        vmin=limits_db[0],
        vmax=limits_db[1],
        cmap=(DIFFERENCE_COLOURS if difference else matplotlib.colormaps["magma"]).resampled(COLOUR_STEPS),
    )
    centres_hz = mel_frequencies(n_mels=bands + 2, fmax=sample_rate / 2)[1:-1]
    shown_hz = [hz for hz in MEL_TICKS_HZ if centres_hz[0] <= hz <= centres_hz[-1]]
    places = np.interp(shown_hz, centres_hz, np.arange(bands) + 0.5)
    axes.set_yticks(places, [_plain(hz) for hz in shown_hz])
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(True)
    bar.ax.tick_params(length=0, colors=MUTED, labelsize=FONT_POINTS)
    bar.ax.set_title("dB", fontsize=FONT_POINTS, color=INK)
    return figure


def wave_panel(dry: Signal, wet: Signal, pred: Signal, title: str, start: int, sample_rate: int) -> Figure:
    """Three waveforms (1, T) that begin at sample `start` of what is heard."""
    figure, axes = _panel(THIRD, f"time after {start / sample_rate:.2f} s (ms)", "amplitude", title)
    time_ms = 1000 * np.arange(wet.shape[-1]) / sample_rate
    axes.plot(time_ms, dry[0], color=DRY, linewidth=0.8)
    axes.plot(time_ms, wet[0], color=WET, linewidth=2.6)
    axes.plot(time_ms, pred[0], color=MODEL, linewidth=1.0)
    axes.set_xlim(0, time_ms[-1])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    return figure


def esr_panel(
    time_seconds: npt.NDArray[np.float64],
    model: npt.NDArray[np.float64],
    dry: npt.NDArray[np.float64],
) -> Figure:
    """ESR of stretches of the test split; NaN leaves a gap."""
    figure, axes = _panel(HALF, "time in the test split (s)", "ESR (error energy / wet energy)")
    axes.plot(time_seconds, dry, color=DRY, linewidth=1.0)
    axes.plot(time_seconds, model, color=MODEL, linewidth=1.4)
    axes.margins(x=0)
    _log_scale(axes, "y", [*model, *dry])
    return figure


def response_panel(
    frequency_hz: npt.NDArray[np.float64],
    model_db: npt.NDArray[np.float64],
    wet_db: npt.NDArray[np.float64] | None,
    across: str,
    up: str,
) -> Figure:
    """A response of the model over that of the gear, where it is known."""
    figure, axes = _panel(HALF, across, up)
    if wet_db is not None:
        axes.plot(frequency_hz, wet_db, color=WET, linewidth=2.6)
    axes.plot(frequency_hz, model_db, color=MODEL, linewidth=1.2)
    told = [db for db in (model_db, wet_db) if db is not None]
    highest = max((float(np.nanmax(db)) for db in told if np.isfinite(db).any()), default=0.0)
    lowest = min((float(np.nanmin(db)) for db in told if np.isfinite(db).any()), default=-1.0)
    axes.set_ylim(max(lowest, highest - 80) - 3, highest + 3)
    _log_scale(axes, "x", list(frequency_hz))
    return figure


def parallel_coordinates(across: Sequence[ParallelAxis], colours: Sequence[str]) -> Figure:
    """A line for each trial through its values, the first (the best) bold and on top."""
    figure, axes = _panel(WHOLE, "", "")
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set(xlim=(-0.2, len(across) - 0.6), ylim=(-0.04, 1.04))
    axes.set_xticks(range(len(across)), [axis.name for axis in across], fontsize=FONT_POINTS, color=INK)
    heights = []
    for place, axis in enumerate(across):
        axes.axvline(place, color=RULE, linewidth=1.2, zorder=0)
        height, labels = _heights(axis)
        heights.append(height)
        for at, label in labels:
            axes.annotate(
                label,
                (place, at),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=FONT_POINTS - 1,
                color=MUTED,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": PAPER, "edgecolor": "none"},
                zorder=4,
            )
    for i, colour in reversed(list(enumerate(colours))):
        line = [height[i] for height in heights]
        width, alpha = (2.2, 1.0) if i == 0 else (0.8, 0.5)
        axes.plot(
            range(len(across)), line, color=colour, linewidth=width, alpha=alpha, marker=".", markersize=3
        )
    return figure


def shares_panel(shares: Mapping[str, float], title: str) -> Figure:
    """Bars of shares, the largest on top."""
    names, values = list(shares), [100 * share for share in shares.values()]
    figure, axes = _panel(THIRD, "share of the variance (%)", "", title)
    axes.barh(range(len(names)), values, color=FAMILY_COLOURS[0], height=0.6)
    axes.set_yticks(range(len(names)), names, fontsize=FONT_POINTS, color=INK)
    axes.set(ylim=(max(len(names), 3) - 0.4, -0.6), xlim=(0, 100))
    axes.grid(visible=False, axis="y")
    return figure


def svg(figure: Figure, label: str) -> str:
    """The figure as an `<svg>` element, the same for the same figure; `label` is read out instead of it."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fxsearch"}):
        figure.savefig(
            buffer,
            format="svg",
            dpi=RASTER_DPI,
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # on a page with many plots, ids would repeat
    text = re.sub(r"<style.*?</style>", "", text)  # and would rule the whole page
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return re.sub(
        r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg role="img" aria-label="{label}" \1>', text, count=1
    )


def _panel(size: tuple[float, float], across: str, up: str, title: str = "") -> tuple[Figure, Axes]:
    """An empty panel with quiet axes."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=FONT_POINTS, fontweight="bold", color=INK)
    axes.set_xlabel(across, fontsize=FONT_POINTS, color=INK)
    axes.set_ylabel(up, fontsize=FONT_POINTS, color=INK)
    axes.tick_params(colors=MUTED, labelsize=FONT_POINTS, length=0)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    return figure, axes


def _log_scale(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5, or fewer or more where the range asks for it."""
    positive = np.array([value for value in values if np.isfinite(value) and value > 0])
    if len(positive) == 0:
        return
    low, high = positive.min() / 1.15, positive.max() * 1.15
    decades = [10.0**k for k in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)]
    ticks = [decade * step for decade in decades for step in (1, 2, 5) if low <= decade * step <= high]
    if len(ticks) > 7:
        ticks = [decade for decade in decades if low <= decade <= high]
    if len(ticks) < 3:
        ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def _heights(axis: ParallelAxis) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value lies between 0 and 1 (NaN for none), and labels of some heights."""
    told = [value for value in axis.values if value is not None]
    if any(isinstance(value, str) for value in told):
        names = sorted({str(value) for value in told})
        places = {name: i / max(len(names) - 1, 1) for i, name in enumerate(names)}
        heights = [np.nan if value is None else places[str(value)] for value in axis.values]
        return heights, [(place, name) for name, place in places.items()]
    log = axis.log and all(float(value) > 0 for value in told)

    def scaled(value: float) -> float:
        return float(np.log(value)) if log else float(value)

    low, high = (scaled(float(end)) for end in (min(told), max(told)))
    span = (high - low) or 1.0
    heights = [np.nan if value is None else (scaled(float(value)) - low) / span for value in axis.values]
    return heights, [(0.0, _short(float(min(told)))), (1.0, _short(float(max(told))))]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plain(value: float) -> str:
    """A tick in few characters: 0.05, 2, 10k, 1e-5.

    >>> _plain(0.05), _plain(10_000), _plain(1e-5)
    ('0.05', '10k', '1e-5')
    """
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}" if value >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
