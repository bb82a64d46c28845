"""Searches whose record lies in PostgreSQL and whose data, checkpoints and models lie in S3: real servers,
which fail on the way."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import fs

from fxcore.errors import SearchError
from search import Search, open_search
from search.checking import problems
from search.database import connect, postgresql
from search.lease import held, holder_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

S3_SERVER = """
import sys
from pathlib import Path
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

serve, broken = DomainDispatcherApplication(create_backend_app), Path(sys.argv[2])

def application(environ, start_response):
    if broken.exists():
        start_response("500 Internal Server Error", [("Content-Length", "0")])
        return [b""]
    return serve(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Postgres:
    """A server with a password, as Debian packages it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.data = free_port(), folder / "data"
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # it refuses to run as root
        (folder / "password").write_text("secret")
        for path in (folder, folder / "password"):
            path.chmod(0o755 if path.is_dir() else 0o644)
            shutil.chown(path, self.user)
        self._run("initdb", "-U", "fx", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}")
        self.start()
        environment = {**os.environ, "PGUSER": "fx", "PGPASSWORD": "secret"}
        create = [self._tool("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "searches"]
        subprocess.run(create, env=environment, check=True)

    @property
    def address(self) -> str:
        return f"postgresql://127.0.0.1:{self.port}/searches"

    def start(self) -> None:
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("pg_ctl", "start", "-w", "-o", settings, "-l", str(self.data / "log"))

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [self._tool(tool), "-D", str(self.data), *arguments]
        user = self.user if os.geteuid() == 0 else None
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd="/")

    def _tool(self, name: str) -> str:
        places = [str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")]
        found = shutil.which(name, path=os.pathsep.join([*places, os.environ["PATH"]]))
        assert found is not None, f"{name} is missing: install PostgreSQL"
        return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    folder = Path("/tmp") / f"fxpg{os.getpid()}"  # pytest's own folders are closed to other users
    folder.mkdir()
    server = Postgres(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGUSER", "fx")
        environment.setenv("PGPASSWORD", "secret")
        yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The root of a storage in a bucket, and a file that breaks its server while it is there."""
    port, broken = free_port(), tmp_path_factory.mktemp("s3") / "broken"
    process = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER, str(port), str(broken)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        limit = time.monotonic() + 60
        while not is_open(port):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.2)
        endpoint = {"endpoint_override": f"127.0.0.1:{port}", "scheme": "http", "region": "us-east-1"}
        fs.S3FileSystem(allow_bucket_creation=True, **endpoint).create_dir("gear")
        query = "&".join(f"{key}={value}" for key, value in endpoint.items())
        yield f"s3://gear/runs?{query}", broken
    process.kill()
    process.wait()


@pytest.fixture
def shared(
    cluster: Any, postgres: Postgres, s3: tuple[str, Path], tiny_search: Search, monkeypatch: Any
) -> dict[str, str]:
    """The environment of a driver; the store of the tiny search lies in the bucket."""
    root, _ = s3
    bucket, path = fs.FileSystem.from_uri(root)
    fs.copy_files(tiny_search.store().uri, f"{path}/stores/fuzz", destination_filesystem=bucket)
    monkeypatch.setenv("FXSEARCH_DATABASE", postgres.address)
    cluster.start()
    return {**cluster.environment, **dict(os.environ), "FXSEARCH_STORAGE": root}


def launch(cluster: Any, environment: dict[str, str], folder: Path, name: str) -> subprocess.Popen[str]:
    environment = {**environment, **{k: v for k, v in cluster.environment.items() if k.startswith("RAY_")}}
    spec = {
        "name": name,
        "data": "stores/fuzz",
        "budget": {"trials": 3, "trial_seconds": 10},
        "families": {"lstm": {"hidden": [4, 12]}},
        "structured": False,
        "stopping": {"halving": False, "plateau": None},
        "keep_models": 2,
    }
    (folder / "search.yaml").write_text(yaml.safe_dump(spec))
    return subprocess.Popen(
        [
            *(Path(sys.executable).parent / "fxsearch", "launch", folder / "search.yaml"),
            *("--address", cluster.address),
        ],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def reports(name: str, root: str) -> int:
    try:
        study = open_search(name, root).study
    except SearchError:
        return 0
    return sum(len(study.reports(row.id)) for row in study.board())


def test_a_search_outlives_a_database_that_restarts_and_a_bucket_that_fails(
    cluster, shared, postgres, s3, tmp_path
):
    root, broken = s3
    process = launch(cluster, shared, tmp_path, "both")
    cluster.wait_for(lambda: reports("both", root) > 0, "a report", 240)
    postgres.stop()
    time.sleep(5)
    postgres.start()
    count = reports("both", root)
    cluster.wait_for(lambda: reports("both", root) > count or process.poll() == 0, "another report", 120)
    broken.touch()
    time.sleep(20)
    broken.unlink()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    search = open_search("both", root)
    assert search.state == "complete"
    assert problems(search) == []
    assert {row.state for row in search.trials()} == {"complete"}
    held = [search.checkpoints.has(search.study.identity(row.id)) for row in search.trials()]
    assert held == [True, True, False]  # of the best two, as asked
    (model,) = search.export("safetensors")
    assert str(model).startswith("s3://gear/runs/models/both/both.safetensors")
    bucket, path = fs.FileSystem.from_uri(root)
    assert bucket.get_file_info(f"{path}/models/both/both.safetensors").size > 0


def test_a_driver_is_refused_in_postgresql_as_in_a_file(postgres):
    engine = connect(postgresql(postgres.address)).engine
    with held(engine, "amp"):
        holder = holder_of(engine, "amp")
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(SearchError, match="already driven by process"), held(engine, "amp"):
            pass
    assert holder_of(engine, "amp") is None


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("postgresql://fx:secret@db/searches", "holds no credentials"),
        ("mysql://db/searches", "a shared database is PostgreSQL"),
        ("searches", "a database's address is a URL"),
    ],
)
def test_an_address_of_a_database_is_checked_and_never_holds_a_password(address, complaint):
    with pytest.raises(SearchError, match=complaint) as caught:
        postgresql(address)
    assert "secret" not in str(caught.value)


def test_a_wrong_password_is_told_at_once(postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong")
    begun = time.monotonic()
    with pytest.raises(SearchError, match="password authentication failed"):
        connect(postgresql(postgres.address))
    assert time.monotonic() - begun < 5


def test_a_search_in_a_bucket_without_a_database_is_refused(s3, monkeypatch):
    monkeypatch.delenv("FXSEARCH_DATABASE", raising=False)
    root, _ = s3
    from search.storage import Storage

    with pytest.raises(SearchError, match="keeps its record in PostgreSQL; name the database"):
        Storage(root).database("amp")
