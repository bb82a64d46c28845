"""Playing through models in a real browser: what is measured at the output is what they make of the input."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from fxcore import audio
from fxcore.audio import Signal
from fxcore.export import load
from search import Search
from search.storage import Storage

pytestmark = pytest.mark.browser
RATE = 8000
TONE_HZ = 250  # whose periods fill whole seconds, and what is measured
ENGINE = Path(__file__).parents[1] / "engines" / "play_nam.mjs"


class Measured(NamedTuple):
    """Root mean squares of what reaches the output, and of its difference to the input."""

    output: float
    change: float


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second that can be looped without a seam."""
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    time_seconds = np.arange(RATE) / RATE
    signal = 0.3 * np.sin(2 * np.pi * TONE_HZ * time_seconds) + 0.1 * np.sin(
        4 * np.pi * TONE_HZ * time_seconds
    )
    audio.write(path, signal[None].astype(np.float32), RATE)
    return path


@pytest.fixture(scope="module")
def expected(root: Storage, tone: Path) -> dict[str, Measured]:
    """What the page's two trials and the dry should measure on that tone, by our own models."""
    search = Search("tiny", root)
    dry = np.tile(audio.read(tone)[0], 3)
    found = {"dry": Measured(_rms(dry[:, -RATE:]), 0.0)}
    for row in search.trials():
        if row.family == "lstm":
            pred = search.playable(row.id).model.predict(torch.as_tensor(dry)[None])[0].numpy()
            found[str(row.id)] = Measured(_rms(pred[:, -RATE:]), _rms((pred - dry)[:, -RATE:]))
    assert len(found) == 3
    return found


@pytest.fixture
def player(page: Page, address: str) -> Page:
    page.goto(f"{address}/searches/tiny/play")
    return page


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.square(signal, dtype=np.float64).mean()))


def heard(page: Page) -> Measured:
    """Once a switch has faded."""
    page.wait_for_timeout(500)
    return Measured(**page.evaluate("fxsearchPlay.measure()"))


def trials_on_the_page(page: Page) -> list[str]:
    return [page.locator(f"select[name={side}]").input_value() for side in ("a", "b")]


def drop(page: Page, path: Path, kind: str) -> None:
    """A file dropped anywhere on the page."""
    moved = page.evaluate_handle(
        """([content, name, type]) => {
            const moved = new DataTransfer()
            const bytes = Uint8Array.from(atob(content), char => char.charCodeAt(0))
            moved.items.add(new File([bytes], name, {type}))
            return moved
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name, kind],
    )
    page.dispatch_event("main", "drop", {"dataTransfer": moved})


def test_the_switch_plays_trials_and_dry_on_a_built_in_phrase(player):
    player.locator("select[name=source]").select_option("plucks")
    player.get_by_role("button", name="Start").click()
    expect(player.locator("#status")).to_have_text("Playing at 8 kHz.")
    model = heard(player)
    player.keyboard.press("d")
    dry = heard(player)
    assert min(model.output, dry.output, model.change) > 1e-3
    assert dry.change < 1e-6  # the dry as it is
    player.locator("select[name=b]").select_option("")  # another "trial": the dry
    player.locator("select[name=source]").select_option("chords")
    player.get_by_role("button", name="B b").click()
    same = heard(player)
    assert same.output > 1e-3
    assert same.change < 1e-6
    player.get_by_role("button", name="Stop").click()
    expect(player.locator("#status")).to_have_text("Stopped.")


def test_a_dropped_file_plays_through_both_trials_and_dry_as_they_are(player, tone, expected):
    a, b = trials_on_the_page(player)
    drop(player, tone, "audio/wav")
    expect(player.locator("#status")).to_have_text("Playing at 8 kHz.")
    assert player.locator("select[name=source]").input_value() == "file"
    for key, name in (("a", a), ("b", b), ("d", "dry"), ("a", a)):
        player.keyboard.press(key)
        assert heard(player) == pytest.approx(expected[name], rel=0.01, abs=1e-5)
    player.locator("select[name=a]").select_option(b)  # another trial, while it plays
    player.wait_for_timeout(1500)
    assert heard(player) == pytest.approx(expected[b], rel=0.01)
    assert abs(expected[a].change / expected[b].change - 1) > 0.05  # which tells the two apart


def test_a_dropped_file_that_is_no_audio_is_told(player, tmp_path):
    (tmp_path / "notes.txt").write_text("no audio")
    drop(player, tmp_path / "notes.txt", "text/plain")
    expect(player.get_by_role("alert")).to_be_visible()
    expect(player.locator("#status")).to_have_text("Stopped.")


@pytest.fixture(scope="module")
def studio(launch_browser, tone: Path) -> Iterator[Browser]:
    """A browser whose microphone hears the tone."""
    running = launch_browser(f"--use-file-for-fake-audio-capture={tone}")
    yield running
    running.close()


def test_the_live_input_plays_through_both_trials_and_dry(studio, address, expected):
    page = studio.new_page()
    page.goto(f"{address}/searches/tiny/play")
    a, b = trials_on_the_page(page)
    page.locator("select[name=source]").select_option("live")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("Playing at 8 kHz.", timeout=60_000)
    for key, name in (("d", "dry"), ("a", a), ("b", b)):
        page.keyboard.press(key)
        assert heard(page) == pytest.approx(expected[name], rel=0.05, abs=1e-5)
    page.get_by_role("button", name="Stop").click()
    page.close()


def test_the_browsers_own_fake_input_is_heard_and_changed(player):
    player.locator("select[name=source]").select_option("live")
    player.get_by_role("button", name="Start").click()
    expect(player.locator("#status")).to_have_text("Playing at 8 kHz.")
    model = heard(player)
    player.keyboard.press("d")
    dry = heard(player)
    assert min(model.output, model.change, dry.output) > 1e-3
    assert dry.change < 1e-6


def test_a_nam_file_that_is_downloaded_plays_in_the_engine(player, root, tone, tmp_path):
    trial = int(trials_on_the_page(player)[0])
    with player.expect_download() as download:
        player.evaluate(f"location.href = '/api/searches/tiny/models/{trial}.nam'")
    path = tmp_path / "model.nam"
    download.value.save_as(path)
    assert load(path).facts["trial"] == trial
    dry = audio.read(tone)[0]
    (tmp_path / "dry.f32").write_bytes(dry.tobytes())
    subprocess.run(["node", ENGINE, path, tmp_path / "dry.f32", tmp_path / "wet.f32"], check=True)
    wet = np.frombuffer((tmp_path / "wet.f32").read_bytes(), np.float32)
    pred = Search("tiny", root).playable(trial).model.predict(torch.as_tensor(dry)[None])[0, 0].numpy()
    assert np.square(wet - pred).sum() / np.square(pred).sum() < 1e-4
