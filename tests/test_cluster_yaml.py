"""`cluster.yaml` and `examples/cluster` hold what Ray, and what AWS, know and no word beside it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SCRIPTS = {path.name: path.read_text() for path in sorted((ROOT / "examples" / "cluster").glob("*.sh"))}
FROZEN_SECONDS = 10.0  # until a node that does not answer is held for dead


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cluster.yaml").read_text()))


@pytest.fixture(scope="module")
def ray_folder() -> Path:
    import ray

    return Path(ray.__file__).parent


def unknown(values: Any, schema: dict[str, Any], whole: dict[str, Any], at: str = "") -> Iterator[str]:
    """Keys that a JSON schema does not name, at any depth; where it names none, all are free."""
    if "$ref" in schema:
        schema = whole["definitions"][schema["$ref"].rpartition("/")[2]]
    if isinstance(values, list):
        for value in values:
            yield from unknown(value, schema.get("items", {}), whole, at)
    if not isinstance(values, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in values.items():
        known = [named[key]] if key in named else [patterns[p] for p in patterns if re.search(p, key)]
        if not known and (named or patterns):
            yield f"{at}{key}"
        for each in known:
            yield from unknown(value, each, whole, f"{at}{key}.")


def start_commands(cluster: dict[str, Any]) -> dict[str, str]:
    """Every `ray start`, with the variables that are exported before it."""
    found = {
        key: " ".join(command for command in cluster[key] if "ray start" in command)
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
    }
    common = SCRIPTS["environment.sh"]
    return {**found, **{name: common + SCRIPTS[name] for name in ("head.sh", "worker.sh")}}


def variables(command: str) -> dict[str, str]:
    return dict(re.findall(r"\b((?:RAY|TUNE)_\w+)=(\S+)", command))


def test_every_key_is_one_that_rays_schema_names(cluster, ray_folder) -> None:
    schema = json.loads((ray_folder / "autoscaler" / "ray-schema.json").read_text())
    assert list(unknown(cluster, schema, schema)) == []
    wrong = {**cluster, "auth": {"ssh_usr": "u"}, "idle_timeout": 5}
    assert list(unknown(wrong, schema, schema)) == ["auth.ssh_usr", "idle_timeout"]


def test_ray_takes_it_as_it_is(cluster) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(cluster)
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu-worker"]["max_workers"] == cluster["max_workers"]


def test_aws_knows_every_key_of_its_nodes(cluster) -> None:
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    for node in cluster["available_node_types"].values():
        asked = {**node["node_config"], "MinCount": 1, "MaxCount": 1}  # as Ray adds them
        assert not ParamValidator().validate(asked, shape).has_errors()
        assert ParamValidator().validate({**asked, "Image": "ami-1"}, shape).has_errors()


def test_ray_knows_every_variable_that_is_set_for_it(cluster, ray_folder) -> None:
    core = (ray_folder / "core" / "src" / "ray" / "gcs" / "gcs_server").read_bytes()
    sources = "".join(
        path.read_text(encoding="utf-8")
        for part in ("_common", "_private", "tune")
        for path in (ray_folder / part).rglob("*.py")
    )
    for place, command in start_commands(cluster).items():
        assert variables(command)
        for name in variables(command):
            its_own = name if name.isupper() else name.removeprefix("RAY_")  # a setting of the core
            assert its_own.encode() in core or its_own in sources, (place, name)


def test_ray_start_knows_every_option(cluster) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    for place, command in start_commands(cluster).items():
        options = re.findall(r"--[\w-]+", command.rpartition("ray start")[2])
        assert options
        assert set(options) <= known, place


def test_the_head_runs_no_trials_and_workers_leave_when_idle(cluster) -> None:
    nodes = cluster["available_node_types"]
    assert nodes[cluster["head_node_type"]]["resources"]["CPU"] == 0
    assert nodes["gpu-worker"]["min_workers"] == 0
    assert cluster["idle_timeout_minutes"] > 0
    for place in ("head_start_ray_commands", "head.sh"):
        assert "--num-cpus=0 --num-gpus=0" in start_commands(cluster)[place]


def test_every_node_wants_the_token_and_has_it(cluster) -> None:
    assert cluster["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    for command in start_commands(cluster).values():
        assert variables(command)["RAY_AUTH_MODE"] == "token"


def test_heads_notice_a_frozen_node_within_seconds(cluster) -> None:
    for place in ("head_start_ray_commands", "head.sh"):
        found = variables(start_commands(cluster)[place])
        period, timeout, times = (
            int(found[f"RAY_health_check_{name}"])
            for name in ("period_ms", "timeout_ms", "failure_threshold")
        )
        assert times * (period + timeout) / 1000 <= FROZEN_SECONDS


def test_versions_are_pinned_and_the_storage_is_mounted(cluster) -> None:
    setup = " ".join(cluster["setup_commands"])
    assert "pip install -q -r requirements.lock" in setup
    assert "mount -t nfs4" in setup
    pins = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1].isalnum()]
    assert all("==" in pin for pin in pins)
