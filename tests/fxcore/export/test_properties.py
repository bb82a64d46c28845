"""Random models of every family in every format that holds them: written, played by its engine, compared."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fxcore.export import FORMATS, Playable, export, narrowing
from fxcore.export.probe import probe
from fxcore.models import FAMILIES, ModelSpec

RANGES: dict[str, dict[str, Any]] = {  # small models; a family without any is drawn with its defaults
    "conv": {"layers": (1, 4), "window": (2, 60), "channels": (1, 5), "linear": (1, 3), "pool": (1, 2)},
    "dynamics": {"max_window_samples": (1, 40)},
    "feedback_delay": {"max_delay_samples": (130, 3_000), "taps": (1, 20)},
    "fir": {"taps": (1, 700)},
    "gru": {"layers": (1, 3), "hidden": (1, 9), "tail_taps": (0, 40)},
    "hammerstein": {"order": (1, 4), "taps": (1, 60)},
    "lstm": {"layers": (1, 3), "hidden": (1, 9), "tail_taps": (0, 40)},
    "modulated_delay": {"max_delay_samples": (64, 99), "direct_taps": (1, 9), "loop_taps": (0, 0)},
    "pitch_shift": {"window_samples": (128, 1_100), "tail_samples": (16, 200)},
    "s4d": {"layers": (1, 2), "channels": (1, 4), "states": (1, 3), "memory": (16, 900)},
    "wavenet": {"layers": (1, 6), "window": (30, 90), "channels": (1, 5), "kernel": (2, 4)},
    "wiener_hammerstein": {"input_taps": (1, 20), "units": (1, 4), "output_taps": (1, 300)},
}
EXAMPLES = {"onnx": 2, "torchscript": 1}  # which take seconds each: for long runs
NAM_CORE_DIFFERS = {  # of the peak, at any one sample: 1e-6 was measured without tanh, 1.1e-2 and 1.3e-3 with
    **{"conv": 1e-5, "fir": 1e-5},
    **{"lstm": 3e-2, "wavenet": 5e-3, "nam_wavenet": 5e-3},
}
PAIRS = [
    pytest.param(kind, family, marks=[pytest.mark.slow] if kind in EXAMPLES and family != "lstm" else [])
    for kind in FORMATS
    for family in FAMILIES
    if narrowing([kind], family) is not None
]


@pytest.mark.parametrize(("kind", "family"), PAIRS)
def test_any_model_that_a_format_holds_survives_it(kind: str, family: str) -> None:
    """`export` reads the file back with the format's engine and raises where it plays something else."""

    @settings(
        max_examples=EXAMPLES.get(kind, 4),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def survives(data: st.DataObject) -> None:
        model = drawn(kind, family, data).build(torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
        model.set_scale(data.draw(st.floats(0.01, 0.5)), data.draw(st.floats(0.01, 0.9)))
        with tempfile.TemporaryDirectory() as folder:
            name = f"model{FORMATS[kind].extension}"
            assert export(Playable(model.eval(), 44_100, {}), kind, Path(folder) / name).exists()

    survives()


@pytest.mark.engine
@pytest.mark.parametrize("family", FORMATS["nam"].holds)
def test_nam_core_plays_any_model_that_its_format_holds(
    family: str, nam_core: Callable[[Path, Tensor], Tensor]
) -> None:
    """Its tanh and sigmoid are rational functions: what they make of a net may differ by so much."""

    @settings(max_examples=12, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def plays(data: st.DataObject) -> None:
        model = drawn("nam", family, data).build(torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
        model.set_scale(data.draw(st.floats(0.05, 0.5)), data.draw(st.floats(0.01, 0.9)))
        dry = probe(44_100, 2_048)
        with tempfile.TemporaryDirectory() as folder:
            path = export(Playable(model.eval(), 44_100, {}), "nam", Path(folder) / "model.nam")
            wet, pred = nam_core(path, dry), model.predict(dry)
        assert float((wet - pred).abs().max() / pred.abs().max()) < NAM_CORE_DIFFERS[family]

    plays()


def drawn(kind: str, family: str, data: st.DataObject) -> ModelSpec:
    """A small model of the family that the format holds."""
    values = {
        name: data.draw(st.integers(*ends), label=name) for name, ends in RANGES.get(family, {}).items()
    }
    limits = narrowing([kind], family) or {}
    for field, allowed in limits.items():
        if field in FAMILIES[family].model_fields:
            values[field] = data.draw(st.sampled_from(allowed), label=field)
    return FAMILIES.parse({"kind": family, **values}).narrowed(limits)
