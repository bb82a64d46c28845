"""The report in a real browser, from disk: its listening tests, its waveforms to zoom into, and on paper."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from search import Search
from search.cli import app
from search.excerpt import find_excerpt, find_places, matched
from search.findings import Findings, gather
from search.listening import kept
from search.report import write_report
from search.storage import Storage

pytestmark = pytest.mark.browser
RATE = 8000


@pytest.fixture(scope="module")
def findings(tiny_search: Search) -> Findings:
    return gather(tiny_search, 2)


@pytest.fixture(scope="module")
def report(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the file."""
    return write_report(tiny_search, tmp_path_factory.mktemp("report") / "report.html", top=2).as_uri()


@pytest.fixture
def plot(page: Page, report: str) -> Callable[[str], Locator]:
    """The best trial's waveforms at a place, ready to zoom."""
    page.goto(report)

    def find(place: str) -> Locator:
        panel = page.locator(f".wave[data-place={place}]").first
        panel.scroll_into_view_if_needed()
        expect(panel.locator("canvas")).to_be_visible()
        return panel.locator(".zoom")

    return find


def in_sight(plot: Locator) -> np.ndarray:
    """First and last sample that a plot shows."""
    return np.array([float(plot.get_attribute(f"data-{end}")) for end in ("start", "stop")])


def test_a_report_compares_from_disk_and_its_search_takes_the_results(
    page, report, root: Storage, ten_comparisons_by_keyboard, tmp_path, capsys
):
    page.goto(report)
    ten_comparisons_by_keyboard("strict")
    expect(page.get_by_text("kept in this browser.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + 10
    assert lines[0].startswith("finished,listener,test,form,model,loop,number,a,b,x,answer,hit")
    page.get_by_role("button", name="Another test").click()
    page.locator("select[name=test]").select_option("mushra")
    page.get_by_role("button", name="Begin").click()
    sliders = page.locator("input[type=range]")
    expect(sliders).to_have_count(4)  # two models, the anchor and the hidden reference
    for i in range(4):
        sliders.nth(i).fill(str(10 * i))
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("Hidden reference")).to_be_visible()
    page.get_by_role("button", name="Another test").click()
    expect(page.get_by_text("2 results in this browser.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save for the search").click()
    assert download.value.suggested_filename == "tiny-listening.json"
    file = tmp_path / "tiny-listening.json"
    download.value.save_as(file)
    for new in (2, 0):
        app(["listening", "tiny", "--add", str(file), "--storage", str(root.root)], standalone_mode=False)
        assert f"{new} new results kept with 'tiny'" in capsys.readouterr().out
    abx, mushra = kept(root.search("tiny"))
    assert (abx.form, [one.answer for one in abx.answers]) == ("strict", ["a", "b"] * 5)
    assert sorted(mushra.ratings.values()) == [0, 10, 20, 30]


def test_waveforms_are_those_of_the_test_split_and_begin_at_the_places(page, plot, findings):
    excerpt = find_excerpt(findings.recordings, RATE)
    dry, wet = (excerpt.cut([getattr(r, side) for r in findings.recordings]) for side in ("dry", "wet"))
    best = findings.best[0]
    shown = {"dry": matched(dry, wet, RATE), "wet": wet, f"trial-{best.row.id}": excerpt.cut(best.preds)}
    for place, ends in find_places(wet, RATE).named().items():
        assert in_sight(plot(place)).tolist() == list(ends)
    for key, signal in shown.items():
        found = page.evaluate(f"Zoom.samples('{key}').then(samples => Array.from(samples))")
        np.testing.assert_allclose(found, signal[0], atol=2**-14 * np.abs(signal).max() + 1e-4)


@pytest.mark.parametrize("place", ["Transient", "Quiet", "Loud"])
def test_keys_zoom_and_move_a_waveform(page, plot, place):
    panel = plot(place)
    start, stop = home = in_sight(panel)
    panel.focus()
    page.keyboard.press("+")
    assert np.diff(in_sight(panel)) == pytest.approx((stop - start) / 1.5)
    assert in_sight(panel).mean() == pytest.approx(home.mean())
    page.keyboard.press("ArrowLeft")
    assert in_sight(panel).mean() == pytest.approx(max(home.mean() - 0.2 * (stop - start) / 1.5, 80))
    for _ in range(30):
        page.keyboard.press("+")
    assert np.diff(in_sight(panel)) == 24
    for _ in range(30):
        page.keyboard.press("-")
    assert in_sight(panel).tolist() == [0, len(page.evaluate("Zoom.samples('wet').then(s => Array.from(s))"))]
    page.keyboard.press("0")
    assert in_sight(panel).tolist() == home.tolist()


def test_a_mouse_zooms_at_its_pointer_and_drags(page, plot):
    panel = plot("Loud")
    home = in_sight(panel)
    box = panel.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 60)  # at the left end
    page.mouse.wheel(0, 60)
    page.wait_for_timeout(100)
    assert in_sight(panel).tolist() == home.tolist()  # the page scrolls
    panel.get_by_label("Back to the place").click()
    box = panel.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 60)
    page.mouse.wheel(0, -350)
    expect(panel).not_to_have_attribute("data-stop", str(home[1]).removesuffix(".0"))
    start, stop = in_sight(panel)
    assert start == pytest.approx(home[0], abs=1)
    assert stop - start == pytest.approx((home[1] - home[0]) * np.exp(-0.7))
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 60, steps=5)
    page.mouse.up()
    moved = 50 / (box["width"] - 56) * (stop - start)
    assert in_sight(panel)[0] == pytest.approx(start - moved, rel=1e-3)
    page.keyboard.press("0")
    assert in_sight(panel).tolist() == home.tolist()


