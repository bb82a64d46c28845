"""The command that serves searches to browsers and programs."""

from typing import Annotated

import typer

from search.cli.common import Root, app, console


@app.command("serve")
def serve_command(
    host: Annotated[
        str, typer.Option(help="Where to listen; on any other than loopback, a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8000,
    address: Annotated[
        str | None,
        typer.Option(
            help="A Ray cluster that searches run on, HOST:PORT or http://HOST:8265 (default: this machine)."
        ),
    ] = None,
    storage: Root = None,
) -> None:
    """Serve searches as pages and as a JSON API: launch, watch, listen, play, export.

    Searches run in processes of their own and go on when the service ends.

    Example: `fxsearch serve --port 8080`
    """
    import torch
    import uvicorn

    from search.service.app import create_app
    from search.service.protection import is_loopback, load_token
    from search.storage import Storage

    torch.set_num_threads(1)
    root, token = Storage(storage), None
    if not is_loopback(host):
        token, path = load_token(root.root)
        console.print(f"log in with the token in {path}", soft_wrap=True)
    console.print(f"http://{host}:{port} serves {root.root}; Ctrl-C ends it", soft_wrap=True)
    uvicorn.run(
        create_app(root, token, address),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
