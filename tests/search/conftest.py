"""A real search, run once: three trials of two families on some fuzz; its pages; a browser; a cluster."""

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datasets.render import Recipe, render
from search import Search, SearchSpec, launch
from search.storage import Storage
from tests.search.cluster import Cluster

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

RECIPE = {
    "sample_rate": 8000,
    "effect": {"kind": "fuzz", "tone_hz": 3000.0},
    "track": {"segments": 1, "segment_seconds": 2.0},
    "splits": {"train": 2},
}
SPEC = {
    "name": "tiny",
    "data": "stores/fuzz",
    "budget": {"trials": 3, "trial_steps": 80},
    "families": {"lstm": {"hidden": [4, 8]}, "conv": {"layers": [2, 3], "window": [16, 64], "channels": 4}},
    "structured": False,
    "training": {"batch": 2, "block_samples": 256, "blocks": 1, "learning_rate": 0.02},
}


@pytest.fixture(scope="session")
def tiny_search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    root = tmp_path_factory.mktemp("storage")
    render(Recipe.from_dict(RECIPE), root / "stores" / "fuzz")
    return launch(SearchSpec.from_dict(SPEC), storage=root, engine="local")


@pytest.fixture(scope="module")
def root(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A copy of the storage that holds `tiny`, to change."""
    folder = tmp_path_factory.mktemp("served") / "root"
    shutil.copytree(tiny_search.storage.root, folder)
    return Storage(folder)


@pytest.fixture(scope="module")
def address(root: Storage) -> Iterator[str]:
    """Where a service of that copy listens."""
    import uvicorn

    from search.service.app import create_app

    config = uvicorn.Config(create_app(root), port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def playwright() -> "Iterator[Playwright]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def launch_browser(playwright: "Playwright") -> "Callable[..., Browser]":
    """Start Chromium with flags beside those that let it play and record without a hand."""
    path = shutil.which("chromium")
    assert path, "apt-get install chromium"

    def launch_browser(*flags: str) -> "Browser":
        always = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
        fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        return playwright.chromium.launch(executable_path=path, args=[*always, *fake, *flags])

    return launch_browser


@pytest.fixture(scope="module")
def browser(launch_browser: "Callable[..., Browser]") -> "Iterator[Browser]":
    running = launch_browser()
    yield running
    running.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page that must not complain."""
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


@pytest.fixture(scope="session")
def serious_faults() -> "Callable[[Page], list[object]]":
    """What axe finds in a page that keeps people out, with where it is."""
    axe = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"

    def find(page: "Page") -> list[object]:
        page.evaluate(axe.read_text())
        found = page.evaluate("axe.run().then(result => result.violations)")
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        return [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in serious]

    return find


@pytest.fixture
def ten_comparisons_by_keyboard(page: "Page") -> Callable[[str], None]:
    """Take a listening test of a form that is in sight, answering A and B by turns."""
    from playwright.sync_api import expect

    def take(test: str) -> None:
        page.locator("select[name=test]").select_option(test)
        page.locator("select[name=test]").press("Tab")
        page.get_by_role("button", name="Begin").press("Enter")
        for number in range(1, 11):
            expect(page.get_by_text(f"Comparison {number} of 10")).to_be_visible(timeout=60_000)
            for key in ("a", "b", "x"):
                page.keyboard.press(key)
                expect(page.locator(f"[data-hear={key}]")).to_have_attribute("aria-pressed", "true")
            page.keyboard.press("1" if number % 2 else "2")
        expect(page.get_by_text("exact binomial test")).to_be_visible()

    return take


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """While it is open, no file of this process grows beyond so many bytes: as on a disk that is full."""

    @contextmanager
    def limit(n_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes; a test that breaks one leaves its repair, `start()`, to the next."""
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield found
    finally:
        found.stop()
