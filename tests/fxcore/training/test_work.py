import pytest
import torch

from fxcore.models import FAMILIES
from fxcore.training.work import Work, count_work


def work_of(**settings: object) -> Work:
    return count_work(FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval())


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "conv", "layers": 3},
        {"kind": "gru", "layers": 2, "hidden": 5},
        {"kind": "lstm", "layers": 2, "hidden": 5, "tail_taps": 100},
        {"kind": "nam_wavenet"},
        {"kind": "wavenet", "gated": True},
    ],
    ids=lambda settings: settings["kind"],
)
def test_each_weight_of_a_net_is_one_product_a_sample(settings: dict[str, object]) -> None:
    model = FAMILIES.parse(settings).build(torch.Generator().manual_seed(0)).eval()
    weights = [p.numel() for name, p in model.named_parameters() if p.dim() > 1 or name == "tail.taps"]
    unheard = 2 * 2 if settings["kind"] == "nam_wavenet" else 0  # the last layer's residual
    assert count_work(model).products == 64 * (sum(weights) - unheard)


def test_a_short_impulse_response_is_one_convolution() -> None:
    work = work_of(kind="fir", taps=100)
    assert (work.products, work.convolved) == (64 * 100, 64)
    assert work.calls == 5  # by the scale, past and block, convolution, bias, by the scale
    assert work.steps == 0


def test_a_transform_every_fourth_block_counts_a_quarter() -> None:
    head, partitioned = work_of(kind="fir", taps=256), work_of(kind="fir", taps=300)
    each_block, transform = 3, 5  # frame, played, sum; spectrum, past, product, sum, inverse
    assert partitioned.calls - head.calls == each_block + transform / 4
    assert partitioned.products == head.products


def test_longer_loops_inside_a_call_are_steps_and_no_calls() -> None:
    one, two = work_of(kind="gru", layers=1), work_of(kind="gru", layers=2)
    assert two.calls == one.calls
    assert two.steps >= one.steps + 64
