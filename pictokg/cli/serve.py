"""pictokg serve: answers over HTTP, and the page that asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pictokg.cli.common import Device, Threads, console, prepare

if TYPE_CHECKING:
    from pictokg.serving.served import Service

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def serve(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of trained runs, the first is asked first.", metavar="RUN…")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="PICTOKG_TOKEN", help="Clients must send it as 'Authorization: Bearer TOKEN'."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name that clients may call this service by; again for more.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error; requests are info.")] = "info",
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Serve one run, or several to compare, and the page that asks them.

    No request writes anything. At the start a run that was never calibrated is, and keeps that in calibration.json
    in its folder; where the folder cannot be written, a warning says so and it is served all the same.

    Ctrl-C ends it, after the requests that are at work.
    """
    from pictokg.errors import ConfigError, MissingExtraError, nearest

    levels = ("debug", "info", "warning", "error")
    if log_level not in levels:
        raise ConfigError(f"there is no log level {log_level!r}; {nearest(log_level, levels)}")
    if token is not None and (len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token):
        raise ConfigError("a token has at least 8 characters, all printable ASCII without spaces")
    try:
        from pictokg.serving.app import make_app
        from pictokg.serving.server import bound, make_server
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "pictokg serve") from error
    with bound(host, port):  # a port that is taken is said before, not after, minutes of loading
        service = open_service(runs, device, threads)
    if host not in LOOPBACK and token is None:
        console().print(f"warning: {host} can be reached by others and no --token is set", markup=False)
    app = make_app(service, token=token, hosts=_hosts(host, allow_host or []))
    console().print(f"the page: http://{'localhost' if host in LOOPBACK else host}:{port}/", markup=False)
    make_server(app, host, port, log_level.upper()).run()


def open_service(runs: list[Path], device: str, threads: int) -> Service:
    """Load the runs; each is called by its folder's name."""
    import os
    from functools import partial

    from pictokg.run import attention_of, load_run
    from pictokg.serving.served import Served, Service

    prepare(device, 1)  # questions are answered side by side, each on one thread
    served = []
    for folder in runs:
        run = load_run(folder, device=device)
        served.append(Served(_name(folder, runs), run.model, run.data, folder, partial(attention_of, run)))
    return Service.of(served, threads=threads or os.cpu_count() or 1)


def _name(folder: Path, runs: list[Path]) -> str:
    """The folder's own name, or its path where two have the same."""
    own = folder.resolve().name
    alone = [other.resolve().name for other in runs].count(own) == 1
    return own if alone else folder.as_posix()


def _hosts(host: str, allowed: list[str]) -> list[str]:
    """Names that requests may be addressed to; any where the service listens to others and none is given."""
    if host in LOOPBACK:
        return [*LOOPBACK, *(name.lower() for name in allowed)]
    return [host.lower(), *LOOPBACK, *(name.lower() for name in allowed)] if allowed else []
