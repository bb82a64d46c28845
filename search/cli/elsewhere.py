"""Searches that a cluster has as jobs: to submit them, and to ask for them where this machine cannot look."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.common import console

if TYPE_CHECKING:
    from search.config import SearchSpec
    from search.storage import Storage

Cluster = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="http://HOST:8265",
        help="The cluster, where its record is not to be seen from here.",
    ),
]


def submitted(
    name: str,
    command: Sequence[str],
    address: str | None,
    storage: str | None,
    spec: "SearchSpec | None" = None,
) -> bool:
    """Submit `fxsearch COMMAND` where jobs are taken: at `address`, else where the search went before."""
    from search.engine.jobs import submit
    from search.storage import Storage

    place = Storage(storage)
    cluster = _cluster(place, name, address)
    if cluster is None:
        return False
    submit(cluster, place, name, command, spec)
    console.print(
        f"'{name}' is submitted to {cluster}; look at it with: fxsearch status {name}", soft_wrap=True
    )
    return True


def asked_there(name: str, command: Sequence[str], address: str | None, storage: str | None) -> None:
    """Where the record is not to be seen here, run the command on its cluster and end as it does there."""
    from search.engine.jobs import run_there
    from search.storage import Storage

    place = Storage(storage)
    cluster = _cluster(place, name, address)
    if cluster is None or place.has(name):
        return
    code, output = run_there(cluster, place, command)
    typer.echo(output, nl=False, err=code != 0)
    raise typer.Exit(code)


def status_of(name: str, address: str | None, storage: str | None) -> dict[str, Any]:
    """How far a search is, here or on its cluster, and how its job fares if it has one."""
    from fxcore.errors import SearchError
    from search.engine.jobs import job_state, run_there
    from search.searches import Search
    from search.storage import Storage

    place = Storage(storage)
    cluster = _cluster(place, name, address)
    if cluster is None:
        return Search(name, place).status()
    if place.has(name):
        try:
            state = job_state(cluster, name)
        except SearchError as error:  # a cluster that is gone
            state = str(error)
        return {**Search(name, place).status(), "job": state}
    code, output = run_there(cluster, place, ["status", name, "--json"])
    state = job_state(cluster, name)
    if code != 0 and state is None:
        typer.echo(output, nl=False, err=True)
        raise typer.Exit(code)
    known = json.loads(output) if code == 0 else {"search": name, "state": "not begun"}
    return {**known, "job": state}


def _cluster(place: "Storage", name: str, address: str | None) -> str | None:
    """The address that is given, else the one that the search was submitted to; None if it takes no jobs."""
    from search.engine.jobs import remembered, takes_jobs

    address = address or remembered(place, name)
    return address if takes_jobs(address) else None
