"""Whatever a program sends, within the OpenAPI schema or beside it, is no fault of the service's own."""

import shutil
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis import Case
from schemathesis.checks import not_a_server_error

from search import Search
from search.service.app import create_app
from search.storage import Storage

pytestmark = pytest.mark.slow
LOCAL = {"Host": "127.0.0.1:8000"}
PATIENCE_SECONDS = 120.0  # uploads are taken in by processes of their own
LEFT_OUT = "events|report|resume|extend|{verb}"  # endless, slow, or the start of other processes


@pytest.fixture(scope="module")
def api(tiny_search: Search, tmp_path_factory: pytest.TempPathFactory) -> schemathesis.BaseSchema:
    root: Path = tmp_path_factory.mktemp("served") / "root"
    shutil.copytree(tiny_search.storage.root, root)
    app = create_app(Storage(root))
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)


def test_no_request_is_a_fault_of_the_services_own(api: schemathesis.BaseSchema) -> None:
    operations = [found.ok() for found in api.exclude(path_regex=LEFT_OUT).get_all_operations()]
    assert len(operations) >= 10
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(max_examples=15, suppress_health_check=list(hypothesis.HealthCheck))
        def send(case: Case) -> None:
            if "name" in case.path_parameters and case.method == "GET":
                case.path_parameters["name"] = "tiny"
            case.validate_response(
                case.call(headers=LOCAL, timeout=PATIENCE_SECONDS), checks=[not_a_server_error]
            )

        send()
