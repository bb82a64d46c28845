"""Metrics: what is reported of a model. One file and one line in the registry add one."""

from collections.abc import Iterable

from torch import Tensor

from fxcore.metrics.base import Metric
from fxcore.metrics.esr import Esr, EsrPreEmphasised
from fxcore.metrics.level import LevelDifference
from fxcore.metrics.log_mel import LogMel, LogMelShare
from fxcore.metrics.mr_stft import MrStft

METRICS: dict[str, type[Metric]] = {
    metric.name: metric
    for metric in (
        MrStft,
        Esr,
        EsrPreEmphasised,
        LogMel,
        LogMelShare,
        LevelDifference,
    )
}


OBJECTIVE = LogMelShare.name  # what the best is chosen by, unless asked otherwise


def measure(recordings: Iterable[tuple[Tensor, Tensor, Tensor]], sample_rate: int) -> dict[str, float]:
    """Every metric over all recordings, each a dry, a wet and a pred of (B, 1, T): finite values by name."""
    metrics = [metric(sample_rate) for metric in METRICS.values()]
    for dry, wet, pred in recordings:
        for metric in metrics:
            metric.update(dry, wet, pred)
    return {metric.name: metric.value() for metric in metrics}


__all__ = ["METRICS", "OBJECTIVE", "Metric", "measure"]
