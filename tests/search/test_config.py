"""The search file: its line numbers, its suggestions, what identifies a trial."""

from pathlib import Path

import pytest

from fxcore.errors import SpecError
from fxcore.models import FAMILIES
from fxcore.training import Budget
from fxcore.yamlfile import load_yaml
from search.config import SearchSpec, TrialConfig

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "search.yaml"

SEARCH = """\
name: amp
data: stores/amp
budget: {trials: 4, trial_steps: 10}
families:
  lstm:
    hidden: [8, 16]
"""


def load(tmp_path, text: str, *overrides: str) -> SearchSpec:
    path = tmp_path / "search.yaml"
    path.write_text(text)
    return load_yaml(path, SearchSpec, overrides)


def test_a_preset_that_a_target_does_not_hold_is_refused(tmp_path):
    assert load(tmp_path, SEARCH, "presets=[a1_nano]", "targets=[nam]").presets == ("a1_nano",)
    with pytest.raises(SpecError, match=r"preset 'a1_nano': a \.aidax file holds gru, lstm models"):
        load(tmp_path, SEARCH, "presets=[a1_nano]", "targets=[aidax]")


def test_the_quickstart_is_a_valid_search():
    assert set(load_yaml(QUICKSTART, SearchSpec).families) == {"conv", "lstm", "wavenet"}


@pytest.mark.parametrize(
    ("line", "replacement", "expected"),
    [
        ("hidden: [8, 16]", "hiden: [8, 16]", "unknown key 'families.lstm.hiden'; did you mean 'hidden'?"),
        ("hidden: [8, 16]", "hidden: [16, 8]", "search.yaml:6: families.lstm.hidden: empty range [16, 8]"),
        ("lstm:", "lsmt:", "search.yaml:5: families.lsmt: unknown family 'lsmt'; did you mean 'lstm'?"),
        ("name: amp", "nam: amp", "search.yaml:1: unknown key 'nam'; did you mean 'name'?"),
        ("trials: 4", "trails: 4", "search.yaml:3: unknown key 'budget.trails'; did you mean 'trials'"),
        ("trial_steps: 10", "trial_steps: 10, trial_seconds: 2", ":3: budget: give either trial_seconds"),
        ("data: stores/amp", "data: a\nobjective: mrstft", ":3: unknown objective 'mrstft'; did you mean"),
        ("data: stores/amp", "data: a\ndata: b", "search.yaml:3: key 'data' is there twice"),
        ("name: amp", "name: ../amp", "search.yaml:1: name: "),
        ("name: amp", "name: {", "not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_a_suggestion(tmp_path, line, replacement, expected):
    with pytest.raises(SpecError) as caught:
        load(tmp_path, SEARCH.replace(line, replacement))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overrides_replace_nested_keys_and_are_checked_too(tmp_path):
    assert load(tmp_path, SEARCH, "budget.trials=9").budget.trials == 9
    with pytest.raises(SpecError, match="did you mean 'trials'"):
        load(tmp_path, SEARCH, "budget.trails=9")


def test_a_search_goes_on_with_another_budget_but_not_with_other_ranges(tmp_path):
    spec = load(tmp_path, SEARCH)
    assert spec.same_search(load(tmp_path, SEARCH, "budget.trials=99", "budget.minutes=5"))
    assert not spec.same_search(load(tmp_path, SEARCH, "families.lstm.hidden=[8, 17]"))
    assert not spec.same_search(load(tmp_path, SEARCH, "budget.trial_steps=11"))


def test_identity_changes_with_everything_that_changes_the_result():
    model = FAMILIES.parse({"kind": "lstm", "hidden": 8})
    base = TrialConfig(
        model=model, training=model.training, budget=Budget(steps=3), objective="log_mel_share", seed=0
    )
    other_output = FAMILIES.parse({"kind": "lstm", "hidden": 8, "output": {"kind": "mixture", "bits": 9}})
    variants = [
        base.model_copy(update={"model": other_output}),
        base.model_copy(update={"training": model.training.model_copy(update={"batch": 3})}),
        base.model_copy(update={"budget": Budget(steps=4)}),
        base.model_copy(update={"objective": "esr"}),
        base.model_copy(update={"seed": 1}),
    ]
    identities = {c.identity("store") for c in [base, *variants]} | {base.identity("another store")}
    assert len(identities) == len(variants) + 2
    assert TrialConfig.from_dict(base.as_dict()).identity("store") == base.identity("store")
