"""The pages in a real browser: Chromium launches a search, plays, compares by ear and downloads."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from fxcore.export import load
from search import Search
from search.listening import binomial_p, kept
from search.report import write_report
from search.service.app import create_app
from search.storage import Storage

pytestmark = pytest.mark.browser
FLAGS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
SLOW_MS = 60_000
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "apt-get install chromium"
    running = playwright.chromium.launch(executable_path=path, args=FLAGS)
    yield running
    running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not complain."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(SLOW_MS)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def root(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    folder = tmp_path_factory.mktemp("served") / "root"
    shutil.copytree(tiny_search.storage.root, folder)
    return Storage(folder)


@pytest.fixture(scope="module")
def address(root: Storage) -> Iterator[str]:
    """Where the service listens."""
    config = uvicorn.Config(create_app(root), port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_pages_binomial_test_is_scipys(page, address):
    page.goto(f"{address}/searches/tiny/listen")
    for trials in (1, 10, 16, 25, 100):
        found = page.evaluate(
            f"Array.from({{length: {trials + 1}}}, (_, hits) => Listening.binomialP(hits, {trials}))"
        )
        assert found == pytest.approx([binomial_p(hits, trials) for hits in range(trials + 1)], rel=1e-9)


def test_comparisons_are_drawn_evenly_and_hide_what_is_what(page, address):
    page.goto(f"{address}/searches/tiny/listen")
    drawn = page.evaluate("Array.from({length: 400}, () => Listening.drawRoles('strict', 'trial-1'))")
    assert {(one["a"], one["b"]) for one in drawn} == {("wet", "trial-1"), ("trial-1", "wet")}
    assert 120 < sum(one["x"] == one["a"] for one in drawn) < 280
    assert 120 < sum(one["a"] == "wet" for one in drawn) < 280
    drawn = page.evaluate("Array.from({length: 400}, () => Listening.drawRoles('nearer', 'trial-1'))")
    assert {(one["a"], one["b"], one["x"]) for one in drawn} == {
        ("dry", "wet", "trial-1"),
        ("wet", "dry", "trial-1"),
    }


def ten_comparisons_by_keyboard(page: Page, test: str) -> None:
    page.locator("select[name=test]").select_option(test)
    page.locator("select[name=test]").press("Tab")
    page.get_by_role("button", name="Begin").press("Enter")
    for number in range(1, 11):
        expect(page.get_by_text(f"Comparison {number} of 10")).to_be_visible(timeout=SLOW_MS)
        for key in ("a", "b", "x"):
            page.keyboard.press(key)
            expect(page.locator(f"[data-hear={key}]")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("1" if number % 2 else "2")
    expect(page.get_by_text("exact binomial test")).to_be_visible()


@pytest.mark.parametrize("test", ["nearer", "strict"])
def test_ten_comparisons_by_keyboard_are_kept_with_the_search(page, address, root, test):
    before = len(kept(root.search("tiny")))
    page.goto(f"{address}/searches/tiny/listen")
    ten_comparisons_by_keyboard(page, test)
    expect(page.get_by_text("kept with the search.")).to_be_visible()
    result = kept(root.search("tiny"))[before]
    assert (result.form, len(result.answers)) == (test, 10)
    assert [one.answer for one in result.answers] == ["a", "b"] * 5
    said = page.locator("[data-listening]").inner_text()
    assert f"{result.hits} of 10" in said
    assert f"{float(f'{result.p_value:.3g}'):g}" in said.replace("1.00", "1")


def test_the_report_compares_from_disk_and_saves_csv(page, tiny_search, tmp_path):
    report = write_report(tiny_search, tmp_path / "report.html", top=2)
    page.goto(report.as_uri())
    ten_comparisons_by_keyboard(page, "strict")
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


def test_what_is_heard_reaches_the_output_and_the_switch_changes_it(page, address):
    page.goto(f"{address}/searches/tiny/play")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("Playing at 8 kHz.", timeout=SLOW_MS)
    page.keyboard.press("a")
    page.wait_for_timeout(500)
    model = page.evaluate("fxsearchPlay.measure()")
    page.keyboard.press("d")
    page.wait_for_timeout(500)
    dry = page.evaluate("fxsearchPlay.measure()")
    assert min(model["output"], dry["output"], model["change"]) > 1e-3
    assert dry["change"] < 1e-6  # the dry as it is
    page.locator("select[name=b]").select_option("")  # another "trial": the dry
    page.locator("select[name=source]").select_option("chords")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="B b").click()
    page.wait_for_timeout(500)
    changed = page.evaluate("fxsearchPlay.measure()")
    assert changed["output"] > 1e-3
    assert changed["change"] < 1e-6
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("Stopped.")


def test_a_nam_file_that_is_downloaded_is_a_model(page, address, root, tmp_path):
    row = next(row for row in Search("tiny", root).trials() if row.family == "lstm")
    page.goto(f"{address}/searches/tiny")
    with page.expect_download() as download:
        page.evaluate(f"location.href = '/api/searches/tiny/models/{row.id}.nam'")
    path = tmp_path / "model.nam"
    download.value.save_as(path)
    assert load(path).facts["trial"] == row.id


def test_a_search_is_launched_from_a_pair_and_its_board_moves(page, address, root, recorded_pair):
    page.goto(f"{address}/new")
    page.get_by_label("Name").fill("amp")
    page.get_by_label("Dry recording").set_input_files(recorded_pair[0])
    page.get_by_label("Wet recording").set_input_files(recorded_pair[1])
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("Latency removed")).to_be_visible(timeout=SLOW_MS)
    page.get_by_label("Trials", exact=True).fill("2")
    page.get_by_label("Seconds of compute a trial").fill("1")
    page.get_by_label("lstm").check()
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="amp")).to_be_visible(timeout=3 * SLOW_MS)
    rows = page.locator("#board tbody tr:not(.mark)")
    expect(rows.first).to_be_visible(timeout=3 * SLOW_MS)  # without a reload
    expect(page.locator("#board .facts .state")).to_have_text("complete", timeout=4 * SLOW_MS)
    assert Search("amp", root).best().metrics["mr_stft"] > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/", "/new", "/searches/tiny", "/searches/tiny/listen", "/searches/tiny/play"]
)
def test_pages_fit_a_phone_in_light_and_dark(browser, address, path, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(address + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    brightness = [sum(json.loads(colour[3:].replace("(", "[").replace(")", "]"))) for colour in (paper, ink)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/new",
        "/new?store=stores/fuzz",
        "/login",
        "/searches/tiny",
        "/searches/tiny/listen",
        "/searches/tiny/play",
    ],
)
def test_axe_finds_no_serious_fault(browser, address, path, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto(address + path)
    page.wait_for_timeout(1500)  # until plots are drawn
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(result => result.violations)")
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    told = [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in serious]
    assert told == []
    page.close()