def test_fingers_drag_and_pinch(browser, report):
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(report)
    panel = page.locator(".wave[data-place=Loud]").first
    panel.scroll_into_view_if_needed()
    canvas = panel.locator("canvas")
    expect(canvas).to_be_visible()
    box, panel = canvas.bounding_box(), panel.locator(".zoom")
    home, touch = in_sight(panel), page.context.new_cdp_session(page)

    def fingers(kind: str, *xs: float) -> None:
        points = [{"x": box["x"] + x, "y": box["y"] + 60, "id": i} for i, x in enumerate(xs)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 120, 160)
    for apart in range(40, 161, 10):
        fingers("touchMove", 140 - apart / 2, 140 + apart / 2)
    fingers("touchEnd")
    assert np.diff(in_sight(panel)) == pytest.approx(np.diff(home) / 4, rel=0.02)
    before = in_sight(panel)
    fingers("touchStart", 200)
    for x in range(200, 99, -10):
        fingers("touchMove", x)
    fingers("touchEnd")
    assert in_sight(panel)[0] > before[0] + 0.2 * (before[1] - before[0])
    assert np.diff(in_sight(panel)) == pytest.approx(np.diff(before))
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_are_drawn_in_the_colours_of_the_scheme(browser, report, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(report)
    canvas = page.locator(".wave canvas").first
    page.locator(".wave").first.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    model = {"light": (200, 55, 31), "dark": (255, 130, 99)}[scheme]
    pixels = np.reshape(
        canvas.evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
        ),
        (-1, 4),
    )
    assert (np.abs(pixels - np.array([*model, 255])).max(axis=1) < 4).sum() > 100
    page.close()


def test_paper_has_the_pictures_in_place_of_what_moves(page, plot):
    panel = plot("Loud")
    page.emulate_media(media="print", color_scheme="dark")
    expect(panel).to_be_hidden()
    expect(page.locator(".wave[data-place=Loud] > svg").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 33, 38)"  # dark on white


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_fits_and_axe_finds_no_serious_fault(browser, report, serious_faults, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(report)
    page.locator(".wave").last.scroll_into_view_if_needed()
    expect(page.locator(".wave canvas").last).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_faults(page) == []
    page.close()
