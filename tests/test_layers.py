"""The direction of imports: fxcore <- datasets <- search, and Ray only where trials are spread."""

import json
import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, json, logging, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if module.name not in sys.argv[2:]:
        importlib.import_module(module.name)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"loaded": loaded, "handlers": len(logging.getLogger().handlers)}))
"""
ENGINES = {"ray", "optuna"}


@pytest.mark.parametrize(
    ("package", "skipped", "absent"),
    [
        # Triton comes with the builds of PyTorch for GPUs alone
        (
            "fxcore",
            ["fxcore.models.layer_kernels"],
            {*ENGINES, "pyarrow", "pandas", "pedalboard", "datasets", "search"},
        ),
        ("datasets", [], {*ENGINES, "pandas", "search"}),
        ("search", [f"search.engine.ray_{name}" for name in ("render", "session", "trial", "tune")], {"ray"}),
    ],
)
def test_importing_every_module_loads_nothing_from_above(
    package: str, skipped: list[str], absent: set[str]
) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, package, *skipped]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)  # and nothing else was printed
    assert absent.isdisjoint(found["loaded"])
    assert package in found["loaded"]
    assert found["handlers"] == 0


TRIAL = """
import json, sys
import search.engine.ray_trial
import torch
from fxcore.models import FAMILIES
from fxcore.losses import WeightedLoss
from fxcore.training.steps import Optimiser
model = FAMILIES.parse({"kind": "conv"}).build(torch.Generator())
recipe = model.spec.training
dry = torch.randn(1, 1, model.context_samples + 64)
Optimiser(model, recipe, WeightedLoss(recipe, 44_100)).step(dry, dry[..., -64:])
print(json.dumps(sorted(sys.modules)))
"""


def test_the_process_of_a_trial_loads_nothing_that_it_does_without() -> None:
    """A trial whose process died waits for all of it."""
    done = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    absent = {"search.driver", "optuna", "sqlalchemy", "librosa", "matplotlib", "torch._dynamo"}
    assert absent.isdisjoint(json.loads(done.stdout))
