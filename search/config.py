"""What a search is (`SearchSpec`, the YAML file) and what one of its trials is (`TrialConfig`)."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from fxcore.errors import SpecError, did_you_mean
from fxcore.export import FORMATS
from fxcore.metrics import METRICS, OBJECTIVE
from fxcore.models import FAMILIES, PRESETS, ModelSpec, TrainingSpec
from fxcore.spec import Spec, digest_of
from fxcore.training import Budget
from search.space import SearchSpace

SamplerKind: TypeAlias = Literal["tpe", "random", "nsga2"]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  # safe as a folder on every file system


class SearchBudget(Spec):
    """What a search may spend; a trial's share is in compute seconds, or in optimiser steps."""

    trials: int = Field(24, ge=1)
    trial_seconds: float | None = Field(None, gt=0.0)
    trial_steps: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0.0)  # wall time; None: until all trials have ended
    gpu_hours: float | None = Field(None, gt=0.0)  # compute of all trials by their share of a GPU
    target: float | None = Field(None, ge=0.0)  # of the objective, at which the search has what it wants
    patience: int | None = Field(None, ge=1)  # trials that may end without a new best
    silent_minutes: float = Field(15.0, gt=0.0)  # a trial that does not report for so long is ended

    @model_validator(mode="after")
    def _seconds_or_steps(self) -> Self:
        if (self.trial_seconds is None) == (self.trial_steps is None):
            raise ValueError("give either trial_seconds, or trial_steps for runs that must repeat exactly")
        return self

    @property
    def trial(self) -> Budget:
        """The budget of one trial."""
        return Budget(compute_seconds=self.trial_seconds, steps=self.trial_steps)


class Resources(Spec):
    """What one trial occupies; fractions of a GPU let several trials share it."""

    cpus_per_trial: float = Field(1, gt=0.0)
    gpus_per_trial: float = Field(0, ge=0.0)


class Limits(Spec):
    """What a model may cost; one that is dearer is not trained at all."""

    receptive_field_ms: float | None = Field(None, gt=0.0)  # recurrent models have none
    parameters: int | None = Field(None, ge=1)
    realtime_factor: float | None = Field(None, gt=0.0)  # at least so many times real time, as predicted


class Stopping(Spec):
    """When a trial is stopped before its budget is spent."""

    halving: bool = True  # those that fall behind others at a ninth and a third of it
    plateau: int | None = Field(6, ge=1)  # reports in a row, of nine, that may bring nothing better


class SearchSpec(Spec):
    """A search, as its YAML file says it.

    Under `families` and `output`, a value is fixed, `[low, high]` is a range, and a list of words or of
    three or more numbers are choices. Ranges that span a factor of 8 are searched logarithmically. A family
    without ranges has its own; without families, all black boxes are searched.
    """

    name: str = Field(pattern=NAME_PATTERN)
    data: str  # the sample store: a path (relative ones start at the storage root), or s3://bucket/prefix
    objective: str = OBJECTIVE
    budget: SearchBudget
    families: dict[str, dict[str, Any] | None] | None = None
    structured: bool = True  # first fit the Volterra baseline and the structured families the data suggest
    presets: tuple[str, ...] = ()  # models known by name, to be tried first
    targets: tuple[str, ...] = ()  # export formats, into all of which every model must fit
    warm_start: tuple[str, ...] = ()  # earlier searches, whose trials this one learns from
    sampler: SamplerKind = "tpe"  # or random; or nsga2, for quality and playing cost together
    stopping: Stopping = Stopping()
    limits: Limits = Limits()
    output: dict[str, Any] = {"kind": ["regression"]}
    training: dict[str, Any] = {}
    resources: Resources = Resources()
    keep_models: int = Field(100, ge=1)  # of the trials that ended, the best so many
    seed: int = Field(0, ge=0, lt=2**31)

    @field_validator("families", mode="before")
    @classmethod
    def _names_alone(cls, families: Any) -> Any:
        """`[lstm, conv]` names families that are searched over their own ranges."""
        return dict.fromkeys(families) if isinstance(families, list) else families

    @classmethod
    def from_dict(cls, values: object) -> Self:
        spec = super().from_dict(values)
        if spec.objective not in METRICS:
            raise SpecError(
                f"unknown objective '{spec.objective}'{did_you_mean(spec.objective, METRICS)}", ("objective",)
            )
        for name in spec.presets:
            if name not in PRESETS:
                raise SpecError(f"unknown preset '{name}'{did_you_mean(name, PRESETS)}", ("presets",))
        for kind in spec.targets:
            if kind not in FORMATS:
                raise SpecError(f"unknown format '{kind}'{did_you_mean(kind, FORMATS)}", ("targets",))
            for name in spec.presets:
                if refusal := FORMATS[kind].refusal_of(PRESETS[name]):
                    raise SpecError(f"preset '{name}': {refusal}", ("presets",))
        spec.space()  # refuses unknown families, unknown keys and empty ranges
        return spec

    def space(self) -> SearchSpace:
        """What its trials are drawn from."""
        gpu = self.resources.gpus_per_trial > 0
        return SearchSpace(self.families, self.output, self.training, self.targets, gpu)

    def same_search(self, other: "SearchSpec") -> bool:
        """Whether `other` differs in nothing but what may be spent, so that one continues the other."""
        mutable = {"budget", "resources", "keep_models"}
        same_trials = self.budget.trial == other.budget.trial
        return same_trials and self.model_dump(exclude=mutable) == other.model_dump(exclude=mutable)


class TrialConfig(Spec):
    """All that decides what a trial computes; with the store's digest, its identity."""

    model: Annotated[ModelSpec, *FAMILIES.field()]
    training: TrainingSpec
    budget: Budget
    objective: str
    seed: int

    def identity(self, store_digest: str) -> str:
        """32 hexadecimal digits: equal configurations on equal data are one trial."""
        return digest_of([self.as_dict(), store_digest])


class TrialTask(Spec):
    """What a worker needs to run a trial, wherever it runs: paths and plain values, never arrays."""

    number: int
    identity: str
    config: TrialConfig
    store: str
    checkpoints: str  # the folder for them, a path or s3://bucket/prefix
    cpus: float
    gpus: float
    halvings: int = 0  # of the batch, after it did not fit into memory
