"""What a search's limits refuse, before anything is trained."""

from fxcore.models import ModelSpec
from fxcore.training import predicted_cost
from search.config import Limits


def refusal(model: ModelSpec, limits: Limits, sample_rate: int) -> str | None:
    """Why the model is too dear; None where it is not, or nothing is limited."""
    if limits == Limits():
        return None
    cost = predicted_cost(model, sample_rate)
    if limits.receptive_field_ms is not None and cost.receptive_field is not None:
        field = 1000 * cost.receptive_field / sample_rate
        if field > limits.receptive_field_ms:
            return f"a receptive field of {field:.0f} ms; the limit is {limits.receptive_field_ms:g}"
    if limits.parameters is not None and cost.parameters > limits.parameters:
        return f"{cost.parameters:,} parameters; the limit is {limits.parameters:,}"
    if limits.realtime_factor is not None and cost.realtime_factor < limits.realtime_factor:
        return f"{cost.realtime_factor:.1f} times real time; the limit is {limits.realtime_factor:g}"
    return None
