"""`cluster.yaml` holds what Ray's own cluster launcher accepts."""

import json
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).parents[1]


def test_every_key_is_one_that_rays_schema_knows() -> None:
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster.keys() <= schema["properties"].keys()
    assert cluster["head_node_type"] in cluster["available_node_types"]


def test_the_head_runs_no_trials_and_workers_leave_when_idle() -> None:
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    nodes = cluster["available_node_types"]
    assert nodes[cluster["head_node_type"]]["resources"]["CPU"] == 0
    assert nodes["gpu-worker"]["min_workers"] == 0
    assert cluster["idle_timeout_minutes"] > 0
