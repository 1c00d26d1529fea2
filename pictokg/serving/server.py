"""The service on a port: uvicorn, with a bound on how long a client may take over its headers."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pictokg.errors import ConfigError
from pictokg.serving.gate import Gate
from pictokg.serving.logs import configuration

SECONDS_TO_FINISH = 10


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose headers do not arrive in time; uvicorn itself would wait for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it so, too
        """Begin to wait for the first headers."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read on; headers that are still not whole do not get more time."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Run a deadline while headers are awaited; from then on the gate counts the time."""
        awaited = self.conn.their_state is h11.IDLE
        if awaited and self._deadline is None:
            seconds = cast("Gate", self.config.app).limits.seconds_to_send
            self._deadline = self.loop.call_later(seconds, self.transport.close)
        elif not awaited and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bound(host: str, port: int) -> socket.socket:
    """Take a port without listening, so that it is known to be free; closed, it can be listened on.

    Raises:
        ConfigError: it is taken, not allowed, or the address is none of this machine's.
    """
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise ConfigError(
            f"cannot listen on port {port} of {host} ({error.strerror or error}); choose another --port or --host"
        ) from error
    return taken


def make_server(app: Gate, host: str, port: int, log_level: str = "INFO") -> uvicorn.Server:
    """A server whose `run` serves until SIGINT or SIGTERM; requests at work are finished first, for a bounded time."""
    options: dict[str, Any] = {
        "log_config": configuration(log_level),
        "access_log": False,  # the gate logs requests
        "proxy_headers": False,
        "server_header": False,
        "ws": "none",
        "http": PatientProtocol,
        "limit_concurrency": app.limits.waiting,
        "timeout_keep_alive": int(app.limits.seconds_to_send),
        "timeout_graceful_shutdown": SECONDS_TO_FINISH,
        "h11_max_incomplete_event_size": 32 * 1024,
    }
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, **options))
