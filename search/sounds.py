"""What can be listened to: dry, wet, models, residuals and the anchor, equally loud, and loops of them."""

from typing import Any, NamedTuple

import numpy as np

from fxcore.audio import Signal
from search.excerpt import Excerpt, find_places, matched, matching_gain, player_source, playing_gain, rms
from search.findings import Findings
from search.listening import anchor

LOOP_SECONDS = 2.0


class Sound(NamedTuple):
    """A signal (1, T) with a name; `key` is what a listening test calls it."""

    key: str
    title: str
    note: str
    signal: Signal
    gain: float = 1.0  # of the signal over what plots show


class Loop(NamedTuple):
    """A stretch of all sounds."""

    name: str
    start_seconds: float
    stop_seconds: float


def sounds(findings: Findings, excerpt: Excerpt) -> list[Sound]:
    """Dry and wet, then pred and residual of each of the best, then the anchor; one gain keeps all below 1.

    All but residuals are as loud as the wet.
    """
    rate = findings.store.sample_rate
    dry = excerpt.cut([r.dry for r in findings.recordings])
    wet = excerpt.cut([r.wet for r in findings.recordings])
    found = [
        Sound("dry", "Dry", "what goes into the gear", matched(dry, wet, rate)),
        Sound("wet", "Wet", "what comes out of it", wet),
    ]
    for judged in findings.best:
        pred, number = excerpt.cut(judged.preds), judged.row.id
        level_db = 20 * np.log10(max(rms(wet - pred), 1e-9) / max(rms(wet), 1e-9))
        relation = f"{abs(level_db):.0f} dB {'below' if level_db < 0 else 'above'} the wet"
        own, note = matching_gain(pred, wet, rate), "what the model makes of the dry"
        found.append(Sound(f"trial-{number}", f"Trial {number}", note, pred * np.float32(own), own))
        found.append(Sound(f"residual-{number}", "Its residual", f"wet − model, {relation}", wet - pred))
    low = matched(anchor(wet, rate), wet, rate)
    found.append(Sound("anchor", "Anchor", "the wet without what lies above 3.5 kHz", low))
    gain = playing_gain([sound.signal for sound in found])
    return [sound._replace(signal=np.float32(gain) * sound.signal, gain=gain * sound.gain) for sound in found]


def loops(wet: Signal, sample_rate: int) -> list[Loop]:
    """Two seconds around a transient, a loud and a quiet place of an excerpt."""
    places, total = find_places(wet, sample_rate), wet.shape[-1] / sample_rate
    starts = {"transient": places.transient, "loud": places.loud, "quiet": places.quiet}
    found = []
    for name, sample in starts.items():
        start = max(0.0, min(sample / sample_rate - LOOP_SECONDS / 4, total - LOOP_SECONDS))
        found.append(Loop(name, round(start, 3), round(min(start + LOOP_SECONDS, total), 3)))
    return found


def listening_data(
    name: str, data: str, found: list[Sound], around: list[Loop], sample_rate: int
) -> dict[str, Any]:
    """What the page's listening tests need, as JSON; sounds that no player shows come with their samples.

    `data` is the digest of the store, by which saved results are known.
    """
    return {
        "search": name,
        "data": data,
        "models": [sound.key for sound in found if sound.key.startswith("trial-")],
        "titles": {sound.key: sound.title for sound in found},
        "hidden": {s.key: player_source(s.signal, sample_rate) for s in found if s.key == "anchor"},
        "loops": [loop._asdict() for loop in around],
    }


def zoom_data(found: list[Sound], wet: Signal, sample_rate: int) -> dict[str, Any]:
    """What the page's waveforms need beside its players: the players' gains, and samples to begin at."""
    return {
        "sample_rate": sample_rate,
        "gains": {sound.key: sound.gain for sound in found},
        "places": find_places(wet, sample_rate).named(),
    }
