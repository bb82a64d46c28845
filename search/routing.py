"""What a search tries first: models of known structure that a pair's probes suggest, baseline and presets.

A model with the effect's own structure is fitted in seconds and beats any black box by orders of magnitude,
where it fits; which may fit is told by two probes of the store (`datasets.probes`).
"""

from collections.abc import Iterator

from datasets.manifest import StoreManifest
from fxcore.export import narrowing
from fxcore.models import FAMILIES, PRESETS, ModelSpec, Nature
from search.config import SearchSpec

BASELINE = "hammerstein"  # the Volterra model of the thesis: what every other must beat

LINEAR_ESR = 0.01  # below: linear, and the same all the time
NONLINEAR_ESR = 0.1  # above, where the effect itself was played: not linear
TIME_VARYING_ESR = 0.01
TIME_INVARIANT_ESR = 1e-4


def first_models(manifest: StoreManifest, spec: SearchSpec) -> Iterator[ModelSpec]:
    """The baseline and what the probes suggest, unless the search is without; then its presets."""
    fitting = [kind for kind in suggested(manifest) if narrowing(spec.targets, kind) is not None]
    for kind in (BASELINE, *fitting) if spec.structured else ():
        for start in FAMILIES[kind].starts:
            yield FAMILIES.parse({"kind": kind, **start})
    for name in spec.presets:
        yield PRESETS[name]


def suggested(manifest: StoreManifest) -> list[str]:
    """Structured families that the store's probes do not rule out, in the registry's order."""
    return [
        kind
        for kind in FAMILIES
        if kind != BASELINE and (made_for := FAMILIES[kind].made_for) and _may_fit(made_for, manifest)
    ]


def _may_fit(made_for: Nature, manifest: StoreManifest) -> bool:
    linearity, repeatability = manifest.probes.linearity_esr, manifest.probes.repeatability_esr
    played = manifest.recipe is not None  # of recordings, linearity is coherence: long echoes lower it, too
    if linearity is not None:
        if linearity < LINEAR_ESR and not made_for.linear:
            return False
        if played and linearity > NONLINEAR_ESR and made_for.linear:
            return False
        if not played and linearity < LINEAR_ESR and made_for.time_varying:
            return False
    if repeatability is not None:
        if repeatability > TIME_VARYING_ESR and not made_for.time_varying:
            return False
        if repeatability < TIME_INVARIANT_ESR and made_for.time_varying:
            return False
    return True
