"""The pages in a real browser: Chromium launches a search, watches it, and compares by ear."""

import json

import pytest
from playwright.sync_api import expect

from search import Search
from search.listening import binomial_p, kept

pytestmark = pytest.mark.browser
SLOW_MS = 60_000


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


@pytest.mark.parametrize("test", ["nearer", "strict"])
def test_ten_comparisons_by_keyboard_are_kept_with_the_search(
    page, address, root, ten_comparisons_by_keyboard, test
):
    before = len(kept(root.search("tiny")))
    page.goto(f"{address}/searches/tiny/listen")
    ten_comparisons_by_keyboard(test)
    expect(page.get_by_text("kept with the search.")).to_be_visible()
    result = kept(root.search("tiny"))[before]
    assert (result.form, len(result.answers)) == (test, 10)
    assert [one.answer for one in result.answers] == ["a", "b"] * 5
    said = page.locator("[data-listening]").inner_text()
    assert f"{result.hits} of 10" in said
    assert f"{float(f'{result.p_value:.3g}'):g}" in said.replace("1.00", "1")


@pytest.mark.timeout(900)
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
    expect(page.locator("#board .facts .state")).to_have_text("complete", timeout=10 * SLOW_MS)
    assert Search("amp", root).best().metrics["log_mel_share"] > 0
    expect(page.locator("#families .key").first).to_be_visible()
    expect(page.locator("#take").get_by_role("link", name="safetensors")).to_be_visible()
    expect(page.locator("#take").get_by_role("link", name="Report")).to_be_visible()


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


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
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
def test_axe_finds_no_serious_fault(browser, address, serious_faults, path, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(address + path)
    page.wait_for_timeout(1500)  # until plots are drawn
    assert serious_faults(page) == []
    page.close()
