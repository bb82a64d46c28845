"""Searches that a cluster has as jobs: to submit them, and to ask for them where this machine cannot look."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.common import console

if TYPE_CHECKING:
    from search.config import SearchSpec

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
    """Submit `fxsearch COMMAND` if `address` takes jobs; without one, if the search was submitted before."""
    from search.engine.jobs import remembered, submit, takes_jobs
    from search.storage import Storage

    place = Storage(storage)
    address = address or (None if spec else remembered(place, name))
    if address is None or not takes_jobs(address):
        return False
    submit(address, place, name, command, spec)
    console.print(
        f"'{name}' is submitted to {address}; look at it with: fxsearch status {name}", soft_wrap=True
    )
    return True


def asked_there(name: str, command: Sequence[str], address: str | None, storage: str | None) -> None:
    """Where the record is not to be seen here, run the command on its cluster and end as it does there."""
    from search.engine.jobs import remembered, run_there
    from search.storage import Storage

    place = Storage(storage)
    if place.has(name) or not (address := address or remembered(place, name)):
        return
    code, output = run_there(address, place, command)
    typer.echo(output, nl=False, err=code != 0)
    raise typer.Exit(code)


def status_of(name: str, address: str | None, storage: str | None) -> dict[str, Any]:
    """How far a search is, here or on its cluster, and how its job fares if it has one."""
    from fxcore.errors import SearchError
    from search.engine.jobs import job_state, remembered, run_there
    from search.searches import Search
    from search.storage import Storage

    place = Storage(storage)
    address = address or remembered(place, name)
    if address is None:
        return Search(name, place).status()
    if place.has(name):
        try:
            state = job_state(address, name) or f"unknown to {address}"
        except SearchError as error:  # a cluster that is gone
            state = str(error)
        return {**Search(name, place).status(), "job": state}
    code, output = run_there(address, place, ["status", name, "--json"])
    found = job_state(address, name)
    if code != 0 and found is None:
        typer.echo(output, nl=False, err=True)
        raise typer.Exit(code)
    known = json.loads(output) if code == 0 else {"search": name, "state": "not begun"}
    return {**known, "job": found or f"unknown to {address}"}
